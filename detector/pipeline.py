"""The composition and nothing else: file → faces → crops → networks → calibrated verdict."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from detector import apart
from detector.calibration import crowd_of, face_chances, thresholds
from detector.caught import blurred_below, caught_of
from detector.errors import MediaError
from detector.evidence import FrameHash, Provenance
from detector.explain.gradcam import Heatmap, heatmap, scaled_cam
from detector.faces.align import crop_face, crop_frame, paste_heat
from detector.faces.detect import FaceDetector
from detector.faces.search import FaceSearch, region_px
from detector.judge import Judge, Judged
from detector.manifest import read_manifest
from detector.media import (
    HEAD_BYTES,
    MAX_PICTURES,
    Picture,
    no_picture,
    read_head,
    sha256_of,
    size_of,
    sniff_kind,
)
from detector.persons import FrameFaces, Observer, follow_persons
from detector.progress import OnProgress, ShouldStop, Steps
from detector.provenance import read_provenance
from detector.provenance.history import frames_to_hash, perceptual_hash
from detector.resaved import band_falls, changed_copy, same_faces
from detector.results import read_results
from detector.steps import next_steps
from detector.types import (
    BANDS,
    CHANGES,
    Box,
    Caught,
    Coverage,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Kind,
    Measured,
    ModelUsed,
    PictureUsed,
    Resaved,
    VideoVerdict,
)
from detector.verdicts import Verdicts, coverage_of, reason_of
from detector.version import __version__
from detector.weights import load_ensemble
from detector.words import no_verdict_message

Source = Path | bytes
_V = TypeVar("_V", bound=FileVerdict)

MAX_FRAMES = 32
"""Frames of a video that are looked at by default."""
RANGED_FACES = 5
"""Faces of a photo, most suspicious first, that get a range: it costs a forward pass for each of `CHANGES`."""

_FACES_AT_ONCE = 8  # between two of these, a photo's analysis can be cancelled
_VIDEO_WORKING_PX = 640
_VIDEO_MIN_FACE_PX = 24


@dataclass(frozen=True, slots=True)
class _Examined:
    """One picture of a file: its faces, most suspicious first, and the logits of those with a verdict."""

    picture: Picture
    search: FaceSearch
    judged: tuple[Judged, ...]
    logits: np.ndarray

    @property
    def rank(self) -> tuple[float, int]:
        """The larger, the more there is to say: by the most suspicious face, else by the number of faces."""
        return (float(self.logits[0]) if len(self.logits) else -np.inf, len(self.judged))


@dataclass(frozen=True, slots=True)
class Glance:
    """A face in one frame of a stream: its calibrated logit, or the reason why there is none."""

    face: Face
    reason: str | None
    logit: float | None


class Detector:
    """Judges photos and videos with one published network or an ensemble of them.

        verdict = Detector().image("photo.jpg")

    Safe to share between threads; results are frozen values.

    Args:
        models: name of an ensemble or a network of the manifest (`detector.list_models()`).
        weights_dir: folder with `manifest.json`; the bundled `weights/` by default.
        engine: what computes the networks: "openvino", "torch", or "auto", which takes OpenVINO where it is installed
            and there is no GPU; None asks the environment variable UNMASK_ENGINE.

    Attributes:
        backends: what computes each network and the face detection ("faces"), and if it is not OpenVINO, why.

    Raises:
        UnknownModelError: no such name was published.
        WeightsError: the weights are missing or damaged.
        EngineError: no such engine, or OpenVINO was demanded and does not work here.
    """

    def __init__(self, models: str = "default", *, weights_dir: Path | None = None, engine: str | None = None) -> None:
        apart.start()  # while the networks are loaded
        self.manifest = read_manifest(weights_dir)
        self.entry = self.manifest.entry(models)
        self.name = self.entry.name
        members = [self.manifest.entry(member) for member in self.entry.members]
        self._verdicts = Verdicts(self.entry, members, load_ensemble(self.manifest, self.name))
        results = read_results(self.manifest)
        self._changed = results.choices[self.name].changed if results and self.name in results.choices else {}
        self._blurred_below = blurred_below(results.curves.limits if results else None)
        self._measured = Measured(self.entry.false_alarms, self.entry.clip_false_alarms, band_falls(results, self.name))
        self._judge = Judge(self.manifest, self.entry.members, engine)
        self._photo_faces = FaceDetector(engine=engine)
        self._video_faces = video_faces(engine)
        self.backends = {**{e.name: e.backend for e in self._judge.engines}, "faces": self._photo_faces.backend}

    def file(
        self,
        source: Source | str,
        *,
        name: str | None = None,
        max_frames: int = MAX_FRAMES,
        start_s: float | None = None,
        end_s: float | None = None,
        region: Box | None = None,
        observer: Observer | None = None,
        on_progress: OnProgress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> FileVerdict:
        """A photo's or video's verdict; a file that cannot be read is a verdict, too (status "unreadable").

        Args:
            source: path or bytes.
            name: shown as the file's name; the path's last part by default.
            max_frames: of a video that are looked at.
            start_s, end_s: of a video look at the part between these times alone, in seconds.
            region: look for faces in this part of the picture alone, as `image` takes it.
            observer: of a video, shown its frames while they are judged.
            on_progress: called with a share from 0 to 1 and what is being done.
            should_stop: asked often; when it says True, `Cancelled` is raised.
        """
        source = _as_source(source)
        kind: Kind = "unknown"
        try:
            head = read_head(source)
            if not head:
                raise MediaError("The file is empty. Save or download it again.", "empty")
            kind = sniff_kind(head[:HEAD_BYTES])
            if kind == "image":
                return self.image(source, name=name, region=region, on_progress=on_progress, should_stop=should_stop)
            if kind == "video":
                return self.video(
                    source,
                    name=name,
                    max_frames=max_frames,
                    start_s=start_s,
                    end_s=end_s,
                    region=region,
                    observer=observer,
                    on_progress=on_progress,
                    should_stop=should_stop,
                )
            raise no_picture(head)
        except MediaError as error:
            return _with_steps(
                FileVerdict(
                    **self._about(source, name),
                    kind=kind,
                    status="unreadable",
                    reason=error.reason,
                    message=str(error),
                    band=None,
                    prob_fake=None,
                    range=None,
                    width=None,
                    height=None,
                    coverage=None,
                    thresholds=None,
                )
            )

    def image(
        self,
        source: Source | str,
        *,
        name: str | None = None,
        region: Box | None = None,
        on_progress: OnProgress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> ImageVerdict:
        """The verdict of a photo: every face, most suspicious first.

        Of a file that holds several pictures (an animation, pages, a burst) up to `MAX_PICTURES` are looked at. The
        verdict is about the one with the most suspicious face; the edges rise with the faces of all that differ.

        Args:
            region: look for faces in this part alone: (x0, y0, x1, y1) in pixels, or, where no value is above 1, as
                shares of width and height.

        Raises:
            MediaError: the photo cannot be read.
            Cancelled: `should_stop` said so.
        """
        source = _as_source(source)
        step = Steps(on_progress, should_stop)
        step(0.0, "Reading the picture")
        chances = 0
        looked_at: list[int] = []
        known: set[bytes] = set()
        tried: dict[str, None] = {}
        best: _Examined | None = None
        for picture in apart.iter_pictures(source):
            share = 0.7 * len(looked_at) / min(picture.of, MAX_PICTURES)
            looked_at.append(picture.number)
            digest = hashlib.sha256(picture.image.tobytes()).digest()
            if digest in known:  # a still that is shown again is no second chance to alarm
                continue
            known.add(digest)
            examined = self._examined(picture, region, share, step)
            chances += len(examined.logits)
            tried |= dict.fromkeys(examined.search.tried)
            if best is None or examined.rank > best.rank:
                best = examined
        if best is None:  # iter_pictures raises where it has nothing to give
            raise MediaError("The file holds no picture.", "unreadable")
        crowd = crowd_of(best.logits, self.entry.curve, len(known))
        n = face_chances(chances, crowd is not None)
        ranged = [j for j in best.judged if j.logits is not None][:RANGED_FACES]
        resaved = self._resaved(best, ranged, n, step)
        verdicts = tuple(
            self._verdicts.face(number, j, n, resaved[number - 1] if number <= len(ranged) else ())
            for number, j in enumerate(best.judged, 1)
        )
        top = verdicts[0] if len(best.logits) else None
        status, reason = ("ok", None) if top else ("no_verdict", reason_of([j.reason for j in best.judged]))
        band = top.band if top else None
        if band is not None and crowd is not None:
            band = max(band, crowd.band, key=BANDS.index)
        step(1.0, "Done")
        image, of = best.picture.image, best.picture.of
        about = self._about(source, name, image)
        return _with_steps(
            ImageVerdict(
                **about,
                kind="image",
                status=status,  # type: ignore[arg-type]
                reason=reason,
                message=no_verdict_message(reason, "image", tuple(tried)),
                band=band,
                prob_fake=top.prob_fake if top else None,
                range=top.range if top else None,
                width=image.shape[1],
                height=image.shape[0],
                coverage=Coverage(frames=len(looked_at), duration_s=None, analysed_s=None, share=len(looked_at) / of),
                thresholds=thresholds(self.entry.curve, n) if top else None,
                region=None if region is None else region_px(region, image.shape[1], image.shape[0]),
                tried=tuple(tried),
                faces=verdicts,
                picture=PictureUsed(best.picture.number, of, tuple(looked_at)) if of > 1 else None,
                crowd=crowd,
                caught=self._caught(top, about["provenance"]) if top else None,
            )
        )

    def _caught(self, face: FaceVerdict, provenance: Provenance) -> Caught | None:
        return caught_of(self._changed, face.face.size_px, face.sharpness, provenance, self._blurred_below)

    def _examined(self, picture: Picture, region: Box | None, share: float, step: Steps) -> "_Examined":
        """Finds and judges the faces of one picture, the most suspicious first."""
        which = "" if picture.of == 1 else f" in picture {picture.number} of {picture.of}"
        step(max(0.15, share), f"Looking for faces{which}")
        search = FaceSearch(self._photo_faces, region)
        faces = search.detect([picture.image])[0]
        judged: list[Judged] = []
        for i in range(0, len(faces), _FACES_AT_ONCE):
            done = 0.4 + 0.3 * i / len(faces) if picture.of == 1 else max(0.15, share)
            step(done, f"Judging face {i + 1} of {len(faces)}{which}")
            judged += self._judge.image(picture.image, faces[i : i + _FACES_AT_ONCE])
        judged.sort(key=lambda j: (j.logits is None, -self._verdicts.combined(j.logits)))
        logits = np.array([self._verdicts.combined(j.logits) for j in judged if j.logits is not None])
        return _Examined(picture, search, tuple(judged), logits)

    def video(
        self,
        source: Source | str,
        *,
        name: str | None = None,
        max_frames: int = MAX_FRAMES,
        start_s: float | None = None,
        end_s: float | None = None,
        region: Box | None = None,
        observer: Observer | None = None,
        on_progress: OnProgress | None = None,
        should_stop: ShouldStop | None = None,
    ) -> VideoVerdict:
        """The verdict of a video: every person, most suspicious first.

        Args:
            source, name, max_frames, observer, on_progress, should_stop: as for `file`.
            start_s, end_s: look at the part between these times alone, in seconds on a player's clock; None = from the
                first picture, to the last.
            region: look for faces in this part of every frame alone, as `image` takes it.

        Raises:
            MediaError: the video cannot be read, or has no picture in that part ("outside").
            Cancelled: `should_stop` said so.
        """
        source = _as_source(source)
        step = Steps(on_progress, should_stop)
        if region is not None:  # as shares: the quick look over a long video sees small pictures
            info = apart.probe(source)
            x0, y0, x1, y1 = region_px(region, info.width, info.height)
            region = (x0 / info.width, y0 / info.height, x1 / info.width, y1 / info.height)
        search = FaceSearch(self._video_faces, region)
        hashes: dict[int, str] = {}
        numbers, chosen = count(), frames_to_hash(max_frames)

        def judged(frames: Sequence[FrameFaces]) -> list[list[Judged]]:
            for (image, _), number in zip(frames, numbers, strict=False):
                if number in chosen:
                    hashes[number] = perceptual_hash(image)
            return self._judge.frames(frames)

        tracked = follow_persons(
            source,
            search,
            judged,
            max_frames=max_frames,
            on_step=lambda share, what: step(0.95 * share, what),
            start_s=start_s,
            end_s=end_s,
            observer=observer,
        )
        info, times = tracked.info, tracked.times_s
        step(0.96, "Weighing the evidence")
        people = self._verdicts.persons(tracked)
        best = people.persons[0] if people.thresholds is not None else None
        status, reason = ("ok", None) if best else ("no_verdict", reason_of([p.reason for p in people.persons]))
        step(1.0, "Done")
        return _with_steps(
            VideoVerdict(
                **self._about(source, name, hashes=tuple(FrameHash(times[n], value) for n, value in hashes.items())),
                max_frames=max_frames,
                kind="video",
                status=status,  # type: ignore[arg-type]
                reason=reason,
                message=no_verdict_message(reason, "video", search.tried),
                band=best.band if best else None,
                prob_fake=best.prob_fake if best else None,
                range=best.range if best else None,
                width=info.width,
                height=info.height,
                coverage=coverage_of(tracked, max_frames),
                thresholds=people.thresholds,
                region=None if region is None else region_px(region, info.width, info.height),
                tried=search.tried,
                persons=people.persons,
                band_cap=people.band_cap,
            )
        )

    def person_logits(
        self, source: Source | str, *, max_frames: int = MAX_FRAMES, should_stop: ShouldStop | None = None
    ) -> tuple[np.ndarray, ...]:
        """Logits of every network on each person of a video, before anything is combined: for calibration on clips.

        Returns:
            Of each person, (N, M) calibrated logits of the N frames that can be judged, in order of time, by the
            networks of `entry.members`; N may be 0.

        Raises:
            MediaError: the video cannot be read.
            Cancelled: `should_stop` said so.
        """
        tracked = follow_persons(
            _as_source(source),
            FaceSearch(self._video_faces),
            self._judge.frames,
            max_frames=max_frames,
            on_step=Steps(None, should_stop),
        )
        points = [[(s.time_s, s.judged) for s in person.sightings] for person in tracked.persons]
        judged = [[j.logits for _, j in seen if j.logits is not None] for seen in points]
        return tuple(np.reshape(rows, (-1, len(self._judge.engines))) for rows in judged)

    def explain(self, image: np.ndarray, face: Face, model: str | None = None, *, exact: bool = False) -> Heatmap:
        """Where one network sees evidence of manipulation in a face.

        A class activation map, which the network gives along with its logit; of a network that has none, Grad-CAM.

        Args:
            image: (H, W, 3) uint8 RGB.
            face: in pixels of that image.
            model: a network of this detector; by default the first whose maps are proven.
            exact: Grad-CAM, by gradients of the reference network in torch, in any case. Some twenty times slower.
        """
        failed = {n for n, m in self.manifest.models.items() if m.deletion is not None and not m.deletion.passed}
        first = next((e for e in self._judge.engines if e.name not in failed), self._judge.engines[0])
        engine = next((e for e in self._judge.engines if e.name == model), first)
        if engine.name in failed and not exact:
            return Heatmap(np.zeros((1, 1), np.float32), crop_frame(face).bounds(), engine.name, "CAM", proven=False)
        crop = crop_face(image, face, engine.size_px)
        cam = None if exact else engine.logits_and_cam([crop])[1]
        if cam is None:
            heat, method = heatmap(engine.network, engine.network.last_features, engine.tensor([crop])), "Grad-CAM"
        else:
            heat, method = scaled_cam(cam[0], engine.size_px), "CAM"
        laid, box = paste_heat(heat, crop_frame(face))
        return Heatmap(heat=laid, box=box, model=engine.name, method=method)

    def glance(self, image: np.ndarray) -> tuple[Glance, ...]:
        """Every face of one frame of a stream, (H, W, 3) uint8 RGB, judged by itself, without range or history."""
        judged = self._judge.image(image, self._video_faces.detect([image])[0])
        return tuple(
            Glance(j.face, j.reason, None if j.logits is None else self._verdicts.combined(j.logits)) for j in judged
        )

    def _about(
        self,
        source: Source,
        name: str | None,
        image: np.ndarray | None = None,
        hashes: tuple[FrameHash, ...] = (),
    ) -> dict[str, Any]:
        """Fields that every verdict has. `image`: pixels of a picture, (H, W, 3) uint8 RGB; `hashes`: of a video."""
        try:
            digest = sha256_of(source)
        except MediaError:
            digest = ""  # a file that vanished or may not be opened
        shown = name or (source.name if isinstance(source, Path) else "upload")
        provenance = read_provenance(source, shown)
        if image is not None:
            provenance = replace(provenance, perceptual_hash=perceptual_hash(image))
        provenance = replace(provenance, frame_hashes=hashes)
        return {
            "file": shown,
            "size_bytes": size_of(source),
            "sha256": digest,
            "provenance": provenance,
            "engines": dict(self.backends),
            "measured": self._measured,
            "ensemble": self.name,
            "models": tuple(ModelUsed(e.name, e.sha256) for e in self._judge.engines),
            "version": __version__,
            "weights_date": self.manifest.date,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _resaved(
        self, looked: "_Examined", judged: Sequence[Judged], n: float, step: Steps
    ) -> list[tuple[Resaved, ...]]:
        """The results of each of these faces after each of `CHANGES`, from the start: changed, saved, found, judged."""
        results: list[list[Resaved]] = [[] for _ in judged]
        for number, change in enumerate(CHANGES if judged else ()):
            step(0.7 + 0.3 * number / len(CHANGES), f"Trying the picture {CHANGES[change]}")
            image, places = changed_copy(looked.picture.image, change, [j.face for j in judged])
            faces = looked.search.again(image)
            seen = same_faces(faces, places)
            again = iter(self._judge.image(image, [f for f in seen if f is not None]))
            for rows, face in zip(results, seen, strict=True):
                rows.append(self._verdicts.resaved(change, next(again) if face is not None else None, n))
        return [tuple(rows) for rows in results]


def video_faces(engine: str | None = None) -> FaceDetector:
    """Faces of video frames, looked for in a smaller picture: those of 80 px and more in 1080p are found."""
    return FaceDetector(min_face_px=_VIDEO_MIN_FACE_PX, working_px=_VIDEO_WORKING_PX, engine=engine)


def _with_steps(verdict: _V) -> _V:
    return replace(verdict, next_steps=next_steps(verdict))


def _as_source(source: Source | str) -> Source:
    return Path(source) if isinstance(source, str) else source
