"""RGB frames and sound, each with its times → an MP4 that browsers play.

H.264 (yuv420p, BT.709) by FFmpeg's libx264 and AAC, with the index in front of the data. Without B-frames: decoding
times are presentation times then, and an uneven rate keeps its durations in every player.

The wheels of PyAV bring an FFmpeg with libx264, which is under the GPL; this project calls it and ships none of it.
"""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np
from av.audio.stream import AudioStream

from detector.errors import DetectorError
from detector.media import RGB
from detector.video import SOUND_RATE, Sound

_TICKS = 90_000  # a second; a multiple of every usual frame rate
_BT709 = 1
_LIMITED_RANGE = 1
_SHIFT_S = 0.02  # sound that is off by less stays where it is: containers round times, and mending would click
_OPTIONS = {"preset": "veryfast", "crf": "20", "rc-lookahead": "10"}


class Movie:
    """Writes one MP4; use it in a `with` statement, at whose end the file is complete.

    Args:
        file: empty, open for reading and writing at any place (the index is moved to the front at the end).
        width, height: of every frame; even numbers.
        fps: about how many frames a second will come; only a hint.
        comment: kept in the file's metadata.
        sound: pieces in order of time; taken as the frames go on, so that it may be a generator.

    Raises:
        DetectorError: this FFmpeg has no H.264 encoder.
    """

    def __init__(
        self, file: BinaryIO, width: int, height: int, *, fps: float, comment: str, sound: Iterable[Sound] = ()
    ) -> None:
        self._out = av.open(
            file,
            "w",
            format="mp4",
            options={"movflags": "+faststart"},
            io_open=lambda url, flags, options: _SecondCursor(file),
        )
        try:
            rate = Fraction(fps).limit_denominator(1001)
            self._video = self._out.add_stream("libx264", rate=max(rate, Fraction(1)), options=_OPTIONS)
        except (av.FFmpegError, ValueError) as error:  # PyAV's UnknownCodecError is a ValueError
            self._out.close()
            raise DetectorError(
                "This PyAV has no H.264 encoder. Install PyAV from its own wheel (pip install av)."
            ) from error
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.max_b_frames = 0
        context = self._video.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.thread_count = 2
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        self._out.metadata["comment"] = comment
        self._durations: dict[int, int] = {}
        self._sound: Iterator[Sound] = iter(sound)
        self._piece = next(self._sound, None)
        self._samples = 0
        self._audio: AudioStream | None = None
        if self._piece is not None:
            self._audio = self._out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
            self._audio.bit_rate = 128_000

    def add(self, image: RGB, start_s: float, end_s: float) -> None:
        """Shows a frame from one time to another; the next one starts where it ends."""
        tick = round(start_s * _TICKS)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
        )
        picture.pts, picture.time_base = tick, Fraction(1, _TICKS)
        self._durations[tick] = max(1, round(end_s * _TICKS) - tick)
        self._encode(picture)
        self._hear(end_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._out:
            if kind is None:
                self._encode(None)
                if self._audio is not None:
                    self._out.mux(self._audio.encode(None))

    def _encode(self, picture: av.VideoFrame | None) -> None:
        for packet in self._video.encode(picture):
            # the encoder forgets durations, and the last frame's would be a guess
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            self._out.mux(packet)

    def _hear(self, until_s: float) -> None:
        """Writes the sound up to a time: silence where there is a gap, each moment once."""
        while self._piece is not None and self._piece.time_s < until_s:
            samples = self._piece.samples
            late = round(self._piece.time_s * SOUND_RATE) - self._samples
            if late > _SHIFT_S * SOUND_RATE:
                self._write(np.zeros((2, late), np.float32))
            elif late < -_SHIFT_S * SOUND_RATE:
                samples = samples[:, -late:]
            self._write(samples)
            self._piece = next(self._sound, None)

    def _write(self, samples: np.ndarray) -> None:
        if self._audio is None or not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self._samples, Fraction(1, SOUND_RATE)
        self._samples += samples.shape[1]
        self._out.mux(self._audio.encode(frame))


class _SecondCursor(io.RawIOBase):
    """Reads a file at a place of its own while another goes on writing it: to move the index, FFmpeg opens it twice."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file, self._place = file, 0

    def read(self, size: int = -1, /) -> bytes:
        before = self._file.tell()
        self._file.seek(self._place)
        data = self._file.read(size)
        self._place = self._file.tell()
        self._file.seek(before)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            before = self._file.tell()
            self._place = self._file.seek(offset, whence)
            self._file.seek(before)
        else:
            self._place = offset if whence == io.SEEK_SET else self._place + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
