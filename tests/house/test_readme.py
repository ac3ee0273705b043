"""The README's figures are the published ones, and writing them works."""

import re
import shlex
from pathlib import Path

import pytest

from detector.__main__ import command_line_parser
from detector.weights import read_manifest
from train.__main__ import asked
from train.gan.readme import write_readme
from train.measure.even_odds import EVEN_ODDS
from train.store.cards import card, metrics_table
from train.store.readme import END, START, figures, update_readme

EVALUATION = {
    "product_against_loader": [{"slice": "140k", "faces": 10, "verdict_share": 1.0, "loader": 0.9, "product": 0.91}],
    "clips": [
        {
            "slice": "dfl",
            "clips": 4,
            "genuine": 2,
            "with_verdict": 4,
            "auc_clips": None,
            "same_frames": {
                "frames": 9,
                "product": 0.7,
                "loader": 0.71,
                "difference": {"value": -0.01, "low": -0.02, "high": 0.004, "n": 9},
            },
            "auc_faces_loader": 0.71,
            "genuine_at_threshold": 0,
        }
    ],
}


def test_the_readme_shows_the_published_figures(repo_root: Path) -> None:
    text = (repo_root / "README.md").read_text()
    for line in figures(read_manifest()):
        assert line in text, "README is behind weights/manifest.json: run `python -m train evaluate --readme README.md`"


def test_goals_at_even_odds_take_the_highest_of_each_kind() -> None:
    manifest = read_manifest()
    found = manifest.leaderboard()
    assert found is not None
    on_yonsei = {n: c[EVEN_ODDS]["yonsei"]["value"] for n, c in found["choices"].items()}
    (single,) = (line for line in figures(manifest) if line.startswith("- yonsei") and "single networks" in line)
    (ensemble,) = (line for line in figures(manifest) if line.startswith("- yonsei") and "ensembles" in line)
    for line, names in ((single, manifest.models), (ensemble, manifest.ensembles)):
        highest = max(on_yonsei[name] for name in names)
        goal = 0.66 if line is single else 0.70
        assert f"{highest:.1%}" in line and line.endswith("met." if highest >= goal else "missed.")


def test_the_generators_readme_is_that_of_their_records(repo_root: Path, tmp_path: Path) -> None:
    folder = repo_root / "weights" / "gan"
    for path in folder.glob("*/record.json"):
        (tmp_path / path.parent.name).mkdir()
        (tmp_path / path.parent.name / path.name).write_bytes(path.read_bytes())
    write_readme(tmp_path)
    text = (folder / "README.md").read_text()
    assert text == (tmp_path / "README.md").read_text()
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) == 4 and all((folder / picture).is_file() for picture in pictures)


def test_the_cards_are_those_of_the_manifest(repo_root: Path) -> None:
    manifest = read_manifest()
    cards = repo_root / "weights" / "cards"
    assert {p.stem for p in cards.glob("*.md")} == set(manifest.names())
    for name in manifest.names():
        assert (cards / f"{name}.md").read_text() == card(manifest, name)


def test_every_command_of_the_readme_is_understood(repo_root: Path) -> None:
    text = (repo_root / "README.md").read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0] for block in blocks for line in block.splitlines()]
    # in a sentence: `train gan`, `python -m train clips`; the rest of a backticked word is no command
    lines += [said.replace("\n", " ") for said in re.findall(r"`((?:python -m )?train [a-z][^`]*)`", text)]
    understood = {"train": 0, "detector": 0}
    for line in lines:
        # RUN, DIR and the like are taken as they stand; [--option] may be left out or not
        found = re.search(r"(?:-m |-m -- |^)(train|detector)( .*)?$", line.replace("[", "").replace("]", ""))
        if not found:
            continue
        words = shlex.split(found[2] or "")
        try:
            if found[1] == "train":
                asked(words)
            else:
                command_line_parser().parse_args(words)
        except (SystemExit, ValueError) as error:
            pytest.fail(f"README says {line.strip()!r}, which is not understood: {error}")
        understood[found[1]] += 1
    assert understood["train"] > 30 and understood["detector"] > 5


def test_figures_are_written_between_the_markers_only(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{START}\nstale line\n{END}\nafter\n")
    manifest = read_manifest()
    for _ in range(2):
        update_readme(path, manifest, EVALUATION)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith(f"{END}\nafter\n") and "stale line" not in text
    assert (
        text.count("| dfl | 4 | 4 | one class only | 0.700 | 0.710 | -0.010 (-0.020 to +0.004) | 0.710 | 0 of 2 |") == 1
    )
    assert metrics_table(manifest.entry("default").record)[2] in text
    path.write_text("nothing")
    with pytest.raises(ValueError, match="needs the lines"):
        update_readme(path, manifest, EVALUATION)
