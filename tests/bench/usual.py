"""A clip judged the usual way, for `tests.bench` to compare with: every frame read, the whole frame searched by
facenet-pytorch's MTCNN as it comes, crops scored in eager torch.

Only what comes before the weighing is done here: a person's figure is the mean of the logits over frames, taken from
both ways alike. The comparison counts while both find the same faces and come to the same bands and probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from facenet_pytorch import MTCNN

from detector.calibration import Calibration, FalseAlarmCurve, band_of, sigmoid
from detector.engine import Engine
from detector.faces.align import crop_face, overlap
from detector.faces.detect import MIN_CONFIDENCE
from detector.types import Box, Face, VideoVerdict

MAX_SHIFT = 0.03
"""How far apart the two probabilities of a person may be."""

_MIN_OVERLAP = 0.4
"""Overlap of two boxes of one face. MTCNN's boxes move by a tenth of their side between sizes of the same picture."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A face in a frame with its calibrated logit."""

    time_s: float
    box: Box
    logit: float


class UsualWay:
    """MTCNN with its defaults and one network, both in eager torch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mtcnn = MTCNN(keep_all=True)

    def faces(self, image: np.ndarray) -> tuple[Face, ...]:
        """Faces of a picture (H, W, 3) uint8 RGB, as confident as the product demands."""
        boxes, scores, points = self._mtcnn.detect(image, landmarks=True)
        if boxes is None:
            return ()
        rows = zip(
            boxes.astype(float).tolist(), scores.astype(float).tolist(), points.astype(float).tolist(), strict=True
        )
        return tuple(
            Face(tuple(box), tuple((x, y) for x, y in marks), score)
            for box, score, marks in rows
            if score >= MIN_CONFIDENCE
        )

    def video(self, path: Path, times_s: Sequence[float]) -> tuple[Seen, ...]:
        """Every face of the frames shown at those times, with all other frames read, too."""
        capture = cv2.VideoCapture(str(path))
        try:
            fps = capture.get(cv2.CAP_PROP_FPS)
            wanted = {round(time * fps): time for time in times_s}
            frames = []
            number = 0
            while (read := capture.read())[0]:
                if number in wanted:
                    frames.append((wanted[number], np.ascontiguousarray(read[1][..., ::-1])))
                number += 1
        finally:
            capture.release()
        found = [(time, face, image) for time, image in frames for face in self.faces(image)]
        raw = self._engine.logits([crop_face(image, face, self._engine.size_px) for _, face, image in found])
        logits = self._engine.calibration(raw)
        return tuple(Seen(time, face.box, float(x)) for (time, face, _), x in zip(found, logits, strict=True))


def seen_by(verdict: VideoVerdict, calibration: Calibration) -> tuple[tuple[Seen, ...], ...]:
    """For each person of a verdict, the faces that were judged.

    Args:
        calibration: that the verdict has from clips; it is taken out again, since the usual way knows faces alone.
    """
    return tuple(
        tuple(
            Seen(point.time_s, point.face.box, _without(calibration, point.prob_fake))
            for point in person.timeline
            if point.prob_fake is not None and 0 < point.prob_fake < 1
        )
        for person in verdict.persons
    )


def _without(calibration: Calibration, prob: float) -> float:
    return float((np.log(prob / (1 - prob)) - calibration.offset) / calibration.scale)


def difference(
    persons: Sequence[Sequence[Seen]], usual: Sequence[Seen], curve: FalseAlarmCurve
) -> tuple[str | None, float]:
    """Why two ways of judging one clip may not be compared, None if they may; and the largest shift of a probability.

    Args:
        persons: of one way, face by face.
        usual: the faces that the other way found, of nobody in particular.
        curve: of the network, for the bands.
    """
    if not any(persons):
        return "no face was judged", 0.0
    left = list(usual)
    shift = 0.0
    for number, person in enumerate(persons, 1):
        matched = []
        for face in person:
            near = [
                other for other in left if other.time_s == face.time_s and overlap(other.box, face.box) >= _MIN_OVERLAP
            ]
            if not near:
                return f"person {number} at {face.time_s:.2f} s was not found the usual way", shift
            best = max(near, key=lambda other: overlap(other.box, face.box))
            left.remove(best)
            matched.append(best.logit)
        if not person:
            continue
        logits = (float(np.mean([face.logit for face in person])), float(np.mean(matched)))
        probs = sigmoid(np.array(logits))
        shift = max(shift, float(abs(probs[0] - probs[1])))
        bands = [band_of(logit, curve, len(persons)) for logit in logits]
        if bands[0] != bands[1]:
            return f"person {number} is {bands[0]} against {bands[1]}", shift
    if left:
        return f"a face at {left[0].time_s:.2f} s was found the usual way alone", shift
    return (f"a probability differs by {shift:.3f}" if shift > MAX_SHIFT else None), shift
