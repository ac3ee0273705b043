"""The frames of a video as small JPEGs, made while it is judged: the page needs no second pass through the file."""

from typing import TYPE_CHECKING, Any

from app.pictures import Picture, jpeg, shrink
from detector import Face
from detector.drawing import around

if TYPE_CHECKING:
    import numpy as np

    from detector.video import VideoInfo

FRAME_PX = 1280
THUMB_PX = 160
_MAX_BYTES = 64 << 20
_MAX_FACES = 8
_SAME_S = 0.0015  # times are shown and stored in milliseconds


class Stills:
    """Every frame with a face, large and small, and its faces: what `Detector.file` shows its `observer`.

    Attributes:
        info: of the video; None of a photo, or of a file that could not be opened.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self.info: VideoInfo | None = None
        self._left = max_bytes
        self._times: list[float] = []
        self._pictures: dict[tuple[Any, ...], Picture] = {}

    def opened(self, info: "VideoInfo") -> None:
        """Takes what is known of the video."""
        self.info = info

    def frame_judged(self, time_s: float, image: "np.ndarray", faces: tuple[Face, ...]) -> None:
        """Keeps the pictures of a frame, (H, W, 3) uint8 RGB, as long as there is room."""
        if not faces or self._left <= 0:
            return
        self._times.append(time_s)
        small, size = shrink(image, FRAME_PX), (image.shape[1], image.shape[0])
        self._keep(("frame", time_s), jpeg(small, FRAME_PX, of=size))
        self._keep(("thumb", time_s), jpeg(small, THUMB_PX, of=size))
        for face in sorted(faces, key=lambda f: -f.size_px)[:_MAX_FACES]:
            self._keep(("face", time_s, face.box), jpeg(around(image, face), THUMB_PX))

    def frame(self, time_s: float) -> Picture | None:
        """The frame at a time, at most 1280 px wide or high; None if it was not kept."""
        return self._pictures.get(("frame", self._kept_at(time_s)))

    def thumb(self, time_s: float) -> Picture | None:
        """The same, at most 160 px wide or high."""
        return self._pictures.get(("thumb", self._kept_at(time_s)))

    def face(self, time_s: float, face: Face) -> Picture | None:
        """A small square picture of a face in the frame at a time; None if it was not kept."""
        return self._pictures.get(("face", self._kept_at(time_s), face.box))

    def _keep(self, key: tuple[Any, ...], picture: Picture) -> None:
        self._pictures[key] = picture
        self._left -= len(picture.data)

    def _kept_at(self, time_s: float) -> float:
        nearest = min(self._times, key=lambda stored_s: abs(stored_s - time_s), default=time_s)
        return nearest if abs(nearest - time_s) <= _SAME_S else time_s
