"""Cells to figures and differences: against hand-computed cases and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from train.errors import DataError
from train.measure.metrics import auc_draws, group_draws
from train.studies.left_out_figures import (
    BASELINE,
    Cell,
    cell_figures,
    mean_figures,
    page,
    paired_differences,
    summary,
)


def cell(labels: list[int], logits: list[float], *, groups: list[str] | None = None, own: int | None = None) -> Cell:
    n = len(labels)
    return Cell(
        names=tuple(f"n{i}" for i in range(n)),
        labels=np.array(labels),
        sources=np.array(["s"] * n),
        groups=np.array(groups or [f"g{i}" for i in range(n)]),
        own=np.arange(n) < (n if own is None else own),
        logits=np.array(logits),
        edge=0.0,
        hours=0.5,
    )


LABELS = [0] * 10 + [1] * 10
BETTER = cell(LABELS, [-1.0] * 9 + [1.0] + [-0.5] * 2 + [2.0] * 8)
WORSE = cell(LABELS, [-1.0] * 6 + [1.0] * 4 + [-0.5] * 5 + [2.0] * 5)


def test_figures_of_a_cell_by_hand() -> None:
    found = cell_figures(BETTER)
    assert (found["genuine"], found["manipulated"], found["borrowed"]) == (10, 10, 0)
    assert found["false_alarms"]["value"] == 0.1 and found["caught"]["value"] == 0.8
    assert found["false_alarms"]["low"] < 0.1 < found["false_alarms"]["high"]
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(LABELS, BETTER.logits), abs=1e-4)
    assert found["auc_slices"] == found["auc"]["value"]
    assert found["by_source"] == {"s": {"genuine": [10, 1], "manipulated": [10, 8]}}


def test_borrowed_faces_count_for_the_auc_alone() -> None:
    found = cell_figures(cell(LABELS, BETTER.logits.tolist(), own=10))
    assert found["borrowed"] == 10 and "caught" not in found and "auc_slices" not in found
    assert found["auc"] == cell_figures(BETTER)["auc"] and found["false_alarms"]["value"] == 0.1


def test_a_cell_is_the_same_after_its_file() -> None:
    again = Cell.from_dict(BETTER.to_dict())
    assert again.to_dict() == BETTER.to_dict() and cell_figures(again) == cell_figures(BETTER)


def test_means_are_over_the_folds_that_every_variant_has() -> None:
    found = summary({BASELINE: {"one": WORSE, "two": BETTER}, "no_twins": {"one": BETTER}})
    assert found[BASELINE]["mean_over"] == found["no_twins"]["mean_over"] == ["one"]
    assert found[BASELINE]["mean"]["false_alarms"] == 0.4 and found["no_twins"]["mean"]["false_alarms"] == 0.1
    assert found[BASELINE]["mean_of_all"]["false_alarms"] == pytest.approx(0.25)
    assert "mean_of_all" not in found["no_twins"]
    apart = summary({BASELINE: {"one": WORSE}, "no_twins": {"two": BETTER}})
    assert apart["no_twins"]["mean"]["false_alarms"] == 0.1 and "difference" not in apart["no_twins"]


def test_means_are_over_folds() -> None:
    found = mean_figures({"one": BETTER, "two": WORSE})
    assert found["false_alarms"] == pytest.approx(0.25) and found["caught"] == pytest.approx(0.65)


def test_paired_differences_see_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    same = paired_differences({"one": BETTER, "two": WORSE}, {"one": BETTER, "two": WORSE}, rng)
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in same.values())
    found = paired_differences({"one": BETTER}, {"one": WORSE, "two": WORSE}, rng)
    assert found["false_alarms"].value == pytest.approx(-0.3) and found["caught"].value == pytest.approx(0.3)
    assert found["auc"].value == pytest.approx(
        roc_auc_score(LABELS, BETTER.logits) - roc_auc_score(LABELS, WORSE.logits)
    )
    assert all(d.n == 1 and d.low is not None and d.low <= d.value <= (d.high or 0) for d in found.values())
    assert (found["false_alarms"].low or 0) < -0.3 < (found["false_alarms"].high or 0) < 0.01


def test_folds_that_disagree_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    agree = paired_differences({"one": BETTER, "two": BETTER}, {"one": WORSE, "two": WORSE}, rng)["false_alarms"]
    differ = paired_differences({"one": BETTER, "two": WORSE}, {"one": WORSE, "two": BETTER}, rng)["false_alarms"]
    assert differ.value == pytest.approx(0)
    assert (differ.high or 0) - (differ.low or 0) > (agree.high or 0) - (agree.low or 0)


def test_cells_of_other_faces_are_not_compared() -> None:
    other = cell(LABELS[1:], BETTER.logits[1:].tolist())
    with pytest.raises(DataError, match="different faces"):
        paired_differences({"one": BETTER}, {"one": other}, np.random.default_rng(0))


def test_the_page_says_what_differs_and_by_how_much() -> None:
    cells = {BASELINE: {"one": WORSE, "two": WORSE}, "no_twins": {"one": BETTER}}
    summed = summary(cells)
    assert summed["no_twins"]["folds"] == ["one"] and summed["no_twins"]["hours"] == 0.5
    figures = {v: {f: cell_figures(c) for f, c in by_fold.items()} for v, by_fold in cells.items()}
    text = page(summed, figures, {BASELINE: {}, "no_twins": {"twins": 0.0}}, "a network")
    assert "| baseline | - | 1 |" in text and "| no_twins | twins 0.0 | 1 |" in text
    assert "| baseline, all its folds | - | 2 |" in text and "no_twins, all" not in text
    assert "-30.0 pp (" in text and "| 40.0% |" in text
    assert text.count("\n| two | 10 | 10 |") == 1


def test_bootstrap_draws_count_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(1)
    labels = np.array([0, 1] * 30)
    scores = np.round(labels + rng.normal(0, 1, 60), 1)  # with ties
    groups = [f"g{i // 4}" for i in range(60)]
    draws = group_draws(groups, labels, rng, 20)
    assert draws.shape == (20, 60) and (draws.sum(axis=1) == 60).all()
    for row, value in zip(draws, auc_draws(labels, scores, draws), strict=True):
        assert value == pytest.approx(roc_auc_score(np.repeat(labels, row), np.repeat(scores, row)))
        assert all(len(set(row[[g == name for g in groups]])) == 1 for name in set(groups))
