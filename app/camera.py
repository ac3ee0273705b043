"""The analysis of one live stream and its picture with boxes, in the stream's own threads."""

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import av
import numpy as np

from app import bugs
from detector import drawing, report
from detector.live import LiveAnalyser, LiveFace, LiveState
from detector.palette import on_picture

if TYPE_CHECKING:
    from detector import Detector

_PACE = 60


class Camera:
    """The analysis of one stream, drawn onto its frames; made and called in the stream's own threads."""

    def __init__(self, detector: "Detector", places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._lock = threading.Lock()
        self.turned_away = not places.acquire(blocking=False)
        self._ended = False
        self._analyser: LiveAnalyser | None = None
        self._drawn: deque[float] = deque(maxlen=_PACE)
        if not self.turned_away:
            self._analyser = LiveAnalyser(detector, on_error=lambda error: bugs.log_bug("a live stream", error))

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
        """The faces and bands of the stream by now."""
        analyser = self._analyser
        return analyser.state() if analyser is not None else LiveState()

    @property
    def frames_per_second(self) -> float:
        """Frames drawn a second, of late."""
        times = list(self._drawn)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def draw(image: np.ndarray, faces: tuple[LiveFace, ...]) -> None:
    """Boxes with number and band, in place on (H, W, 3) uint8 RGB."""
    letters_px = max(13, round(image.shape[0] / 32))
    for face in faces:
        # the band's word, since colour never carries meaning alone
        drawing.mark(image, face.box, on_picture(face.band), [f"{face.number} {_short(face)}"], letters_px)


def _short(face: LiveFace) -> str:
    if face.band is not None and face.prob_fake is not None:
        return f"{report.band_word(face.band)} {round(100 * face.prob_fake)}%"
    return "looking" if face.reason is None else "no verdict"
