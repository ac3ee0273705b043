"""Files and sentences that can be taken away from a result: the sentence, and under one button everything else."""

from pathlib import Path

from app import session
from app.case import Case
from app.components.script import script
from app.routes import prefix
from app.subjects import subjects
from detector import FileVerdict, report
from detector.caught import jpeg_quality

_actions = script("actions")


def actions(case: Case, verdict: FileVerdict) -> None:
    """Copy the sentence; save it, the data, and a marked copy."""
    read = verdict.status != "unreadable"
    _actions(
        data={
            "turn": session.next_turn(),
            "base": prefix(),
            "check": case.id,
            "ticket": session.ticket(),
            "quote": report.quote(verdict),
            "files": [_file(*about) for about in _texts(case, verdict)],
            "made": _made(case, verdict),
            "marked": _marked(case, verdict) if read else None,
        },
        key=f"actions-{case.id}",
    )


def _texts(case: Case, verdict: FileVerdict) -> list[tuple[str, str, str, str, str]]:
    """Texts that can be saved: (title, what it is for, name, type, content)."""
    stem = Path(case.name).stem or "file"
    files = [
        ("Data (JSON)", "Everything, for programs and for repeating it", f"{stem}.unmask.json", "application/json",
         report.to_json(verdict, indent=2)),
    ]  # fmt: skip
    if verdict.status != "unreadable":
        files += [
            ("Table (CSV)", "One line for each face and time, for a spreadsheet", f"{stem}.unmask.csv", "text/csv",
             # with a byte order mark, or Excel garbles names
             "\ufeff" + report.to_csv(verdict)),
            ("Sentence (text)", "The sentence above", f"{stem}.unmask.txt", "text/plain", report.quote(verdict) + "\n"),
        ]  # fmt: skip
    return files


def _made(case: Case, verdict: FileVerdict) -> list[dict[str, str]]:
    """Files that are made when they are asked for: `what` is a name of `app.reports.SAVES`."""
    stem = Path(case.name).stem or "file"
    offers = [
        ("Report (PDF)", "For an editor, and to keep", "report.pdf"),
        ("Report (HTML)", "The same, for a browser", "report.html"),
    ]
    if subjects(verdict):
        telling = "frame" if verdict.kind == "video" else "face"
        offers.append((f"The most telling {telling}", "In full size, for a search for earlier copies", "still.jpg"))
    if verdict.provenance is not None and verdict.provenance.sound is not None:
        offers.append(("Sound (WAV)", "The voice was not judged: for somebody who can examine voices", "sound.wav"))
    if jpeg_quality(verdict.provenance) is not None:
        offers.append(("Views of the compression (ZIP)", "Aids for the eye, with how each misleads", "views.zip"))
    return [
        {"title": title, "about": about, "what": what, "name": f"{stem}.unmask{what[what.index('.') :]}"}
        for title, about, what in offers
    ]


def _file(title: str, about: str, name: str, kind: str, text: str) -> dict[str, str]:
    return {"title": title, "about": about, "name": name, "type": kind, "text": text}


def _marked(case: Case, verdict: FileVerdict) -> dict[str, object] | None:
    from detector.annotate import can_annotate, suffix_of

    if not can_annotate(verdict):
        return None
    medium = "video" if verdict.kind == "video" else "photo"
    return {
        "title": f"Marked {medium}",
        "about": "A copy with boxes and bands, to show to colleagues. It is no evidence: keep the original.",
        "name": f"{Path(case.name).stem or 'file'}.unmask{suffix_of(verdict)}",
        "heat": any(subject.band for subject in subjects(verdict)),
    }
