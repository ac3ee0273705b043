"""What clips may show: hand-computed limits, persons never on both sides, caps, and the recipe on a made set."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import train.measure.clips as clips_measured
from detector import pipeline
from detector.aggregate import MIN_FRAMES, ClipRule, PersonScore, person_score
from detector.calibration import BAND_RATES, VIDEO_BAND_RATES, Calibration, FalseAlarmCurve, edges, sigmoid, thresholds
from detector.errors import WeightsError
from detector.manifest import default_folder, read_manifest, write_manifest
from detector.pipeline import MAX_FRAMES, Detector
from detector.results import read_results
from detector.types import BandCap
from train.__main__ import main
from train.data.datasets.clips import person_of, read_all_clips, read_clips
from train.data.samples import fingerprint
from train.data.sources import load_samples
from train.errors import DataError
from train.learn.options import Data, Folders
from train.measure.calibrate import CURVE_RATES, fit_calibration
from train.measure.clips import (
    ClipPerson,
    bias_corrected,
    cap_of,
    choose_calibration,
    clip_curve,
    clip_persons,
    false_alarms,
    fit_clips,
    known_bias,
    person_folds,
    persons_needed,
    tolerated,
)
from train.measure.slices import clip_figures
from train.recipes import publish
from train.recipes.clips import Clips, clip_sections, run, with_clips
from train.recipes.publish import Publish
from train.store.documents import clip_bands_text
from train.store.results import videos

FACES = FalseAlarmCurve(CURVE_RATES, tuple(-np.log(CURVE_RATES)))


def someone(
    logit: float, person: str, label: int = 0, *, known: bool = False, source: str = "a", chances: int = 4
) -> ClipPerson:
    return ClipPerson(label, source, person, known, PersonScore(logit, logit, logit, 0, 7, chances))


def crowd(logits: np.ndarray, label: int = 0, *, known: bool = False, name: str = "p") -> list[ClipPerson]:
    return [someone(float(x), f"{name}{i}", label, known=known) for i, x in enumerate(logits)]


def test_tolerance_limits_are_those_of_the_tables() -> None:
    # 95 % confidence that at least 90 % are below: none of 29, one of 46, two of 61, three of 76
    for n, k in ((28, None), (29, 0), (45, 0), (46, 1), (60, 1), (61, 2), (76, 3)):
        assert tolerated(n, 0.10) == k
    assert (tolerated(148, 0.02), tolerated(149, 0.02)) == (None, 0)
    assert [persons_needed(rate) for rate in VIDEO_BAND_RATES.values()] == [29, 99, 598]


def test_an_edge_set_on_a_tolerance_limit_keeps_its_promise_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    low = FalseAlarmCurve((0.5, 0.1), (-99.0, -98.0))
    kept = 0
    for _ in range(300):
        people = crowd(rng.normal(0, 1, 46))
        edge = clip_curve(people, np.array([p.score.logit for p in people]), low).edge(0.1)
        # the true share of a standard normal above 1.2816 is 10 %
        kept += edge >= 1.2816
    assert kept / 300 >= 0.93


def test_edges_of_clips_by_hand() -> None:
    people = crowd(np.arange(46.0))
    logits = np.array([p.score.logit for p in people])
    found = clip_curve(people, logits, FACES)
    # one of 46 may exceed the edge of 10 %: the second highest is the edge
    assert found.edge(0.1) == 44
    # of 50 %, 17 may: 46 persons, P(at most 17 | one half) = 5.2 %, so 16
    assert found.edge(0.5) == 45 - tolerated(46, 0.5) == 29
    # what they cannot show stays as far above the faces' edges as at the last that they show
    assert found.edge(0.005) - FACES.edge(0.005) == pytest.approx(44 - FACES.edge(0.1))
    # never below the faces
    rates = {*FACES.rates, *VIDEO_BAND_RATES.values()}
    low = clip_curve(people, logits - 99, FACES)
    assert set(low.rates) == rates and all(low.edge(rate) == FACES.edge(rate) for rate in rates)
    # too few for any edge: the faces'
    assert clip_curve(people[:4], logits[:4], FACES) == low


def test_several_clips_of_one_person_count_as_one() -> None:
    alone = crowd(np.arange(46.0))
    # four clips of the highest: together one person, which may exceed the edge
    often = [*alone, *(someone(50.0 + i, "p45") for i in range(3))]
    logits = np.array([p.score.logit for p in often])
    assert clip_curve(often, logits, FACES).edge(0.1) == 44


def test_memory_is_taken_out_and_never_to_the_favour_of_what_is_known() -> None:
    steps = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    people = [
        *crowd(0.5 + steps, name="new"),
        *crowd(-1.0 + steps / 2, known=True, name="old"),
        *crowd(1.0 + steps, 1, name="newfake"),
        *crowd(4.0 + steps / 4, 1, known=True, name="oldfake"),
    ]
    assert known_bias(people) == {
        "genuine": {"known": -1.0, "unknown": 0.5, "spread": 2.0},
        "manipulated": {"known": 4.0, "unknown": 1.0, "spread": 4.0},
    }
    assert bias_corrected(people) == pytest.approx([*(0.5 + steps), *(0.5 + steps), *(1 + steps), *(1 + steps)])
    # known ones that score worse, and further apart, than unknown ones stay as they are
    swapped = [replace(p, known=not p.known) for p in people]
    assert bias_corrected(swapped).tolist() == [p.score.logit for p in swapped]
    # four persons are no measurement
    assert known_bias(people[1:])["genuine"] == {"known": 0.0, "unknown": 0.0, "spread": 1.0}
    # a person with many clips counts once
    more = [*people, someone(-7.0, "old2", known=True)]
    assert known_bias(more)["genuine"]["known"] == pytest.approx(-1.0 + (-4.0 + 1.0) / 5)


def test_only_the_most_suspicious_person_of_a_manipulated_clip_counts_as_manipulated() -> None:
    logits = [np.full(8, -1.0), np.full(8, 2.0), np.full(3, 9.0)]
    fake = clip_persons(1, "a", "x", False, logits)
    assert [p.score.logit for p in fake] == [2.0]
    # three frames are too few
    assert [p.score.logit for p in clip_persons(0, "a", "x", False, logits)] == [-1.0, 2.0]
    assert clip_persons(1, "a", "x", False, []) == ()


def test_no_person_is_on_both_sides_of_a_fold() -> None:
    rng = np.random.default_rng(0)
    people = [
        someone(float(rng.normal()), f"p{int(rng.integers(25))}", label, known=bool(i % 2))
        for i in range(60)
        for label in (0, 1)
    ]
    folds = person_folds(people, 5)
    left_out = np.concatenate([outside for _, outside in folds])
    assert sorted(left_out.tolist()) == list(range(len(people)))
    for inside, outside in folds:
        assert not {people[i].person for i in inside} & {people[i].person for i in outside}
        assert {people[i].label for i in outside} == {0, 1}


def test_calibration_on_clips_needs_a_gain_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    right = [*crowd(rng.normal(-1, 1.4, 40)), *crowd(rng.normal(1, 1.4, 40), 1, name="f")]
    logits = np.array([p.score.logit for p in right])
    same, about = choose_calibration(right, logits)
    assert (same.scale, same.offset, about["chosen"]) == (1.0, 0.0, "faces")
    # five times too sure and shifted: a gain that no draw of persons takes away
    wrong, about = choose_calibration(right, logits * 5 + 6)
    assert about["chosen"] == "clips" and about["gain"]["low"] > 0
    plain = fit_calibration(right, logits)
    assert wrong.scale == pytest.approx(plain.scale / 5, rel=0.01)
    assert wrong.offset == pytest.approx(plain.offset - 6 * plain.scale / 5, rel=0.01)
    # the wrong way round: faces know better
    assert choose_calibration(right, -logits)[1]["chosen"] == "faces"


def test_files_are_judged_by_edges_that_their_persons_took_no_part_in() -> None:
    logits = np.linspace(-3, -1, 46)
    logits[-1] = 2.0
    # with itself among the tolerated ones it would be one of 46 in any case; without it 45 persons tolerate none
    alarms, files = false_alarms(crowd(logits), FACES, 4.0)
    edge = FACES.edge(0.1)
    assert edge > 2.0 and alarms["weak"]["k"] == 0
    logits[-1] = edge + 0.5
    alarms, files = false_alarms(crowd(logits), FACES, 4.0)
    assert alarms["weak"] == {**alarms["weak"], "n": 46, "k": 1.0, "rate": round(1 / 46, 4)}
    assert alarms["weak"]["low"] < 1 / 46 < alarms["weak"]["high"] and alarms["strong"]["k"] == 0
    # the others' edges fall when it is left out, but never below those of faces
    assert files["2-4"]["weak"] <= 3 / 46 * 1.5


def test_composed_files_alarm_no_more_often_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Genuine persons whose scores are somewhat higher than the curve of faces says."""
    monkeypatch.setattr(clips_measured, "FILES", 150)
    logits = 0.4 + np.random.default_rng(0).exponential(size=160)
    edge = edges(FACES)["weak"]
    assert (logits > edge).mean() > 0.1, "by the edges of faces alone they would alarm too often"
    alarms, files = false_alarms(crowd(logits), FACES, 4.0)
    for row in ({b: a["rate"] for b, a in alarms.items()}, files["2-4"], files["5+"]):
        assert row["weak"] <= 0.1 and row["strong"] <= VIDEO_BAND_RATES["strong"] and row["very_strong"] <= 0.02


RARE = {"weak": 0.02, "strong": 0.01, "very_strong": 0.0}


@pytest.mark.parametrize(
    ("persons", "rates", "expected"),
    [
        (28, {"1": RARE}, ("little", "too_few_clips", 29)),
        (29, {"1": RARE}, ("weak", "too_few_clips", 99)),
        (99, {"1": RARE}, ("strong", "too_few_clips", 598)),
        (598, {"1": RARE}, None),
        (598, {"1": RARE, "5+": {**RARE, "weak": 0.11}}, ("little", "too_many_alarms", None)),
        (598, {"1": RARE, "5+": {**RARE, "strong": 0.031}}, ("weak", "too_many_alarms", None)),
        # a promise that is just kept is kept
        (598, {"1": dict(VIDEO_BAND_RATES)}, None),
    ],
)
def test_the_cap_is_the_strongest_band_that_was_shown(
    persons: int, rates: dict[str, dict[str, float]], expected: tuple[str, str, int | None] | None
) -> None:
    found = cap_of(persons, rates)
    if expected is None:
        assert found is None
    else:
        assert found == BandCap(expected[0], expected[1], persons, expected[2])  # type: ignore[arg-type]


def made_people() -> list[ClipPerson]:
    rng = np.random.default_rng(3)
    return [
        *crowd(rng.normal(-1.5, 1, 30), name="new"),
        *crowd(rng.normal(-2.5, 1, 25), known=True, name="old"),
        *crowd(rng.normal(1, 1, 5), 1, name="newfake"),
        *crowd(rng.normal(3, 1, 15), 1, known=True, name="oldfake"),
    ]


def test_a_section_holds_what_the_product_needs_and_is_the_same_again() -> None:
    people = made_people()
    found = fit_clips(people, FACES)
    assert found == fit_clips(people, FACES)
    assert json.loads(json.dumps(found)) == found
    assert found["cap"] == {"band": "weak", "reason": "too_few_clips", "persons": 55, "needed": 99}
    assert found["persons"]["genuine_unknown"] == 30 and found["runs"] == 4
    moves = found["known_bias"]
    assert 0.5 < moves["genuine"]["unknown"] - moves["genuine"]["known"] < 1.6
    assert -3.0 < moves["manipulated"]["unknown"] - moves["manipulated"]["known"] < -1.0
    assert found["false_alarms"]["weak"]["rate"] <= 0.1


def test_too_few_genuine_persons_show_nothing() -> None:
    people = made_people()
    with pytest.raises(DataError, match="29 are needed"):
        fit_clips(people[:28], FACES)
    with pytest.raises(DataError, match="10 of them"):
        fit_clips([replace(p, known=True) for p in people], FACES)


def test_groups_that_show_one_person_are_one() -> None:
    same = {person_of(f"FuxiVirtualHuman_furious_talk{i}_clip{j}") for i, j in ((1, 1), (1, 2), (2, 1), (2, 7))}
    assert len(same) == 1
    assert person_of("FuxiVirtualHuman_happyenglish_clip2") == person_of("tanshuai0219_expression_source")
    assert person_of("dfl_src2") == person_of("dfl_src27") != person_of("dfl_src28")
    assert person_of("anyone") == "anyone"


def test_figures_of_whole_clips_by_hand() -> None:
    found = clip_figures(
        np.array([0, 0, 0, 1, 1]),
        ["a", "a", "b", "c", "d"],
        np.array([0.1, 0.6, 0.2, 0.9, 0.5]),
        ["little", "weak", "little", "strong", "little"],
    )
    # five of six pairs are in order; no class has five persons
    assert found["auc"] == {"value": 0.8333, "low": None, "high": None, "n": 5}
    assert found["false_alarms"]["weak"]["k"] == 1 and found["false_alarms"]["strong"]["k"] == 0
    # one of two clips of one of two persons
    assert found["false_alarms"]["weak"]["low"] < 0.25 < found["false_alarms"]["weak"]["high"]
    assert found["caught"]["strong"]["k"] == 1 and found["caught"]["very_strong"]["k"] == 0
    text = clip_bands_text({**found, "left_out": 1, "cap": {"band": "weak", "reason": "too_few_clips"}})
    assert "3 genuine clips of 2 persons, 2 manipulated" in text and "weak 1 of 3" in text and text.endswith(".")


class FakeDetector:
    """Reads what the networks say from the clip's bytes."""

    asked = 0

    def __init__(self, models: str, *, weights_dir: Path) -> None:
        self.members = read_manifest(weights_dir).entry(models).members

    def person_logits(self, path: Path, *, max_frames: int) -> tuple[np.ndarray, ...]:
        FakeDetector.asked += 1
        mean = json.loads(path.read_text())["logit"]
        rng = np.random.default_rng([*path.name.encode()])
        # a second person too short to judge
        return rng.normal(mean, 0.5, (max_frames, len(self.members))), np.zeros((1, len(self.members)))


@pytest.fixture
def made_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A data folder with clips whose bytes say what is to be found in them, and a copy of the published manifest."""
    root, weights = tmp_path / "data", tmp_path / "weights"
    rng = np.random.default_rng(0)
    (root / "videos").mkdir(parents=True)
    for folder in ("real_data", "fake_data"):
        (root / folder).mkdir()
        for i in range(40):
            (root / folder / f"{folder}{i}_0.png").write_bytes(b"x")
    trained = sorted({s.group for s in load_samples(root, 0) if s.split == "train" and not s.label})
    rows = []
    for i in range(60):
        label, mean = ("fake", 2.0) if i >= 45 else ("real", -2.0)
        # some persons of the clips are in the training pictures
        group = trained[i] if i < 15 else f"someone{i}"
        path = root / "videos" / f"{i}.mp4"
        path.write_text(json.dumps({"logit": float(rng.normal(mean, 0.7)), "i": i}))
        split = "test" if i in (40, 59) else "val" if i % 2 else "train"
        rows.append({"file": f"videos/{i}.mp4", "label": label, "slice": "a", "group": group, "split": split})
    with (root / "videos.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    weights.mkdir()
    for name in ("manifest.json", "results.csv", "curves.json", "stacking.safetensors"):
        if (default_folder() / name).exists():
            shutil.copyfile(default_folder() / name, weights / name)
    manifest = read_manifest(weights)
    data = replace(manifest.data, fingerprint=fingerprint(load_samples(root, 0)))
    write_manifest(weights, replace(manifest, data=data))
    monkeypatch.setattr(pipeline, "Detector", FakeDetector)
    monkeypatch.setattr(clips_measured, "FILES", 30)
    FakeDetector.asked = 0
    return root, weights


def test_the_recipe_adds_a_section_to_every_entry_once_and_for_all(made_set: tuple[Path, Path], tmp_path: Path) -> None:
    root, weights = made_set
    before = read_manifest(weights)
    options = Clips(weights_dir=weights, folders=Folders(root, tmp_path / "runs"))
    sections = run(options)
    manifest = read_manifest(weights)
    measured = read_results(manifest)
    assert measured is not None and set(sections) == set(manifest.names())
    # every clip of train and val went through the product once, those of test never
    assert FakeDetector.asked == 58
    for name in manifest.names():
        entry = manifest.entry(name)
        rule, fit = videos(sections[name])
        assert entry.published.clips == rule and rule.frames == MAX_FRAMES and measured.curves.clips[name] == fit
        assert entry.clips.cap is not None and entry.clips.cap.persons == 44
        assert fit.persons.genuine_unknown == 29
        # at every number of persons, edges are those of faces or higher
        for n in (1, 3, 8):
            low, high = edges(entry.curve, n), edges(entry.clips.curve, n)
            scale, offset = entry.clips.calibration.scale, entry.clips.calibration.offset
            assert all(high[b] >= scale * low[b] + offset - 1e-3 for b in BAND_RATES)
    assert "44 genuine persons" in (weights / "README.md").read_text()
    rest, _ = with_clips(manifest, measured, {})
    assert rest == with_clips(before, measured, {})[0], "nothing else in the manifest has changed"
    written = (weights / "manifest.json").read_bytes()
    run(options)
    assert FakeDetector.asked == 58 and (weights / "manifest.json").read_bytes() == written
    # other frames are other logits
    run(replace(options, max_frames=8))
    assert FakeDetector.asked == 116


def test_a_stopped_scan_goes_on_and_a_torn_line_is_read_again(made_set: tuple[Path, Path], tmp_path: Path) -> None:
    root, weights = made_set
    manifest, clips = read_manifest(weights), read_clips(root)
    first = clip_sections(manifest, clips, set(), tmp_path)
    kept = next((tmp_path / "cache").glob("clips-*.jsonl"))
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:20]) + "\n" + lines[20][: len(lines[20]) // 2])
    FakeDetector.asked = 0
    assert clip_sections(manifest, clips, set(), tmp_path) == first
    assert FakeDetector.asked == 38
    FakeDetector.asked = 0
    assert clip_sections(manifest, clips, set(), tmp_path) == first and FakeDetector.asked == 0


def test_other_data_and_missing_clips_are_refused(
    made_set: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, weights = made_set
    arguments = ["clips", "--data_root", str(root), "--weights_dir", str(weights), "--runs_dir", str(tmp_path / "runs")]
    before = (weights / "manifest.json").read_bytes()
    (root / "real_data" / "another_0.png").write_bytes(b"x")
    assert main(arguments) == 1
    assert "other data" in capsys.readouterr().err
    (root / "real_data" / "another_0.png").unlink()
    (root / "videos.csv").unlink()
    assert main(arguments) == 1
    assert "videos.csv" in capsys.readouterr().err
    assert (weights / "manifest.json").read_bytes() == before
    with pytest.raises(ValueError, match="max_frames"):
        Clips(max_frames=-1)
    (weights / "manifest.json").unlink()
    with pytest.raises(WeightsError, match="no weights"):
        run(Clips(weights_dir=weights, folders=Folders(root)))


def test_publishing_takes_the_section_along_and_goes_on_without_clips_or_with_too_few(
    made_set: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, weights = made_set
    options = Publish(runs=(), data=Data(root, tmp_path / "runs"))
    data = SimpleNamespace(train=[s for s in load_samples(root, 0) if s.split == "train"])
    published = read_manifest(weights)
    found = read_results(published)
    assert found is not None
    manifest, measured = with_clips(published, found, {})
    added, more = publish._with_clips(manifest, measured, data, options)  # type: ignore[arg-type]
    assert with_clips(added, more, {}) == (manifest, measured)
    assert [fit.persons.genuine for fit in more.curves.clips.values()] == [44] * len(manifest.names())
    # as the recipe makes them from the published set
    first = next(iter(added.models))
    assert (added.models[first].clips, more.curves.clips[first]) == videos(
        run(Clips(weights_dir=weights, folders=Folders(root, tmp_path / "runs")))[first]
    )

    lines = (root / "videos.csv").read_text().splitlines()
    (root / "videos.csv").write_text("\n".join(lines[:21]) + "\n")
    assert publish._with_clips(manifest, measured, data, options) == (manifest, measured)  # type: ignore[arg-type]
    assert "stay uncalibrated: 20 genuine persons" in capsys.readouterr().out
    (root / "videos.csv").unlink()
    assert publish._with_clips(manifest, measured, data, options) == (manifest, measured)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def judge() -> Detector:
    return Detector()


def test_the_product_judges_persons_by_the_rule_of_clips(judge: Detector, repo_root: Path) -> None:
    clip = repo_root / "app" / "samples" / "clip.mp4"
    entry = judge.entry
    low = FalseAlarmCurve((0.5, 0.1, 0.02, 0.005), (-99.0, -98.0, -97.0, -96.0))
    cap = BandCap("weak", "too_few_clips", 51, 149)
    found = {}
    try:
        for name, rule in {
            "old": ClipRule.unmeasured(entry.curve),
            "open": ClipRule(Calibration(1.0, 0.0), low, 1.0, None),
            "capped": ClipRule(Calibration(2.0, 0.5), low, 1.0, cap),
        }.items():
            judge.entry = judge._verdicts.entry = replace(entry, clips=rule)
            found[name] = judge.video(clip, max_frames=12)
        logits = judge.person_logits(clip, max_frames=12)
    finally:
        judge.entry = judge._verdicts.entry = entry
    old, free, capped = found["old"], found["open"], found["capped"]
    assert old.band_cap == BandCap("weak", "not_measured", 0, None, applied=old.band_cap.applied)
    assert old.band in ("little", "weak")
    assert free.band_cap is None and free.band == "very_strong"
    assert capped.band_cap == replace(cap, applied=True) and {p.band for p in capped.persons if p.band} == {"weak"}
    # the file's persons and runs raise the edges, as one number
    seen = [[p.time_s for p in person.timeline if p.prob_fake is not None] for person in old.persons]
    times_of = {len(times): times for times in seen}
    assert len(times_of) == len(seen), "the persons of this clip are told apart by their number of frames"
    scores = [
        person_score(judge._verdicts.combine(rows), np.random.default_rng(0), times_s=times)
        for rows, times in zip(logits, (times_of[len(rows)] for rows in logits), strict=True)
        if len(rows) >= MIN_FRAMES
    ]
    chances = ClipRule.unmeasured(entry.curve).chances(scores)
    assert old.thresholds == thresholds(entry.curve, chances, VIDEO_BAND_RATES)
    assert free.thresholds == thresholds(low, chances, VIDEO_BAND_RATES)
    # what calibration on clips is made from is what the verdict is made from
    worst = max(score.logit for score in scores)
    assert old.prob_fake == pytest.approx(float(sigmoid(worst)), abs=1e-6)
    assert capped.prob_fake == pytest.approx(float(sigmoid(2.0 * worst + 0.5)), abs=1e-6)
    assert capped.range is not None and capped.range.low <= capped.prob_fake <= capped.range.high
    assert all(rows.shape[1] == len(entry.members) for rows in logits)


def test_clips_of_several_folders_keep_their_persons_apart(tmp_path: Path) -> None:
    head = "file,label,slice,group,split,original\n"
    folders = {
        "base": "a.mp4,real,pairs,ffpp_001_002,train,seen in a repository\n",
        "more": (
            "b.mp4,real,pairs,ffpp_001_002,train,videos/001.mp4\nc.mp4,real,pairs,ffpp_003_004,val,videos/003.mp4\n"
            "d.mp4,real,pairs,ffpp_003_004,val,videos/004.mp4\ne.mp4,fake,pairs,ffpp_003_004,val,videos/003_004.mp4\n"
        ),
    }
    for name, rows in folders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "videos.csv").write_text(head + rows)
        for row in rows.splitlines():
            (tmp_path / name / row.split(",")[0]).touch()
    clips = read_all_clips(tmp_path / "base", [tmp_path / "more"])
    # the two of a pair are two persons, but not beside clips that do not say which of them they show
    assert [c.person for c in clips] == [
        "ffpp_001_002", "ffpp_001_002", "ffpp_003_004/003", "ffpp_003_004/004", "ffpp_003_004",
    ]  # fmt: skip
