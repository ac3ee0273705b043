"""What the file says, beside the networks' verdict: joined by `Detector.file`, in words, and without any network."""

import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as some
from PIL import Image

import detector.provenance as package
from app.components.says import first_html, says_html
from detector.__main__ import block
from detector.child import Child
from detector.evidence import Credentials, Line, Provenance, SoundTrack
from detector.paper import pictures_of, to_html, to_pdf, with_pictures
from detector.pipeline import Detector
from detector.provenance import read_provenance
from detector.provenance.history import MAX_HASHES, frames_to_hash
from detector.report import to_json
from detector.steps import next_steps
from detector.types import FileVerdict, ImageVerdict
from detector.words import disagreement, evidence_lines, next_line, voice_line
from tests.fakes.credentials import make_signer, sign


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture
def signed(portrait_path: Path) -> bytes:
    return sign(portrait_path.read_bytes(), "image/jpeg", make_signer())


def plain_jpeg() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_pictures_with_a_face_have_it_beside_the_verdict(
    detector: Detector, signed: bytes, portrait_path: Path
) -> None:
    with_it, without = detector.file(signed, name="a.jpg"), detector.file(portrait_path)
    assert with_it.provenance is not None and without.provenance is not None
    assert with_it.provenance.credentials.state == "present" and without.provenance.credentials.state == "none"
    # the same pixels: what the file says changes no probability
    assert (with_it.prob_fake, with_it.band, with_it.range) == (without.prob_fake, without.band, without.range)
    assert with_it.provenance.perceptual_hash == without.provenance.perceptual_hash
    assert with_it.size_bytes == len(signed) and with_it.measured is not None and with_it.engines
    assert "disagree" in disagreement(with_it) if with_it.band == "little" else disagreement(with_it) == ""


@pytest.mark.parametrize(
    ("data", "status"),
    [(plain_jpeg(), "no_verdict"), (plain_jpeg()[:200], "unreadable"), (b"hello", "unreadable"), (b"", "unreadable")],
)
def test_so_have_files_without_a_face_and_files_that_cannot_be_read(
    detector: Detector, data: bytes, status: str
) -> None:
    verdict = detector.file(data, name="x.jpg")
    assert verdict.status == status
    assert verdict.provenance is not None and verdict.provenance.summary
    assert verdict.next_steps[0].code == "ask_sender"
    assert evidence_lines(verdict)[0] == verdict.provenance.summary


def test_a_video_has_hashes_of_frames_that_a_smaller_copy_shares(detector: Detector, clip_and_copy: list[Path]) -> None:
    one, copy = (detector.file(path, max_frames=12).provenance for path in clip_and_copy)
    assert one is not None and copy is not None and one.perceptual_hash is None
    assert len(one.frame_hashes) == MAX_HASHES
    assert [h.time_s for h in one.frame_hashes] == pytest.approx([h.time_s for h in copy.frame_hashes], abs=0.05)
    apart = [
        (int(a.hash, 16) ^ int(b.hash, 16)).bit_count()
        for a, b in zip(one.frame_hashes, copy.frame_hashes, strict=True)
    ]
    assert max(apart) <= 10
    assert frames_to_hash(32) == {0, 8, 16, 23, 31} and frames_to_hash(1) == {0} and frames_to_hash(3) == {0, 1, 2}


@pytest.fixture(scope="module")
def clip_and_copy(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sample clip, and a copy of it at half its size, coded anew."""
    clip, copy = repo_root / "app" / "samples" / "clip.mp4", tmp_path_factory.mktemp("copy") / "copy.mp4"
    with av.open(str(clip)) as source, av.open(str(copy), "w") as out:
        made = out.add_stream("libx264", rate=25)
        made.width, made.height, made.pix_fmt = 320, 180, "yuv420p"
        for frame in source.decode(video=0):
            out.mux(made.encode(frame.reformat(320, 180, "yuv420p")))
        out.mux(made.encode())
    return [clip, copy]


@pytest.mark.parametrize("name", ["astronaut_edited.jpg", "clip.mp4"])
def test_the_same_file_gives_the_same_report_but_for_its_time(detector: Detector, name: str, repo_root: Path) -> None:
    path = repo_root / "app" / "samples" / name

    def document(date: str | None = None) -> dict[str, Any]:
        verdict = detector.file(path, max_frames=8)
        made = json.loads(json.dumps(with_pictures(verdict.to_dict(), pictures_of(path, verdict, detector))))
        return {**made, "date": date or made["date"]}

    one, other = document("2026-12-03T10:00:00+00:00"), document("2026-12-03T10:00:00+00:00")
    assert to_html(one) == to_html(other) and to_pdf(one) == to_pdf(other)
    later = {**one, "date": "2027-01-01T00:00:00+00:00"}
    assert to_html(later).replace("2027-01-01 00:00:00", "2026-12-03 10:00:00") == to_html(one)
    assert to_pdf(later) != to_pdf(one)


def test_a_file_that_is_not_there_has_a_reason(tmp_path: Path) -> None:
    assert "no such file" in (read_provenance(tmp_path / "none.jpg", "none.jpg").problem or "")
    assert "empty" in (read_provenance(b"", "x").problem or "")


def test_a_child_that_is_lost_becomes_a_line(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repo_root))
    child = Child("tests.fakes.children:answer", wall_s=10)
    try:
        found = read_provenance(b"x", "x", child=child)
    finally:
        child.close()
    assert found.problem is not None and found.credentials.state == "not_read"


NO_NETWORK = """
import sys
from pathlib import Path
from detector.__main__ import main
from detector.provenance import read_provenance

*asking, media, out = sys.argv[1:]
for path in asking:
    print(read_provenance(Path(path), "x").credentials.state)
files = sorted(map(str, Path(media).iterdir()))
print(main([*files, "--json", "--models", "resnet18", "--max-frames", "4", "--report", out]))
print(sorted(path.name for path in Path(out).glob("*.pdf")))
"""


@effort(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    places=some.lists(some.tuples(some.floats(0, 0.999), some.binary(min_size=1, max_size=8)), min_size=1, max_size=6),
    kind=some.sampled_from(["jpeg", "mp4"]),
)
def test_no_damage_to_credentials_ends_the_child_or_reads_as_trusted(
    places: list[tuple[float, bytes]], kind: str, repo_root: Path
) -> None:
    data = bytearray(_signed(kind, repo_root))
    # in the store itself: its boxes claim sizes and depths
    start, length = bytes(data).index(b"jumb") - 4, 9000
    for at, junk in places:
        begin = start + int(at * length)
        data[begin : begin + len(junk)] = junk
    found = read_provenance(bytes(data), "x")
    assert found.problem is None or "passed over" in found.problem
    signer = found.credentials.fact("signer")
    assert signer is None or signer.code != "signer.on_list"


@cache
def _signed(kind: str, repo_root: Path) -> bytes:
    samples = repo_root / "app" / "samples"
    name, mime = {"jpeg": ("astronaut.jpg", "image/jpeg"), "mp4": ("clip.mp4", "video/mp4")}[kind]
    return sign((samples / name).read_bytes(), mime, make_signer())


ORIGINS = {
    "chatgpt-1.png": "made by a generative model (GPT-4o, ChatGPT)",
    "firefly-1.png": "made by a generative model (Adobe Firefly, Adobe_Firefly)",
    "flux-1.jpg": "made by a generative model (Flux.2, Black Forest Labs API)",
    "samsung_black_1.png": "edited with a generative model (Photo assist, Galaxy S25)",
    "grok-1.jpg": "as Grok (xAI) writes them",
    "mj_metadata.png": "job number as Midjourney writes it",
    "doubao_metadata.png": "China's label for generated content (TC260) says: generated",
}


@pytest.mark.parametrize("name", ORIGINS)
def test_each_origin_gives_its_row_in_json_command_line_page_and_report(
    name: str, provenance_dir: Path, detector: Detector
) -> None:
    verdict = detector.file(provenance_dir / name)
    row = ORIGINS[name]
    told = {
        "json": to_json(verdict),
        "command line": block(name, verdict, detector.entry),
        "page": unescape(re.sub(r"<[^>]*>", "", first_html(verdict) + says_html(verdict))),
        "report": unescape(re.sub(r"<[^>]*>", "", to_html(json.loads(to_json(verdict))))),
    }
    for where, text in told.items():
        assert row in text, where
        assert "was changed after it was signed" not in text, where
    assert to_pdf(json.loads(to_json(verdict))).startswith(b"%PDF-")


@pytest.fixture
def asking_all(tmp_path: Path, portrait_path: Path, repo_root: Path) -> list[str]:
    """A command that reads all there is to read of files that would have a careless reader go to the web.

    They name a remote manifest, and OCSP in a certificate; beside them a photo and a clip, judged and reported.
    """
    remote = sign(portrait_path.read_bytes(), "image/jpeg", make_signer(), remote="http://192.0.2.1/manifest.c2pa")
    paths = tmp_path / "remote.jpg", tmp_path / "signed.jpg"
    paths[0].write_bytes(remote)
    paths[1].write_bytes(sign(portrait_path.read_bytes(), "image/jpeg", make_signer()))
    media, out = tmp_path / "media", tmp_path / "out"
    media.mkdir()
    out.mkdir()
    shutil.copy(portrait_path, media / "photo.jpg")
    shutil.copy(repo_root / "app" / "samples" / "clip.mp4", media / "clip.mp4")
    return [sys.executable, "-c", NO_NETWORK, *map(str, (*paths, media, out))]


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace on this machine")
def test_no_socket_to_another_computer_is_opened_below_python(
    asking_all: list[str], tmp_path: Path, repo_root: Path
) -> None:
    log = tmp_path / "calls"
    command = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg", "-o", str(log)]
    done = subprocess.run([*command, *asking_all], cwd=repo_root, capture_output=True, text=True)
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        pytest.skip("strace may not watch a process here")
    _all_was_read(done)
    assert not re.findall(r"AF_INET6?\b", log.read_text())


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare on this machine")
def test_the_same_is_read_where_there_is_no_network_at_all(asking_all: list[str], repo_root: Path) -> None:
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody leave its network")
    _all_was_read(subprocess.run(["unshare", "-rn", *asking_all], cwd=repo_root, capture_output=True, text=True))


def _all_was_read(done: subprocess.CompletedProcess[str]) -> None:
    """Credentials, a verdict on a photo and on a clip, and a report of each."""
    lines = done.stdout.splitlines()
    assert lines[:2] == ["elsewhere", "present"], done.stderr
    assert [json.loads(line)["status"] for line in lines[2:4]] == ["ok", "ok"], done.stderr
    assert lines[4:] == ["0", "['clip.unmask.pdf', 'photo.unmask.pdf']"], done.stderr


FORBIDDEN = re.compile(r"\b(verified|authentic|tamper\w*|fake|genuine file|proven)\b", re.I)


def test_words_that_promise_too_much_do_not_appear(repo_root: Path) -> None:
    for path in sorted((repo_root / "detector" / "provenance").glob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = FORBIDDEN.search(line)
            # only where the bytes are not those that were signed may tampering be named
            assert found is None or "careless save" in line, f"{path.name}, line {number}: {found[0]}"


def image(band: str | None, provenance: Provenance | None) -> ImageVerdict:
    about: dict[str, object] = dict.fromkeys(field.name for field in dataclasses.fields(FileVerdict))
    about |= {"file": "x", "kind": "image", "status": "ok", "band": band, "provenance": provenance, "next_steps": ()}
    return ImageVerdict(**about)  # type: ignore[arg-type]


def line(code: str, says: str) -> Line:
    return Line(code, "observed", "text", "where", says)  # type: ignore[arg-type]


NONE = Credentials("none", "None.")
LISTED = Credentials("present", "Some.", (line("binding.match", "nothing"), line("signer.on_list", "nothing")))


@pytest.mark.parametrize(
    ("band", "provenance", "word"),
    [
        ("little", Provenance("s", NONE, marks=(line("mark.grok", "generated"),)), "disagree"),
        ("little", Provenance("s", NONE, marks=(line("mark.x", "may_be_generated"),)), ""),
        ("strong", Provenance("s", NONE, marks=(line("mark.grok", "generated"),)), ""),
        ("little", Provenance("s", dataclasses.replace(NONE, facts=(line("binding.mismatch", "changed"),))), "changed"),
        ("very_strong", Provenance("s", dataclasses.replace(LISTED, claims=(line("c", "camera"),))), "very strong"),
        ("very_strong", Provenance("s", dataclasses.replace(NONE, claims=(line("c", "camera"),))), ""),
        (None, Provenance("s", NONE, marks=(line("mark.grok", "generated"),)), ""),
        ("little", None, ""),
    ],
)
def test_lines_that_disagree_are_said_in_one_sentence(
    band: str | None, provenance: Provenance | None, word: str
) -> None:
    text = disagreement(image(band, provenance))
    assert word in text and bool(text) == bool(word)


def test_the_voice_is_said_not_to_be_judged() -> None:
    track = SoundTrack("aac", 44100, 2, 9.0, "de")
    text = voice_line(Provenance("s", NONE, sound=track))
    assert text.startswith("The voice was not judged.") and "stereo" in text and "44.1 kHz" in text and "9.0 s" in text
    assert voice_line(Provenance("s", NONE)) == voice_line(None) == ""


def test_every_step_that_sends_the_file_away_says_so() -> None:
    steps = next_steps(image("little", Provenance("s", LISTED)))
    assert {"ask_sender", "reverse_search", "content_credentials", "maker_openai", "maker_google"} <= {
        s.code for s in steps
    }
    for step in steps:
        assert (step.link is None) == (step.privacy is None)
        assert step.link is None or step.link.startswith("https://")
        assert step.privacy is None or "leaves this computer" in step.privacy


def test_the_command_line_names_the_pages_and_once_what_leaves_this_computer() -> None:
    steps = next_steps(image("little", Provenance("s", LISTED)))
    line = next_line(dataclasses.replace(image("little", None), next_steps=steps))
    assert all(step.title in line and (step.link or "") in line for step in steps)
    assert line.count("leaves this computer") == 1 and next_line(image("little", None)) == ""


def test_the_reader_is_one_child_for_all_files(portrait_path: Path) -> None:
    read_provenance(portrait_path, "a")
    first = package._child.pid
    read_provenance(portrait_path.read_bytes(), "b")
    assert first is not None and package._child.pid == first
