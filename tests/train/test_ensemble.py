"""Combinations of networks: against hand-computed cases and scikit-learn; fitted without a look at one's own answer."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.calibration import Calibration, sigmoid
from detector.ensemble import Ensemble, Stacker, average, golden_logits_of_members, majority, weighted_majority
from detector.errors import WeightsError
from detector.manifest import read_manifest
from detector.weights import load_ensemble, save_stacker
from tests.fakes.manifests import ensemble, network
from tests.fakes.manifests import manifest as made_manifest
from train.data.samples import Sample
from train.measure.ensembles import choose_default, export, fit_ensembles, fit_pipeline, fit_stacker, vote_weights
from train.measure.metrics import auc
from train.measure.selection import paired_gain, selection_figures

PLAIN = Calibration(1.0, 0.0)
RBF: dict[str, Any] = {"components": 2, "kernel": "rbf", "C": 3.0, "gamma": 0.5}
LINEAR: dict[str, Any] = {"components": 3, "kernel": "linear", "C": 0.1}


def faces(n: int, seed: int = 0) -> tuple[list[Sample], np.ndarray]:
    """n faces of four sources in groups of two, and what three networks of different worth say of them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    samples = [
        Sample(Path("x"), None, f"{i}", int(labels[i]), f"s{i // 2 % 4}", f"g{i // 2}", "m", "val") for i in range(n)
    ]
    worth = np.array([2.0, 1.0, 0.2])
    return samples, (labels[:, None] - 0.5) * worth + rng.normal(0, 1, (n, 3))


def test_hand_computed_combinations() -> None:
    probs = np.array([[0.2, 0.4, 0.9], [0.0, 0.5, 1.0]])
    assert average(probs) == pytest.approx([0.5, 0.5])
    votes = np.array([[True, False, True], [False, False, False], [True, True, True], [False, True, False]])
    assert majority(votes) == pytest.approx([2 / 3, 0, 1, 1 / 3])
    assert weighted_majority(votes, [1, 3, 1]) == pytest.approx([0.4, 0, 1, 0.6])


def test_an_ensemble_takes_logits_and_calibrates() -> None:
    logits = np.array([[-2.0, 0.0, 2.0], [3.0, 4.0, 5.0]])
    mean = Ensemble("average", 3, PLAIN)
    assert sigmoid(mean(logits)) == pytest.approx(sigmoid(logits).mean(axis=1))
    # certain in double precision: still a finite logit
    assert np.isfinite(mean(np.full((1, 3), 800.0))).all()
    vote = Ensemble("majority", 3, Calibration(3.0, -1.0), edges=(-3.0, 0.0, 1.0))
    assert vote.votes(logits).tolist() == [[True, False, True], [True, True, True]]
    assert vote(logits) == pytest.approx([1.0, 2.0])
    weighted = Ensemble("weighted_majority", 3, PLAIN, edges=(-3.0, 0.0, 1.0), weights=(0.5, 0.3, 0.2))
    assert weighted(logits) == pytest.approx([0.7, 1.0])
    assert Ensemble("network", 1, PLAIN)(logits[:, :1]) == pytest.approx(logits[:, 0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "guess"}, "no combination"),
        ({"kind": "network"}, "2 networks"),
        ({"kind": "majority", "edges": (1.0,)}, "an edge for each"),
        ({"kind": "weighted_majority", "edges": (1.0, 1.0), "weights": (1.0, -1.0)}, "none negative"),
        ({"kind": "weighted_majority", "edges": (1.0, 1.0), "weights": (0.0, 0.0)}, "not all zero"),
        ({"kind": "stacking"}, "stacked classifier"),
    ],
)
def test_impossible_combinations_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Ensemble(**{"members": 2, "calibration": PLAIN, **arguments})


def test_a_missing_column_is_an_error_and_no_silent_vote() -> None:
    vote = Ensemble("majority", 3, PLAIN, edges=(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="logits of 3 networks"):
        vote(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="no vote"):
        Ensemble("average", 2, PLAIN).votes(np.zeros((4, 2)))


@pytest.mark.parametrize("setting", [RBF, LINEAR], ids=["rbf", "linear"])
def test_the_stacker_is_scikit_learns(setting: dict[str, Any]) -> None:
    samples, logits = faces(300)
    pipeline = fit_pipeline(samples, logits, setting)
    stacker = export(pipeline, logits)
    assert np.abs(stacker(logits) - pipeline.decision_function(logits)).max() < 1e-6
    inside = np.clip(faces(200, seed=1)[1], logits.min(axis=0), logits.max(axis=0))
    assert np.abs(stacker(inside) - pipeline.decision_function(inside)).max() < 1e-6


def test_beyond_what_it_saw_the_stacker_stays_at_the_border() -> None:
    samples, logits = faces(300)
    stacker = fit_stacker(samples, logits, RBF)
    assert stacker(logits.max(axis=0)[None] + 50) == pytest.approx(stacker(logits.max(axis=0)[None]))


def test_a_stacker_comes_back_from_its_file(tmp_path: Path) -> None:
    samples, logits = faces(120)
    stacker = fit_stacker(samples, logits, RBF)
    saved = save_stacker(stacker, tmp_path / "stacking.safetensors")
    assert (tmp_path / "stacking.safetensors").stat().st_size == saved.bytes
    stacked = {"kind": "stacking", "stacker": saved}
    networks = {name: network() for name in "abc"}
    manifest = made_manifest(tmp_path, networks, {"stacking": ensemble(("a", "b", "c"), **stacked)})
    assert load_ensemble(manifest, "stacking").score(logits) == pytest.approx(stacker(logits), abs=1e-12)

    short = made_manifest(tmp_path, networks, {"stacking": ensemble(("a", "b"), **stacked)})
    with pytest.raises(WeightsError, match="another number of networks"):
        load_ensemble(short, "stacking")
    (tmp_path / "stacking.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="damaged"):
        load_ensemble(manifest, "stacking")
    (tmp_path / "stacking.safetensors").unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_ensemble(manifest, "stacking")


def test_arrays_that_do_not_fit_are_refused() -> None:
    samples, logits = faces(60)
    arrays = fit_stacker(samples, logits, RBF).arrays()
    with pytest.raises(ValueError, match="has the arrays"):
        Stacker.from_arrays({k: v for k, v in arrays.items() if k != "gamma"})
    with pytest.raises(ValueError, match="do not fit"):
        Stacker.from_arrays({**arrays, "vectors": arrays["vectors"][:, :1]})
    with pytest.raises(ValueError, match="impossible"):
        Stacker.from_arrays({**arrays, "scale": arrays["scale"] * 0})


def test_votes_weigh_by_how_good_their_network_is() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    good = np.array([False] * 9 + [True] + [True] * 9 + [False])
    guess = np.array([False, True] * 10)
    weights = vote_weights(np.stack([good, guess], axis=1), labels, 1.0)
    assert weights == pytest.approx((1.0, 0.0))
    assert vote_weights(np.stack([guess, guess], axis=1), labels, 1.0) == (0.5, 0.5)
    # 0.9 and 0.8 right: log-odds 2.197 and 1.386
    fair = np.array([False] * 8 + [True] * 2 + [True] * 8 + [False] * 2)
    assert vote_weights(np.stack([good, fair], axis=1), labels, 1.0) == pytest.approx((0.6131, 0.3869), abs=1e-4)


def test_every_combination_is_fitted_and_calibrated_on_scores_of_other_folds() -> None:
    samples, logits = faces(400)
    labels = np.array([s.label for s in samples])
    found = fit_ensembles(samples, logits, [0.5, 0.5, 0.5], set())
    assert list(found) == ["average", "majority", "weighted_majority", "stacking"]
    for fitted in found.values():
        assert auc(labels, fitted.calibrated) > 0.75
        # calibrated: the mean probability is the share of manipulated faces
        assert sigmoid(fitted.calibrated).mean() == pytest.approx(0.5, abs=0.03)
    assert found["weighted_majority"].ensemble.weights[0] > found["weighted_majority"].ensemble.weights[2]
    assert found["stacking"].settings["components"] in (1, 2, 3)
    # the vote of a face that helped to fit it would differ from the cross-validated one
    assert not np.allclose(found["stacking"].ensemble(logits), found["stacking"].calibrated)
    assert np.allclose(found["average"].ensemble(logits), found["average"].calibrated)


def test_labels_without_a_pattern_look_no_better_than_a_guess() -> None:
    samples, logits = faces(400)
    noise = np.random.default_rng(5).normal(size=logits.shape)
    # what was fitted on its own answers would reach far more than 0.5 here
    found = fit_ensembles(samples, noise, [0.5, 0.5, 0.5], set())
    labels = np.array([s.label for s in samples])
    assert all(auc(labels, fitted.calibrated) < 0.6 for fitted in found.values())


def test_what_cannot_be_fitted_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    samples, logits = faces(200)
    # two networks have no majority
    assert list(fit_ensembles(samples, logits[:, :2], [0.5, 0.5], set())) == ["average", "stacking"]
    # one group has no folds, and votes that nobody casts say nothing
    one = [dataclasses.replace(s, group="the only one") for s in samples]
    assert list(fit_ensembles(one, logits, [99.0, 99.0, 99.0], set())) == ["average"]
    said = capsys.readouterr().out
    assert "stacking is left out" in said and "too few groups" in said and "majority is left out" in said


def test_a_gain_needs_an_interval_that_excludes_zero() -> None:
    samples, logits = faces(400)
    rng = np.random.default_rng(0)
    sure = paired_gain(samples, logits[:, 0], logits[:, 2], set(), rng)
    assert sure.low is not None and sure.low > 0.1
    same = paired_gain(samples, logits[:, 0], logits[:, 0], set(), rng)
    assert (same.value, same.low, same.high) == (0, 0, 0)

    strong = logits[:, 0] + np.array([s.label for s in samples])
    singles = {"good": logits[:, 0], "poor": logits[:, 2]}
    chosen, reason, rows = choose_default(samples, {**singles, "average": strong}, ["average"], set(), rng)
    assert chosen == "average" and "average gains" in reason and rows[0]["better"]
    worse = {**singles, "average": logits[:, 0] + logits[:, 2] * 3, "stacking": logits[:, 0] * 2}
    chosen, reason, rows = choose_default(samples, worse, ["average", "stacking"], set(), rng)
    assert chosen == "good" and "no gain beyond chance: average" in reason
    assert [r["better"] for r in rows] == [False, False] and {r["against"] for r in rows} == {"good"}


def test_the_score_of_a_draw_is_the_score_of_the_drawn_faces() -> None:
    samples, logits = faces(160)
    samples = [
        s if i < 120 else Sample(s.path, None, s.name, 0, "new", s.group, "m", "val") for i, s in enumerate(samples)
    ]
    rng = np.random.default_rng(3)
    gain = paired_gain(samples, logits[:, 0], logits[:, 1], {"new"}, rng, rounds=200)
    point = [selection_figures(samples, logits[:, i], {"new"})["score"] for i in (0, 1)]
    assert gain.value == pytest.approx(point[0] - point[1])
    assert gain.low is not None and gain.high is not None and gain.low < gain.value < gain.high


def test_published_ensembles_reproduce_their_golden_scores() -> None:
    manifest = read_manifest()
    for name, published in manifest.ensembles.items():
        ensemble = load_ensemble(manifest, name)
        assert ensemble.members == len(published.members)
        found = ensemble(golden_logits_of_members(ensemble.members))
        assert found == pytest.approx(published.golden_scores, abs=1e-3)
