"""The README's figures are the published ones, and writing them works."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from detector.__main__ import command_line_parser
from detector.manifest import read_manifest
from detector.results import read_results
from tests.house import verdict_fields
from train.__main__ import asked
from train.gan.readme import write_readme
from train.store.documents import write_documents
from train.store.goals import goals


def test_the_documents_of_the_weights_are_those_of_their_figures(repo_root: Path, tmp_path: Path) -> None:
    folder = repo_root / "weights"
    manifest = read_manifest()
    for name in ("manifest.json", "results.csv", "curves.json", "product.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    write_documents(replace(manifest, folder=tmp_path))
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.md")}
    assert made == {Path("README.md"), Path("DATA.md"), *(Path("cards") / f"{n}.md" for n in manifest.names())}
    for path in made:
        assert (folder / path).read_text() == (tmp_path / path).read_text(), f"weights/{path} is behind its figures"
    assert {path.name for path in (folder / "cards").iterdir()} == {f"{name}.md" for name in manifest.names()}


def test_goals_at_even_odds_take_the_highest_of_each_kind() -> None:
    manifest = read_manifest()
    found = read_results(manifest)
    assert found is not None
    on_yonsei = {n: c.even_odds["yonsei"].value for n, c in found.choices.items()}
    lines = goals(manifest, found)
    (single,) = (line for line in lines if line.startswith("- yonsei") and "single networks" in line)
    (ensemble,) = (line for line in lines if line.startswith("- yonsei") and "ensembles" in line)
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


DOCUMENTS = {
    "README.md": (5, 5),
    "train/README.md": (25, 0),
    "train/LOG.md": (15, 0),
    ".github/CONTRIBUTING.md": (0, 0),
    "CHANGELOG.md": (1, 0),
}
"""What people read -> least commands of train and of detector that it names."""


@pytest.mark.parametrize(("name", "least"), DOCUMENTS.items())
def test_every_command_of_the_documents_is_understood(repo_root: Path, name: str, least: tuple[int, int]) -> None:
    text = (repo_root / name).read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [re.split(r"\s#", line)[0] for block in blocks for line in block.splitlines()]
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
            pytest.fail(f"{name} says {line.strip()!r}, which is not understood: {error}")
        understood[found[1]] += 1
    assert understood["train"] >= least[0] and understood["detector"] >= least[1]


def test_the_front_page_is_short(repo_root: Path) -> None:
    assert len((repo_root / "README.md").read_text().splitlines()) <= 250


@pytest.mark.parametrize(
    "name", [*DOCUMENTS, "weights/README.md", "weights/DATA.md", "weights/gan/README.md", "weights/cards/average.md"]
)
def test_links_between_documents_lead_somewhere(repo_root: Path, name: str) -> None:
    path = repo_root / name
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{name} links to {target}, which does not exist"


def test_the_fields_of_a_verdict_are_those_of_the_types(repo_root: Path) -> None:
    written = (repo_root / "detector" / "VERDICT.md").read_text()
    assert written == verdict_fields.page(), "run `python -m tests.house.verdict_fields`"
    assert "`prob_fake`" in written and "of the most suspicious face or person" in written
