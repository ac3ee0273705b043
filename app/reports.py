"""Files for somebody who saves a check: report, sound, stills. Made when asked for, stored nowhere."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from detector import FileVerdict, MediaError

if TYPE_CHECKING:
    from detector import Detector

Made = tuple[bytes, str]


def report_document(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> dict[str, object]:
    """The JSON that a report is made of: the verdict with the pictures of its faces."""
    from detector.paper import pictures_of, with_pictures

    pictures = () if verdict.status == "unreadable" else pictures_of(source, verdict, detector)
    document: dict[str, object] = json.loads(json.dumps(with_pictures(verdict.to_dict(), pictures)))
    return document


def report_pdf(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> Made:
    """The report as PDF."""
    from detector.paper import to_pdf

    return to_pdf(report_document(source, verdict, detector)), "application/pdf"


def report_html(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> Made:
    """The same content as one HTML file."""
    from detector.paper import to_html

    # never shown by this server: a page of the user's own would run with this page's rights
    return to_html(report_document(source, verdict, detector)).encode("utf-8"), "application/octet-stream"


def sound_wav(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> Made:
    """The sound of a video as WAV."""
    from detector.wav import write_wav

    out = io.BytesIO()
    write_wav(source, out)
    return out.getvalue(), "audio/wav"


def still_jpeg(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> Made:
    """Of a video the most telling frame, of a photo the most suspicious face, in full size."""
    from detector.paper.pictures import stills_of

    stills = stills_of(source, verdict)
    if not stills:
        raise MediaError("No face was found, so there is no still to save.", "no_face")
    return next(iter(stills.values())), "image/jpeg"


def views_zip(source: Path | bytes, verdict: FileVerdict, detector: "Detector | None") -> Made:
    """Views of a JPEG's compression as PNG, with a text that says how each can mislead."""
    from PIL import Image

    from detector.provenance.forensic import forensic_views, views_text

    views = forensic_views(source)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as folder:
        folder.writestr("read me first.txt", views_text(views, verdict.file, verdict.sha256))
        for view in views:
            png = io.BytesIO()
            Image.fromarray(view.image).save(png, "PNG")
            folder.writestr(f"{view.code}.png", png.getvalue())
    return out.getvalue(), "application/zip"


SAVES: dict[str, Callable[[Path | bytes, FileVerdict, "Detector | None"], Made]] = {
    "report.pdf": report_pdf,
    "report.html": report_html,
    "sound.wav": sound_wav,
    "still.jpg": still_jpeg,
    "views.zip": views_zip,
}
"""Makers of files by name; each gives (data, MIME type). Each raises DetectorError where it cannot be made."""
