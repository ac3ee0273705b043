"""What happens to the frames of one live stream, in the stream's own threads."""

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from app import session
from detector import report
from detector.live import LiveAnalyser, LiveFace, LiveState

if TYPE_CHECKING:
    from detector import Detector

_PACE = 60
_COLOURS = {
    "little": (127, 168, 209),
    "weak": (224, 190, 79),
    "strong": (238, 138, 67),
    "very_strong": (229, 101, 106),
    None: (154, 162, 180),
}
"""RGB, the areas of the dark palette: the picture of a camera is seldom lighter than they are."""


class Camera:
    """What happens to the frames of one stream; made and called in the stream's own threads."""

    def __init__(self, detector: "Detector", places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._lock = threading.Lock()
        self.turned_away = not places.acquire(blocking=False)
        self._ended = False
        self._analyser: LiveAnalyser | None = None
        self._drawn: deque[float] = deque(maxlen=_PACE)
        if not self.turned_away:
            self._analyser = LiveAnalyser(detector, on_error=lambda error: session.log_bug("a live stream", error))

    def recv(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Draws what is known onto a frame and passes it on; the analysis goes on beside."""
        image = frame.to_ndarray(format="rgb24")
        analyser = self._analyser
        if analyser is not None:
            analyser.offer(image)
            drawn = image.copy()
            draw(drawn, analyser.state().faces)
            image = drawn
        out = av.VideoFrame.from_ndarray(image, format="rgb24")
        out.pts, out.time_base = frame.pts, frame.time_base
        self._drawn.append(time.monotonic())
        return out

    async def recv_queued(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        """Only the newest of the frames that came meanwhile."""
        return [self.recv(frames[-1])]

    def on_ended(self) -> None:
        """Ends the analysis and gives the place to the next stream. Streamlit-webrtc may call it more than once."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            analyser, self._analyser = self._analyser, None
        if analyser is not None:
            analyser.close()
        if not self.turned_away:
            self._places.release()

    def state(self) -> LiveState:
        """What is known of the stream by now."""
        analyser = self._analyser
        return analyser.state() if analyser is not None else LiveState()

    @property
    def frames_per_second(self) -> float:
        """Frames drawn a second, of late."""
        times = list(self._drawn)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def draw(image: np.ndarray, faces: tuple[LiveFace, ...]) -> None:
    """Boxes with number and band, in place on (H, W, 3) uint8 RGB."""
    scale = max(0.45, image.shape[0] / 900)
    thick = max(2, round(image.shape[0] / 240))
    for face in faces:
        x0, y0, x1, y1 = (round(v) for v in face.box)
        colour = _COLOURS[face.band]
        cv2.rectangle(image, (x0, y0), (x1, y1), colour, thick)
        # the band's word, since colour never carries meaning alone
        text = f"{face.number} {_short(face)}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        top = max(0, y0 - height - below - 6)
        cv2.rectangle(image, (x0, top), (x0 + width + 8, top + height + below + 6), (17, 22, 31), -1)
        place = (x0 + 4, top + height + 3)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _short(face: LiveFace) -> str:
    if face.band is not None and face.prob_fake is not None:
        return f"{report.band_word(face.band)} {round(100 * face.prob_fake)}%"
    return "looking" if face.reason is None else "no verdict"
