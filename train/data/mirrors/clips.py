"""A clip's bytes to stored face crops of evenly spread frames, and to a clip that holds nothing but its part."""

import io
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from detector.video import iter_frames, probe
from train.data.mirrors.pictures import parts_of

FRAMES = 10
"""Of a clip, evenly spread: neighbours show nothing new."""
MAX_CLIP_S = 5.0
"""Of a clip that is written anew; clips that are kept as they are keep their length."""
_BUDGET_S = 600.0
_CRF = "12"


def sample_frames(clip: Path, part: str) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, (H, W, 3) uint8 RGB) of `FRAMES` frames, cut to the part.

    Raises:
        MediaError: the clip cannot be read.
    """
    with closing(iter_frames(clip, max_frames=FRAMES, budget_s=_BUDGET_S)) as frames:
        for frame in frames:
            for image in parts_of(frame.image, part):
                yield frame.time_s, image


def cut_clip(clip: Path, part: str) -> bytes:
    """The part's first seconds as H.264 without sound: halves of one frame come out encoded alike.

    Raises:
        MediaError: the clip cannot be read.
    """
    info = probe(clip)
    fps = info.fps or 25.0
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.options = {"preset": "ultrafast", "crf": _CRF}
        stream.pix_fmt = "yuv420p"
        with av.open(str(clip)) as media:
            start: float | None = None
            for frame in media.decode(media.streams.video[0]):
                start = frame.time if start is None else start
                if frame.time - start > MAX_CLIP_S:
                    break
                image = next(parts_of(frame.to_ndarray(format="rgb24"), part))
                # 4:2:0 needs even sides
                image = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
                if not stream.codec_context.is_open:
                    stream.height, stream.width = image.shape[:2]
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()
