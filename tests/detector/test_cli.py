"""`python -m detector`: what it prints, where, and its exit codes. A fake detector answers by the file's content."""

import csv
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import detector.annotate
import detector.annotate as annotate_module
from detector import (
    SCHEMA_VERSION,
    Coverage,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    ModelUsed,
    ProbRange,
    Score,
    Thresholds,
    UnknownModelError,
    WeightsError,
    __version__,
)
from detector.__main__ import main
from detector.annotate import Annotated
from detector.paper import to_html, to_pdf
from detector.types import Box, Share
from tests.fakes.manifests import manifest, network

ROOT = Path(__file__).resolve().parents[2]
ENTRY = SimpleNamespace(false_alarms={"strong": Share(1000, 21, 0.014, 0.032)})


@dataclass
class FakeDetector:
    """Says "strong" of files that hold the word, "unreadable" of others; keeps what it was asked."""

    models: str
    entry: SimpleNamespace = field(default_factory=lambda: ENTRY)
    asked: list[tuple[Path, int]] = field(default_factory=list)
    parts: list[tuple[float | None, float | None]] = field(default_factory=list)
    regions: list[Box | None] = field(default_factory=list)

    def file(
        self,
        source: Path,
        *,
        max_frames: int,
        start_s: float | None,
        end_s: float | None,
        region: Box | None,
        on_progress: Callable[[float, str], None] | None,
    ) -> FileVerdict:
        self.asked.append((source, max_frames))
        self.parts.append((start_s, end_s))
        self.regions.append(region)
        if on_progress:
            on_progress(0.5, "Reading frames, 12 of 24")
        content = source.read_text()
        if content == "stop":
            raise KeyboardInterrupt
        if content == "bug":
            raise ZeroDivisionError("a bug")
        common: dict[str, Any] = {
            "file": source.name,
            "sha256": "ab" * 32,
            "ensemble": self.models,
            "version": __version__,
            "weights_date": "2026-12-02",
            "date": "2026-12-03T10:00:00Z",
        }
        if content != "strong":
            nothing = dict.fromkeys(("band", "prob_fake", "range", "width", "height", "coverage", "thresholds"))
            return FileVerdict(
                **common,
                **nothing,
                kind="unknown",
                status="unreadable",
                reason="unsupported",
                message="This kind of file is not supported. Save it as JPEG, PNG or MP4.",
                models=(),
            )
        spread = ProbRange(0.74, 0.87, "re-encoding")
        scores = (Score("resnet18", 0.9, True), Score("mobilenet_v2", 0.7, True))
        face = Face((10.0, 10.0, 90.0, 123.0), (), 0.99)
        return ImageVerdict(
            **common,
            kind="image",
            status="ok",
            reason=None,
            message=None,
            band="strong",
            prob_fake=0.81,
            range=spread,
            width=640,
            height=480,
            coverage=Coverage(1, None, None, 1.0),
            models=(ModelUsed("resnet18", "cd" * 32),),
            thresholds=Thresholds(0.5, 0.7, 0.9),
            faces=(FaceVerdict(1, face, "ok", None, "strong", 0.81, spread, scores, 100.0),),
        )


class Cli:
    """Runs the command line in this process with the fake detector; keeps the detectors that it made."""

    def __init__(self) -> None:
        self.made: list[FakeDetector] = []

    def __call__(self, *args: str | Path) -> int:
        return main([str(a) for a in args], detector_factory=self._make)

    def _make(self, models: str) -> FakeDetector:
        self.made.append(FakeDetector(models))
        return self.made[-1]


@pytest.fixture
def cli() -> Cli:
    return Cli()


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two judged files and one that cannot be read, one of them in a subfolder, and hidden ones."""
    for name, content in {
        "a.jpg": "strong",
        "sub/b.jpg": "strong",
        "sub/c.txt": "text",
        ".hidden.jpg": "strong",
        ".cache/d.jpg": "strong",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_a_short_block_for_a_person(cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(media / "a.jpg") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"{media / 'a.jpg'}",
        "  Strong evidence of manipulation  (The only face found)",
        "  81 of 100  (if saved again 74 to 87)",
        "  Bands begin at: weak 50, strong 70, very strong 90.",
        "  - Both networks lean towards manipulation.",
        "  - 1 face found, 113 pixels on its longer side.",
        "  On genuine media from sources it never saw, this version reaches this band or a stronger one in 21 of 1000 "
        "(95 % interval 1 to 3 %).",
        "",
    ]


def test_a_file_that_cannot_be_read_has_a_result_too(cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(media / "sub/c.txt", media / "a.jpg") == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[:3] == [
        f"{media / 'sub/c.txt'}",
        "  No verdict. This kind of file is not supported. Save it as JPEG, PNG or MP4.",
        "",
    ]
    assert "Strong evidence" in out


def test_json_is_one_object_a_file_one_a_line(cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("--json", media) == 2
    out, err = capsys.readouterr()
    assert err == ""
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["file"], row["status"]) for row in rows] == [
        ("a.jpg", "ok"),
        ("b.jpg", "ok"),
        ("c.txt", "unreadable"),
    ]
    assert all(row["schema_version"] == SCHEMA_VERSION for row in rows)


def test_folders_are_opened_and_hidden_files_passed_over(cli: Cli, media: Path) -> None:
    cli(media)
    assert [path.relative_to(media).as_posix() for path, _ in cli.made[0].asked] == ["a.jpg", "sub/b.jpg", "sub/c.txt"]


def test_a_hidden_file_that_is_named_is_meant(cli: Cli, media: Path) -> None:
    assert cli(media / ".hidden.jpg", media / ".cache") == 0
    assert len(cli.made[0].asked) == 2


def test_a_link_to_its_own_folder_does_not_go_round(cli: Cli, media: Path) -> None:
    (media / "sub/loop").symlink_to(media, target_is_directory=True)
    cli(media)
    assert len(cli.made[0].asked) == 3


def test_a_missing_file_is_a_line_and_the_others_go_on(
    cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(media / "none.jpg", media / "a.jpg") == 2
    out, err = capsys.readouterr()
    assert err == f"detector: {media / 'none.jpg'}: no such file or directory.\n"
    assert "Strong evidence" in out


@pytest.mark.parametrize("what", ["missing", "empty folder", "device", "name too long"])
def test_nothing_to_look_at(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    argument = {
        "missing": tmp_path / "none.jpg",
        "empty folder": tmp_path,
        "device": Path(os.devnull),
        "name too long": tmp_path / ("x" * 300),
    }[what]
    assert cli(argument) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("detector: ")
    assert not cli.made, "networks are not loaded for nothing"


@pytest.mark.parametrize(
    "error",
    [
        UnknownModelError("There is no network 'x'; known: average."),
        WeightsError("The weights are missing. Run setup."),
    ],
)
def test_wrong_models_or_weights_are_one_line_and_exit_1(
    media: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def factory(models: str) -> FakeDetector:
        raise error

    assert main([str(media / "a.jpg")], detector_factory=factory) == 1
    assert capsys.readouterr() == ("", f"detector: {error}\n")


def test_a_bug_keeps_its_traceback_and_the_other_files_go_on(
    cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (media / "x").write_text("bug")
    assert cli(media / "x", media / "a.jpg") == 2
    out, err = capsys.readouterr()
    assert "Strong evidence" in out
    assert "ZeroDivisionError: a bug" in err and f"{media / 'x'}: not looked at" in err


def test_an_interrupt_ends_quietly(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("stop")
    assert cli(tmp_path / "x") == 130
    assert capsys.readouterr().err == "detector: Stopped.\n"


def test_options_reach_the_detector(cli: Cli, media: Path) -> None:
    cli("--models", "resnet18", "--max-frames", "8", media / "a.jpg")
    assert cli.made[0].models == "resnet18" and cli.made[0].asked[0][1] == 8
    cli(media / "a.jpg")
    assert cli.made[1].models == "default" and cli.made[1].asked[0][1] == 32


def test_a_part_of_a_video_is_asked_for_in_seconds_or_as_players_show_times(cli: Cli, media: Path) -> None:
    cli("--from", "83", "--to", "1:23:45.5", media / "a.jpg")
    cli("--from", "2:03", media / "a.jpg")
    cli(media / "a.jpg")
    assert [part for made in cli.made for part in made.parts] == [(83.0, 5025.5), (123.0, None), (None, None)]


def test_a_region_is_asked_for_in_pixels_or_shares(cli: Cli, media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, region in (("10,20,300,400", (10.0, 20.0, 300.0, 400.0)), ("0.5,0,1,0.5", (0.5, 0.0, 1.0, 0.5))):
        assert cli("--region", text, media / "a.jpg") == 0
        assert cli.made[-1].regions == [region]
    assert cli(media / "a.jpg") == 0 and cli.made[-1].regions == [None]
    for wrong in ("1,2,3", "a,b,c,d", "5,5,2,9", "nan,0,1,1", "-1,0,5,5"):
        with pytest.raises(SystemExit):
            cli(f"--region={wrong}", media / "a.jpg")
        assert "--region" in capsys.readouterr().err


@pytest.mark.parametrize("time", ["-3", "x", "1:2:3:4", "1.5:00", "", "nan", "1e3"])
def test_a_time_that_is_none_is_refused(cli: Cli, time: str) -> None:
    with pytest.raises(SystemExit):
        cli(f"--from={time}", "a")


@pytest.mark.parametrize("argv", [[], ["--max-frames", "0", "a"], ["--max-frames", "x", "a"], ["--unknown", "a"]])
def test_wrong_usage(cli: Cli, capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        cli(*argv)
    assert error.value.code == 2
    assert "usage: python -m detector" in capsys.readouterr().err


def test_a_name_cannot_write_to_the_terminal(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\x1b[2Jb\n.jpg"
    path.write_text("strong")
    assert cli(path) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and out.splitlines()[0].endswith("b\N{REPLACEMENT CHARACTER}.jpg")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_on_stderr_and_only_for_a_terminal(
    cli: Cli, media: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        # rich reads these and may take the terminal for a dumb one
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        assert cli("--json", media / "a.jpg") == 0
    assert "1 of 1" in terminal.getvalue() and "a.jpg" in terminal.getvalue()
    out = capsys.readouterr().out
    assert json.loads(out)["file"] == "a.jpg" and len(out.splitlines()) == 1
    cli("--json", media / "a.jpg")
    assert capsys.readouterr().err == ""


def run(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "detector", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def test_version_and_help_do_without_networks() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"Unmask {__version__}\n")
    result = run("--help")
    assert result.returncode == 0 and "--max-frames" in result.stdout


def test_the_program_itself_reports_a_missing_file(tmp_path: Path) -> None:
    result = run(tmp_path / "none.jpg")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights that were never trained: everything works but the meaning."""
    import torch

    from detector.manifest import write_manifest
    from detector.models.registry import build
    from detector.weights import save_network

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    saved = save_network(build("mobilenet_v2"), folder / "mobilenet_v2.safetensors")
    published = network(
        "mobilenet_v2", sha256=saved.sha256, bytes=saved.bytes, input_size_px=96, false_alarms=ENTRY.false_alarms
    )
    write_manifest(folder, manifest(folder, {"mobilenet_v2": published}))
    return folder


def test_photo_video_and_neither_through_the_whole_program(
    untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detector import Detector

    def run_here(*argv: str | Path) -> tuple[int, str]:
        code = main([str(a) for a in argv], detector_factory=lambda name: Detector(name, weights_dir=untrained))
        out, err = capsys.readouterr()
        assert err == ""
        return code, out

    (tmp_path / "notes.mp4").write_text("no video at all")
    samples = [ROOT / "app/samples/astronaut.jpg", ROOT / "app/samples/clip.mp4", tmp_path / "notes.mp4"]
    code, out = run_here("--json", "--max-frames", "6", *samples)
    assert code == 2
    photo, video, neither = (json.loads(line) for line in out.splitlines())
    assert (photo["kind"], photo["status"], len(photo["faces"])) == ("image", "ok", 1)
    assert (video["kind"], video["status"], len(video["persons"])) == ("video", "ok", 1)
    assert video["coverage"]["frames"] == 6
    assert (neither["kind"], neither["status"], neither["reason"]) == ("unknown", "unreadable", "unsupported")
    assert photo["models"] == video["models"] == neither["models"]

    code, out = run_here("--models", "mobilenet_v2", samples[0])
    assert code == 0 and "evidence of manipulation  (The only face found)" in out
    assert "if saved again" in out and "Bands begin at: " in out


def test_a_network_that_was_not_published_is_a_line(
    untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detector import Detector

    (tmp_path / "a.jpg").write_bytes(b"x")
    argv = ["--models", "nonsense", str(tmp_path / "a.jpg")]
    assert main(argv, detector_factory=lambda name: Detector(name, weights_dir=untrained)) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "nonsense" in err and "mobilenet_v2" in err


def test_no_weights_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detector import Detector

    (tmp_path / "a.jpg").write_bytes(b"x")
    argv = [str(tmp_path / "a.jpg")]
    assert main(argv, detector_factory=lambda name: Detector(name, weights_dir=tmp_path / "weights")) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "There are no weights" in err


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_all_files(cli: Cli, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "sub" / "out.csv"
    assert cli(media / "a.jpg", media / "sub/c.txt", "--csv", table) == 2
    assert [(row["file"], row["overall"], row["reason"]) for row in rows_of(table)] == [
        ("a.jpg", "0.81", ""),
        ("c.txt", "", "unsupported"),
    ]
    capsys.readouterr()
    before = table.read_bytes()
    assert cli(media / "a.jpg", "--csv", table) == 1
    out, err = capsys.readouterr()
    assert out == "" and "exists already" in err and "--overwrite" in err and table.read_bytes() == before
    assert len(cli.made) == 1, "networks are not loaded for nothing"
    assert cli(media / "a.jpg", "--csv", table, "--overwrite") == 0
    assert len(rows_of(table)) == 1


def test_an_interrupt_leaves_the_lines_that_are_done(cli: Cli, media: Path) -> None:
    (media / "b").write_text("stop")
    assert cli(media / "a.jpg", media / "b", "--csv", media / "out.csv") == 130
    assert len(rows_of(media / "out.csv")) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--csv", "none/out.csv"], "no such folder"),
        (["--annotated", "none"], "no such folder"),
        (["--annotated", "a.jpg"], "no such folder"),
        (["--csv", "a.jpg", "--overwrite"], "one of the files to look at"),
        (["--csv", "sub", "--overwrite"], "is a directory"),
        (["--heatmaps"], "--annotated"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_first(
    cli: Cli,
    media: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(media)
    assert cli("a.jpg", *options) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err
    assert not any(detector.asked for detector in cli.made)
    assert (media / "a.jpg").read_text() == "strong"


def test_copies_through_the_whole_program(untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detector import Detector

    def run_here(*argv: str | Path) -> tuple[int, str, str]:
        code = main([str(a) for a in argv], detector_factory=lambda name: Detector(name, weights_dir=untrained))
        return code, *capsys.readouterr()

    for folder in ("one", "two", "copies"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "one/blank.png")
    for name in ("one/a.jpg", "two/a.jpg"):
        (tmp_path / name).write_bytes((ROOT / "app/samples/astronaut.jpg").read_bytes())
    (tmp_path / "two/clip.mp4").write_bytes((ROOT / "app/samples/clip.mp4").read_bytes())
    argv = ["--max-frames", "6", "--annotated", tmp_path / "copies", tmp_path / "one", tmp_path / "two"]
    code, out, err = run_here(*argv, "--heatmaps")
    assert (code, err) == (0, "")
    names = {path.name for path in (tmp_path / "copies").iterdir()}
    assert names == {"a.unmask.jpg", "a-2.unmask.jpg", "clip.unmask.mp4"}
    assert out.count("Copy with boxes: ") == 3 and "No copy of blank.png: no face was found" in out
    copies = {path: path.read_bytes() for path in (tmp_path / "copies").iterdir()}
    code, out, err = run_here(*argv, "--json")
    assert code == 1 and err.count("exists already and stays as it is") == 3
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["image", "image", "image", "video"]
    assert {path: path.read_bytes() for path in (tmp_path / "copies").iterdir()} == copies
    code, out, err = run_here(tmp_path / "one/a.jpg", "--json", "--annotated", tmp_path / "copies", "--overwrite")
    assert code == 0 and len(out.splitlines()) == 1 and "Copy with boxes" in err
    # drawn without heatmaps this time
    assert (tmp_path / "copies/a.unmask.jpg").read_bytes() != copies[tmp_path / "copies/a.unmask.jpg"]


def test_reports_stills_and_sound_are_written_beside_the_verdict(
    repo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "clip.mp4").write_bytes((repo_root / "app" / "samples" / "clip.mp4").read_bytes())
    (tmp_path / "notes.mp4").write_text("no video")
    before = hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest()
    argv = [str(tmp_path / "clip.mp4"), str(tmp_path / "notes.mp4"), "--max-frames", "8"]
    argv += [part for option in ("--report", "--stills", "--sound") for part in (option, str(out))]
    assert main(argv) == 2
    said, complained = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == [
        "clip.unmask.face-1.jpg",
        "clip.unmask.frame-1.jpg",
        "clip.unmask.html",
        "clip.unmask.json",
        "clip.unmask.pdf",
        "notes.unmask.html",
        "notes.unmask.json",
        "notes.unmask.pdf",
    ]
    assert "Report: " in said and "Stills: " in said and "No sound of clip.mp4: it has none." in said
    assert said.index("The file says:") < said.index("evidence of manipulation")
    assert hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest() == before
    # the report again, from its JSON alone
    document = json.loads((out / "clip.unmask.json").read_text())
    assert to_pdf(document) == (out / "clip.unmask.pdf").read_bytes()
    assert to_html(document) == (out / "clip.unmask.html").read_text(encoding="utf-8")
    assert [(p["kind"], p["number"]) for p in document["pictures"]] == [("frame", 0), ("face", 1), ("map", 1)]
    # nothing is replaced that was not asked to be
    assert main(argv) == 2
    assert "exists already" in capsys.readouterr().err
    assert complained == ""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies as files with a word in them."""

    def annotate(source: Path, verdict: FileVerdict, out: Path, **more: object) -> Annotated:
        if source.read_text() == "strong":
            out.write_text("copy")
        return Annotated((), "none")

    monkeypatch.setattr(annotate_module, "annotate", annotate)


@pytest.mark.parametrize("letter", ["x", "\u05d0", "\U0001f600"])
def test_the_longest_names_get_a_copy_too(cli: Cli, tmp_path: Path, drawn: None, letter: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    size = len(letter.encode())
    names = [letter * ((255 - 4) // size) + ".jpg", letter * ((255 - 5) // size) + "2.jpg", "a.jpg"]
    for name in names:
        (tmp_path / "in" / name).write_text("strong")
    assert cli(tmp_path / "in", "--annotated", tmp_path / "out") == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert len(written) == 3 and "a.unmask.jpg" in written
    assert all(name.endswith(".unmask.jpg") and len(name.encode()) <= 255 for name in written)


def test_no_output_stops_a_batch(
    cli: Cli, media: Path, drawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy whose name is a folder, one on a full disk, and a table on a full disk."""
    out = media / "copies"
    (out / "a.unmask.jpg").mkdir(parents=True)
    (media / "two\nlines.jpg").write_text("strong")
    annotate = detector.annotate.annotate

    def full(source: Path, *more: Any, **named: Any) -> Annotated:
        if source.name == "b.jpg":
            raise OSError(errno.ENOSPC, "No space left on device")
        if source.name.startswith("two"):
            raise RuntimeError("a bug of one copy")
        return annotate(source, *more, **named)

    monkeypatch.setattr(annotate_module, "annotate", full)
    (media / "z.jpg").write_text("strong")
    files = [media / name for name in ("a.jpg", "sub/b.jpg", "two\nlines.jpg", "z.jpg")]
    assert cli(*files, "--annotated", out, "--overwrite") == 1
    said, complaints = capsys.readouterr()
    assert said.count("Strong evidence") == 4 and "two\ufffdlines.jpg" in said
    assert "no space left on device" in complaints and "a bug of one copy" in complaints
    assert (out / "z.unmask.jpg").read_text() == "copy"


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="skipped: no file that is always full on this system")
def test_a_full_disk_is_said_once_and_what_can_be_written_is(
    cli: Cli, media: Path, drawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [media / "a.jpg", media / "sub/b.jpg"]
    assert cli(*files, "--csv", "/dev/full", "--overwrite") == 1
    out, err = capsys.readouterr()
    assert out.count("Strong evidence") == 2 and err.count("no space left on device") == 1
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", FullDisk())
        assert cli(*files, "--csv", media / "out.csv") == 1
        assert len(rows_of(media / "out.csv")) == 2
        assert cli(*files) == 1
    assert len(cli.made[-1].asked) == 1, "nothing is judged for nobody"
    assert "standard output: no space left on device" in capsys.readouterr().err


def test_what_may_not_be_looked_at_does_not_hide_the_rest(
    cli: Cli, media: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a fake system, for tests may run as root, who may look at everything."""
    scandir, stat = os.scandir, Path.stat

    def refuse(path: Any) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    def vanish(self: Path, **named: Any) -> os.stat_result:
        if self.name == "gone.jpg":
            raise FileNotFoundError(errno.ENOENT, "No such file", str(self))
        return stat(self, **named)

    (media / "gone.jpg").write_text("strong")
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(Path, "stat", vanish)
    assert cli(media) == 2
    out, err = capsys.readouterr()
    assert out.count("Strong evidence") == 1 and "sub: permission denied" in err and "gone" not in err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_name_that_the_output_cannot_take_ends_nothing(tmp_path: Path, encoding: str) -> None:
    name = "\u05e9\u05dc\u05d5\u05dd.jpg"
    for text in (name, "b.jpg"):
        (tmp_path / text).write_bytes(b"no picture")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    code = """
import pathlib, sys
from detector.__main__ import main

class Names:
    entry = None

    def file(self, source, **named):
        raise OSError("a bug, so that nothing must be loaded")

main([*sys.argv[1:], "--from", "1"], detector_factory=lambda models: Names())
from detector.console import print_anything
print_anything()
print(*sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, check=True)
    assert done.stderr.count(b"not looked at") == 2
    assert done.stdout.decode("ascii").split() == ["b.jpg", name.encode("ascii", "backslashreplace").decode()]
