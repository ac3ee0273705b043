"""What size, codec, border and sharpness tell of the class, on faces whose confounds are known."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from train.__main__ import main
from train.studies.confounds import Confounds, pairs_of

HEAD = ("path", "label", "slice", "group", "split", "native_face_px", "compression", "outside", "blob")


def write_folder(folder: Path, rng: np.random.Generator, n: int = 24) -> Path:
    """Two manipulated slices against plain noise: "large" is larger, "plain" is not told by anything."""
    rows = []
    for slice_name, label, px in (("photos", "real", 90), ("large", "fake", 180), ("plain", "fake", 90)):
        for i in range(n):
            side = px + int(rng.integers(-12, 13))
            path = f"{slice_name}-{i}.png"
            cv2.imwrite(str(folder / path), rng.integers(0, 256, (side, side, 3)).astype(np.uint8))
            rows.append(
                (path, label, slice_name, f"{slice_name}/{i}", "train", side, f"jpeg:{rng.integers(70, 96)}", 0.0, "ab")
            )
    with (folder / "faces.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(HEAD)
        writer.writerows(rows)
    return folder


def test_size_is_told_where_it_differs_and_nothing_where_nothing_does(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, np.random.default_rng(0))
    assert main(["confounds", "--data", str(folder), "--equal"]) == 0
    with (folder / "confounds.csv").open(newline="") as handle:
        found = {row["manipulated"]: row for row in csv.DictReader(handle)}
    assert set(found) == {"large (train)", "plain (train)"}
    assert float(found["large (train)"]["size"]) > 0.95 and float(found["large (train)"]["all"]) > 0.9
    for family in ("size", "codec", "border", "sharpness"):
        assert 0.2 < float(found["plain (train)"][family]) < 0.8, family
    assert float(found["large (train)"]["border"]) == pytest.approx(0.5)


def test_a_slice_with_both_classes_is_its_own_pair_and_sources_are_drawn_alike() -> None:
    def rows(slice_name: str, label: str, n: int) -> list[dict[str, str]]:
        return [
            dict(zip(HEAD, (f"{slice_name}{i}", label, slice_name, f"g{i}", "train", "1", "", "0", "a"), strict=True))
            for i in range(n)
        ]

    table = [*rows("both", "real", 20), *rows("both", "fake", 20), *rows("other", "real", 300), *rows("x", "fake", 15)]
    both, x = pairs_of(table, 40, np.random.default_rng(0))
    assert (both.fake, both.genuine, len(both.rows)) == ("both (train)", "both", 40)
    assert (x.fake, x.genuine) == ("x (train)", "all of train")
    assert sum(r["slice"] == "both" for r in x.rows) == 20 and sum(r["slice"] == "other" for r in x.rows) == 20


def test_a_folder_without_faces_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["confounds", "--data", str(tmp_path)]) == 1
    assert "python -m train sources" in capsys.readouterr().err
    with pytest.raises(ValueError, match="at least"):
        Confounds(most=2)
