"""The table of sources, and what is taken out of git repositories by it; every repository is made here."""

import subprocess
from pathlib import Path

import pytest

from train.data.mirrors.catalogue import Source, draw_splits, group_namer, read_sources, split_of
from train.data.mirrors.repository import find_mirror, list_blobs, open_blobs
from train.data.mirrors.store import wanted
from train.errors import DataError


def a_source(**given: object) -> Source:
    """A row with plain values, but for those given."""
    plain = dict(
        slice="s", label=0, kind="real", method="none", genre="portrait", repository="o/n", files=r"\.jpg$",
        take="pictures", part="", group="file", split="train", cap=None, jpeg="", counts=(0, 0, 0), licence="", note="",
    )  # fmt: skip
    return Source(**{**plain, **given})  # type: ignore[arg-type]


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, **files: bytes | None) -> None:
    """Commits files (None removes one); "__" in a name stands for "/" and a name ends in .jpg unless it has a dot."""
    for name, data in files.items():
        path = folder / (name.replace("__", "/") + ("" if "." in name else ".jpg"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink() if data is None else path.write_bytes(data)
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "files")


@pytest.fixture
def mirrors(tmp_path: Path) -> Path:
    """A folder of mirrors with o/n, whose second commit removed b.jpg and renamed a.jpg."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    commit(work, a=b"first", b=b"second")
    commit(work, a=None, b=None, sub__a=b"first", c=b"third")
    git(work, "clone", "-q", "--bare", str(work), str(tmp_path / "mirrors" / "o+n"))
    return tmp_path / "mirrors"


def test_files_of_the_whole_history_are_listed_once_each_and_read(mirrors: Path) -> None:
    git_dir = find_mirror(mirrors, "o/n")
    assert git_dir is not None
    blobs = list_blobs(git_dir)
    assert sorted(b.path for b in blobs) == ["b.jpg", "c.jpg", "sub/a.jpg"]
    with open_blobs(git_dir) as reader:
        assert {b.path: reader.read(b.sha) for b in blobs} == {
            "b.jpg": b"second",
            "c.jpg": b"third",
            "sub/a.jpg": b"first",
        }
        with pytest.raises(DataError, match="not in this mirror"):
            reader.read("0" * 40)


def test_a_blob_that_the_mirror_lacks_is_not_listed(mirrors: Path) -> None:
    git_dir = find_mirror(mirrors, "o/n")
    assert git_dir is not None
    gone = next(b for b in list_blobs(git_dir) if b.path == "c.jpg")
    (git_dir / "objects" / gone.sha[:2] / gone.sha[2:]).unlink()
    assert sorted(b.path for b in list_blobs(git_dir)) == ["b.jpg", "sub/a.jpg"]


def test_no_mirror_is_none_and_no_repository_an_error(mirrors: Path, tmp_path: Path) -> None:
    assert find_mirror(mirrors, "o/other") is None
    with pytest.raises(DataError, match="git"):
        list_blobs(tmp_path)


def test_wanted_files_come_in_an_order_that_their_names_do_not_decide(mirrors: Path) -> None:
    git_dir = find_mirror(mirrors, "o/n")
    assert git_dir is not None
    blobs = list_blobs(git_dir)
    order = [b.sha for b in wanted(blobs, a_source())]
    assert order == [b.sha for b in wanted(blobs[::-1], a_source())]
    assert [b.path for b in wanted(blobs, a_source(files="^sub/"))] == ["sub/a.jpg"]


@pytest.mark.parametrize(
    ("rule", "path", "group"),
    [
        ("file", "x/y.jpg", "s/x/y.jpg"),
        ("folder", "x/y.jpg", "s/x"),
        ("source", "x/y.jpg", "s"),
        (r"case(\d+)/", "case7/out.jpg", "s/7"),
        (r"data/(\w+)/ => person_{1}", "data/anna/1.jpg", "person_anna"),
    ],
)
def test_group_rules(rule: str, path: str, group: str) -> None:
    assert group_namer(a_source(group=rule), [])(path) == group


def test_original_and_both_directions_of_a_ffpp_pair_are_one_group() -> None:
    paths = ["real/033.mp4", "real/097.mp4", "fake/033_097.mp4", "fake/097_033.mp4", "real/555.mp4"]
    name = group_namer(a_source(group="ffpp pair"), paths)
    assert {name(p) for p in paths[:4]} == {"ffpp_033_097"}
    with pytest.raises(DataError, match="555"):
        name("real/555.mp4")


def test_a_group_rule_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(DataError, match="does not fit"):
        group_namer(a_source(group=r"case(\d+)"), [])("x.jpg")


def test_split_of_a_row_with_exceptions() -> None:
    source = a_source(split="train; val: a b; test: c")
    assert [split_of(source, g) for g in "abcd"] == ["val", "val", "test", "train"]
    with pytest.raises(ValueError, match="cannot be understood"):
        split_of(a_source(split="training"), "a")


def test_the_extraction_of_a_row_does_not_depend_on_label_or_split() -> None:
    assert a_source(split="val", group="source", note="x").extraction() == a_source().extraction()
    assert a_source(cap=5).extraction() != a_source().extraction()


def test_a_third_of_each_genre_is_drawn_whatever_the_order() -> None:
    given = [(f"o/{i}", genre) for genre in ("event", "portrait") for i in range(genre == "event", 7)]
    given = [(f"{genre}/{name}", genre) for name, genre in given]
    drawn = draw_splits(given)
    assert drawn == draw_splits(given[::-1])
    assert sum(r.startswith("event") for r in drawn) == 2 and sum(r.startswith("portrait") for r in drawn) == 3
    assert abs(sum(s == "val" for s in drawn.values()) - sum(s == "test" for s in drawn.values())) <= 1
    assert draw_splits([("o/n", "archive")]) == {}


def test_two_rows_of_one_key_and_a_genuine_swap_are_refused(tmp_path: Path) -> None:
    head = "slice,label,kind,method,genre,repository,files,take,part,group,split,cap,jpeg,train,val,test,licence,note\n"
    row = "s,real,real,none,,o/n,x,pictures,,file,train,,,,,,none,\n"
    table = tmp_path / "sources.csv"
    table.write_text(head + row)
    assert [s.key for s in read_sources(table)] == ["s/real/none"]
    for wrong in (row + row, row.replace(",real,real,", ",real,swap,"), row.replace("train", "trian")):
        table.write_text(head + wrong)
        with pytest.raises(DataError):
            read_sources(table)


def test_the_table_of_the_project_keeps_to_the_drawing() -> None:
    sources = read_sources()
    drawn = draw_splits([(s.repository, s.genre) for s in sources if s.genre])
    for source in sources:
        if source.genre:
            assert source.split == drawn.get(source.repository, "train"), source.key


def test_the_table_of_the_project_names_terms_and_holds_whole_generators_out() -> None:
    sources = [s for s in read_sources() if s.take != "packs"]
    assert all(s.licence and s.repository.count("/") == 1 for s in sources)
    held_out = {s.slice for s in sources if s.label and s.kind == "synthesis" and s.split in ("val", "test")}
    trained = {s.method for s in sources if s.split == "train"}
    assert len({s.method for s in sources if s.slice in held_out} - trained) >= 2
    assert any(s.kind == "reenactment" and s.split == "test" for s in sources)
