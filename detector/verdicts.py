"""Logits to results: bands, ranges, scores of single networks. Pure functions of one choice; nothing is read or run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detector.aggregate import MIN_FRAMES, PersonScore, person_score, smooth, stands_out
from detector.calibration import BAND_RATES, VIDEO_BAND_RATES, band_of, edges, sigmoid, thresholds
from detector.ensemble import VOTES, Ensemble
from detector.judge import Judged
from detector.manifest import Entry
from detector.persons import Tracked
from detector.types import (
    BandCap,
    Coverage,
    FaceVerdict,
    Person,
    ProbRange,
    Resaved,
    Score,
    StandsOut,
    Thresholds,
    TimelinePoint,
)
from detector.video import covered_s


@dataclass(frozen=True, slots=True)
class Persons:
    """Persons of a video, most suspicious first, with the edges that they were judged by; None if nobody was judged."""

    persons: tuple[Person, ...]
    thresholds: Thresholds | None
    band_cap: BandCap | None


class Verdicts:
    """Logits to verdicts, for one choice.

    Args:
        entry: the choice.
        members: of its networks, each as a choice of its own.
        ensemble: how they are combined.
    """

    def __init__(self, entry: Entry, members: Sequence[Entry], ensemble: Ensemble) -> None:
        self.entry, self.members, self._ensemble = entry, tuple(members), ensemble

    def combine(self, logits: Sequence[np.ndarray | None] | np.ndarray) -> np.ndarray:
        """Members' calibrated logits (N, M) to this choice's calibrated logits (N,)."""
        return self._ensemble(np.stack([row for row in logits if row is not None]))

    def combined(self, logits: np.ndarray | None) -> float:
        """The same of one face, (M,); 0 where it was not judged."""
        return 0.0 if logits is None else float(self.combine([logits])[0])

    def face(self, number: int, judged: Judged, n: float, resaved: tuple[Resaved, ...]) -> FaceVerdict:
        """One face of a photo, with `n` chances to alarm in it."""
        if judged.logits is None:
            return FaceVerdict(number, judged.face, "no_verdict", judged.reason, None, None, None, (), judged.sharpness)
        logit = self.combined(judged.logits)
        prob = float(sigmoid(logit))
        probs = [prob, *(r.prob_fake for r in resaved if r.prob_fake is not None)]
        return FaceVerdict(
            number=number,
            face=judged.face,
            status="ok",
            reason=None,
            band=band_of(logit, self.entry.curve, n),
            prob_fake=prob,
            range=ProbRange(min(probs), max(probs), "re-encoding") if resaved else None,
            scores=self._scores(judged.logits, n),
            sharpness=judged.sharpness,
            votes=self._votes(judged.logits),
            resaved=resaved,
        )

    def resaved(self, change: str, judged: Judged | None, n: float) -> Resaved:
        """The result of a face after a change of the picture; `judged` is None where it was not found again."""
        if judged is None or judged.logits is None:
            return Resaved(change, None, None, "no_face" if judged is None else judged.reason)
        logit = self.combined(judged.logits)
        return Resaved(change, float(sigmoid(logit)), band_of(logit, self.entry.curve, n))

    def persons(self, tracked: Tracked[Judged]) -> Persons:
        """Every person of a video, most suspicious first."""
        rule = self.entry.clips
        points = [[(s.time_s, s.judged) for s in person.sightings] for person in tracked.persons]
        usable = [[(s, j) for s, j in seen if j.logits is not None] for seen in points]
        runs = {
            t: rule.calibrated(
                person_score(
                    self.combine([j.logits for _, j in seen]),
                    np.random.default_rng(0),
                    times_s=[s for s, _ in seen],
                )
            )
            for t, seen in enumerate(usable)
            if len(seen) >= MIN_FRAMES
        }
        chances = rule.chances(runs.values())
        duration_s = tracked.info.duration_s
        spacing = spacing_of(tracked.times_s, duration_s)
        order = sorted(range(len(points)), key=lambda t: (t not in runs, -runs[t].logit if t in runs else 0.0))
        persons = tuple(
            self.person(number, points[t], usable[t], runs.get(t), chances, spacing, duration_s)
            for number, t in enumerate(order, 1)
        )
        if not runs:
            return Persons(persons, None, None)
        return Persons(
            persons, thresholds(rule.curve, chances, VIDEO_BAND_RATES), rule.cap_of(runs[order[0]].logit, chances)
        )

    def person(
        self,
        number: int,
        seen: Sequence[tuple[float, Judged]],
        usable: Sequence[tuple[float, Judged]],
        run: PersonScore | None,
        chances: float,
        spacing: float,
        duration_s: float | None,
    ) -> Person:
        """One person of a video.

        Args:
            number: from 1, most suspicious first.
            seen: (time in seconds, face) of all its frames.
            usable: of those that were judged.
            run: its worst run, calibrated; None where it has too few usable frames.
            chances: that the video had to alarm.
            spacing: seconds that a frame stands for.
            duration_s: of the video.
        """
        logits = self.combine([j.logits for _, j in usable]) if usable else np.zeros(0)
        # on the scale of the person's own score and of the edges
        logits = self.entry.clips.calibration(logits)
        probs: Mapping[float, tuple[float, float]] = {
            time: (float(p), float(s))
            for (time, _), p, s in zip(usable, sigmoid(logits), sigmoid(smooth(logits)), strict=True)
        }
        timeline = tuple(TimelinePoint(t, j.face, *probs.get(t, (None, None))) for t, j in seen)
        on_screen = len(seen) * spacing
        shared = {
            "number": number,
            # each frame stands for the time around it, which must not reach past the end
            "on_screen_s": min(on_screen, duration_s) if duration_s else on_screen,
            "timeline": timeline,
        }
        if run is None:
            small = [j.reason for _, j in seen if j.reason]
            reason = max(set(small), key=small.count) if len(small) > len(seen) / 2 else "too_few_frames"
            return Person(
                **shared,  # type: ignore[arg-type]
                status="no_verdict",
                reason=reason,
                band=None,
                prob_fake=None,
                range=None,
                scores=(),
                usable_frames=len(usable),
                worst_window_s=None,
                worst_time_s=None,
            )
        inside = slice(run.first, run.last + 1)
        members = np.stack([j.logits for _, j in usable[inside] if j.logits is not None]).mean(axis=0)
        end = usable[run.last][0] + spacing / 2
        worst = run.first + int(logits[inside].argmax())
        times = [time for time, _ in usable]
        apart = None if self._ensemble.kind in VOTES else stands_out(logits)
        return Person(
            **shared,  # type: ignore[arg-type]
            status="ok",
            reason=None,
            band=self.entry.clips.band(run.logit, chances),
            prob_fake=float(sigmoid(run.logit)),
            range=ProbRange(float(sigmoid(run.low)), float(sigmoid(run.high)), "bootstrap"),
            scores=self._scores(members, chances, clip=True),
            usable_frames=len(usable),
            worst_window_s=(
                max(0.0, usable[run.first][0] - spacing / 2),
                min(end, duration_s) if duration_s else end,
            ),
            worst_time_s=usable[worst][0],
            votes=self._votes(members),
            stands_out=None if apart is None else _apart(times, logits, *apart),
            photo_band=band_of(float(self.combine([members])[0]), self.entry.curve),
        )

    def _scores(self, logits: np.ndarray, chances: float, *, clip: bool = False) -> tuple[Score, ...]:
        """Each network alone, against its own edges; where networks vote, against the edge of its vote.

        Args:
            logits: (M,) of a face, or, with `clip`, means over a person's worst run.
        """
        own: list[Thresholds | None] = [None] * len(self.members)
        if self._ensemble.kind in VOTES:
            limits = list(self._ensemble.edges)
        else:
            curves = [e.clips.curve if clip else e.curve for e in self.members]
            rates = VIDEO_BAND_RATES if clip else BAND_RATES
            limits = [edges(curve, chances, rates)["strong"] for curve in curves]
            own = [thresholds(curve, chances, rates) for curve in curves]
            if clip:
                logits = np.array([e.clips.calibration(logit) for e, logit in zip(self.members, logits, strict=True)])
        return tuple(
            Score(member.name, float(sigmoid(logit)), bool(logit > edge), float(sigmoid(edge)), by_itself)
            for member, logit, edge, by_itself in zip(self.members, logits, limits, own, strict=True)
        )

    def _votes(self, logits: np.ndarray) -> int | None:
        """How many networks vote for manipulation; None where none of them votes."""
        return int(self._ensemble.votes(logits[None]).sum()) if self._ensemble.kind in VOTES else None


def reason_of(reasons: Sequence[str | None]) -> str:
    """Why a file has no verdict: no face at all, else the reason that most faces share."""
    named = [r for r in reasons if r]
    return max(named, key=named.count) if named else "no_face"


def coverage_of(tracked: Tracked[Any], max_frames: int) -> Coverage:
    """How much of a video was looked at."""
    info, times_s, part_s = tracked.info, tracked.times_s, tracked.part_s
    first_s, last_s = part_s or (info.start_s, info.duration_s)
    analysed_s = covered_s(times_s, last_s, start_s=first_s)
    end_s = info.stated_s or info.duration_s
    if end_s is not None and end_s > info.start_s:
        share = min(1.0, analysed_s / (end_s - info.start_s))
    else:  # where nobody knows how long it is, only a video that ended before the frames were spent was seen whole
        share = 1.0 if len(times_s) < max_frames and part_s is None and not tracked.stopped else 0.0
    if part_s is not None and math.isinf(part_s[1]):
        part_s = (part_s[0], max(part_s[0], *times_s))
    return Coverage(
        frames=len(times_s),
        duration_s=end_s,
        analysed_s=analysed_s,
        share=share,
        start_s=info.start_s,
        part_s=part_s,
        scouted=tracked.scouted,
        incomplete=info.cut_off,
        available_s=info.duration_s if info.cut_off else None,
        second_file=info.second_file,
        stopped=tracked.stopped,
    )


def spacing_of(times: Sequence[float], duration_s: float | None) -> float:
    """Seconds that one looked-at frame stands for."""
    if len(times) > 1:
        return float(np.median(np.diff(times)))
    return duration_s or 0.0


def _apart(times: Sequence[float], logits: np.ndarray, first: int, last: int) -> StandsOut:
    outside = np.concatenate([logits[:first], logits[last + 1 :]])
    return StandsOut(
        start_s=times[first],
        end_s=times[last],
        frames=last - first + 1,
        prob_inside=float(sigmoid(logits[first : last + 1].mean())),
        prob_outside=float(sigmoid(outside.mean())),
    )
