"""How often bands change in copies that are saved anew: counted by hand, and on a real face through the real search."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detector.calibration import FalseAlarmCurve
from detector.faces.detect import FaceDetector
from detector.manifest import Limits
from detector.media import read_image
from detector.resaved import band_falls
from detector.results import read_results, write_results
from detector.types import CHANGES, BandFalls, Share
from tests.fakes import fake_app
from train.data.samples import Sample
from train.measure.resaved import UNCHANGED, held_figures, resaved_logits
from train.recipes.evaluate import keep_resaved
from train.store import results
from train.store.documents import card, resaved_table, weights_readme

CURVE = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-1.0, 0.0, 1.0, 2.0))
NONE = np.nan


def sample(name: str, label: int, path: Path = Path("none")) -> Sample:
    return Sample(path=path, member=None, name=name, label=label, source="s", group=name, method="m", split="val")


@pytest.fixture(scope="module")
def counted() -> dict[str, dict[str, Any]]:
    """Genuine: little and steady, little and rising, weak and falling, without a verdict; manipulated: four strong."""
    samples = [sample(f"g{i}", 0) for i in range(4)] + [sample(f"m{i}", 1) for i in range(4)]
    before = np.array([-2, -2, 0.5, NONE, 1.5, 1.5, 1.5, 1.5])
    after = {change: before.copy() for change in CHANGES}
    after["jpeg_50"] = np.array([-2, 0.5, -2, NONE, 1.5, 0.5, 2.5, NONE])
    after["crop"] = np.array([-2, -2, 0.5, 3.0, 1.5, 1.5, 0.5, 1.5])
    return held_figures(samples, {UNCHANGED: before, **after}, CURVE)


def test_faces_whose_band_falls_or_rises_are_counted_in_any_copy_and_in_each(counted: dict[str, Any]) -> None:
    def shares(row: str) -> tuple[float, ...]:
        return tuple(round(counted[row][figure]["value"], 3) for figure in ("fell", "lost", "rose"))

    assert counted["genuine"]["fell"]["n"] == 3, "what had no verdict before is left out"
    assert shares("genuine") == (0.333, 0.0, 0.333)
    assert shares("genuine, weak or more") == (1.0, 0.0, 0.0) and counted["genuine, weak or more"]["fell"]["n"] == 1
    # one falls, one is lost, one rises in one copy and falls in another
    assert shares("manipulated") == shares("manipulated, weak or more") == (0.5, 0.25, 0.25)
    assert shares("manipulated, jpeg_50") == (0.25, 0.25, 0.25)
    assert shares("manipulated, crop") == (0.25, 0.0, 0.0) and shares("manipulated, jpeg_95") == (0.0, 0.0, 0.0)
    assert all(0 <= f["low"] <= f["value"] <= f["high"] <= 1 for row in counted.values() for f in row.values())


def test_without_faces_of_a_class_there_is_no_row() -> None:
    logits = {name: np.array([-2.0]) for name in (UNCHANGED, *CHANGES)}
    found = held_figures([sample("g", 0)], logits, CURVE)
    assert set(found) == {"genuine", *(f"genuine, {change}" for change in CHANGES)}


class Brightness:
    """A network whose logit is the mean of the crop."""

    size_px = 64

    def logits(self, crops: list[np.ndarray]) -> np.ndarray:
        return np.array([float(crop.mean()) for crop in crops])


@pytest.fixture(scope="module")
def portrait(portrait_path: Path) -> tuple[Sample, dict[str, Any]]:
    one = sample("portrait", 0, portrait_path)
    return one, {one.name: FaceDetector().detect([read_image(portrait_path)])[0][0]}


def test_a_real_face_is_found_again_in_every_copy(portrait: tuple[Sample, dict[str, Any]]) -> None:
    one, faces = portrait
    found = resaved_logits([one], faces, [Brightness(), Brightness()], Limits(24, 0.0))  # type: ignore[list-item]
    assert set(found) == {UNCHANGED, *CHANGES} and all(rows.shape == (1, 2) for rows in found.values())
    # the same face: its brightness hardly changes, as it would in another part of the picture
    assert all(abs(rows - found[UNCHANGED]).max() < 6 for rows in found.values())


def test_what_is_too_small_in_a_copy_has_no_logit(portrait: tuple[Sample, dict[str, Any]], tmp_path: Path) -> None:
    one, faces = portrait
    limits = Limits(0.8 * faces[one.name].size_px, 0.0)
    found = resaved_logits([one], faces, [Brightness()], limits)  # type: ignore[list-item]
    assert np.isnan(found["size_50"]).all() and np.isfinite(found["jpeg_50"]).all()
    blurred = resaved_logits([one], faces, [Brightness()], Limits(0, 1e9))  # type: ignore[list-item]
    assert all(np.isnan(rows).all() for rows in blurred.values())
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((512, 512, 3), 128, np.uint8))
    lost = resaved_logits([replace(one, path=grey)], faces, [Brightness()], Limits(0, 0))  # type: ignore[list-item]
    assert np.isfinite(lost[UNCHANGED]).all() and np.isnan(lost["crop"]).all()


def test_figures_reach_the_results_the_documents_and_the_verdict(counted: dict[str, Any], tmp_path: Path) -> None:
    manifest = fake_app.manifest(tmp_path)
    before = fake_app.results()
    without = {name: replace(choice, resaved={}) for name, choice in before.choices.items()}
    write_results(tmp_path, replace(before, choices=without, curves=replace(before.curves, resaved_faces=None)))
    published = read_results(manifest)
    assert published is not None
    rows = {row: results.figures(found) for row, found in counted.items()}
    choices = {name: replace(choice, resaved=rows) for name, choice in published.choices.items()}
    curves = replace(published.curves, resaved_faces="validation")
    keep_resaved(manifest, replace(published, choices=choices, curves=curves))
    kept = read_results(manifest)
    assert kept is not None and kept.curves.resaved_faces == "validation"
    assert kept.choices["average"].resaved == rows
    assert kept.choices["average"].slices == published.choices["average"].slices, "all else stays"
    falls = band_falls(kept, "average")
    assert falls is not None and falls.manipulated is not None and falls.genuine is not None
    assert (falls.manipulated.k, falls.manipulated.n, falls.faces) == (2, 4, "validation")
    assert falls == BandFalls(Share(1, 1, falls.genuine.low, 1.0), falls.manipulated, "validation")
    assert band_falls(published, "average") is band_falls(None, "average") is band_falls(kept, "another") is None
    page = weights_readme(manifest, kept, {})
    assert "## Saved again" in page and "Validation faces, since" in page
    assert "manipulated, saved as JPEG 50" in page and "50.0% (" in page
    assert "## Saved again" not in weights_readme(manifest, published, {})
    said = card(manifest, kept, "average")
    assert "of 1 genuine and 50.0% (" in said and "of 4 manipulated faces.\nThese are validation faces" in said
    assert "Fragile evidence" in said and "Fragile evidence" not in card(manifest, published, "average")
    assert len(resaved_table(rows)) == 2 + len(rows)
    assert json.loads((tmp_path / "curves.json").read_text())["resaved_faces"] == "validation"
