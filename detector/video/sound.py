"""The sound of a video between two times."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

from detector.clock import Clock
from detector.errors import MediaError
from detector.media import Source, too_slow
from detector.video.container import BUDGET_S, Media, opened, seek
from detector.video.timeline import Continuous

SOUND_CODECS = (
    "aac",
    "mp3",
    "mp2",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "ac3",
    "eac3",
    "amr_nb",
    "amr_wb",
    "wmav1",
    "wmav2",
    "pcm_s16le",
    "pcm_s16be",
    "pcm_s24le",
    "pcm_s24be",
    "pcm_s32le",
    "pcm_f32le",
    "pcm_u8",
    "pcm_alaw",
    "pcm_mulaw",
)
"""What sound may be coded with."""
_PACKET_S = 0.02
SOUND_RATE = 48_000
"""Samples a second of `iter_sound`."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: seconds from the start of the video's stream, and (2, N) float32 at `SOUND_RATE`."""

    time_s: float
    samples: npt.NDArray[np.float32]


def iter_sound(
    source: Source,
    start_s: float,
    end_s: float,
    *,
    should_stop: Callable[[], bool] | None = None,
    budget_s: float = BUDGET_S,
) -> Generator[Sound, None, None]:
    """The sound between two times, in order, as stereo; nothing if there is none. It ends early where it is damaged.

    `should_stop` as for `iter_span`.

    Raises:
        MediaError: as `probe`; "unsupported" if the sound is coded in none of `SOUND_CODECS`; "too_slow" when
            `budget_s` ran out.
    """
    clock = Clock(budget_s)
    with opened(source, clock) as media:
        stream = media.container.streams.best("audio")
        if not isinstance(stream, AudioStream):  # FFmpeg finds none the best before one is decoded
            stream = next(iter(media.container.streams.audio), None)
        if stream is None:
            return
        codec = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
        if codec not in SOUND_CODECS:
            raise MediaError(f"The sound's coding ({codec}) is not supported. Save it again as MP4.", "unsupported")
        if start_s > 0:
            seek(media, start_s)
        origin_s = float(media.start * media.time_base)
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)
        next_s: float | None = None
        for frame in _heard(media, stream, clock):
            if should_stop is not None and should_stop():
                return
            try:
                pieces = resampler.resample(frame)
            except (av.FFmpegError, ValueError):
                return
            for piece in pieces:
                if piece.pts is not None and piece.time_base is not None:
                    next_s = float(piece.pts * piece.time_base) - origin_s
                if next_s is None:
                    continue
                # some formats say the time of the first of several pieces alone
                time_s, next_s = next_s, next_s + piece.samples / SOUND_RATE
                if time_s >= end_s:
                    return
                samples = cast("npt.NDArray[np.float32]", piece.to_ndarray())
                first = max(0, round((start_s - time_s) * SOUND_RATE))
                samples = samples[:, first : max(0, round((end_s - time_s) * SOUND_RATE))]
                if samples.shape[1]:
                    with clock.stopped():
                        yield Sound(time_s + first / SOUND_RATE, samples)
        if clock.overdrawn:
            raise too_slow()


def _heard(media: Media, stream: AudioStream, clock: Clock) -> Iterator[av.AudioFrame]:
    """Frames of sound from where the file stands, until its end, an error that cannot be passed, or no time."""
    line = None
    if media.joined and stream.time_base:  # its times jump where those of the pictures do
        second = float(1 / stream.time_base)
        line = Continuous(second, max(1, round(_PACKET_S * second)), by_dts=True, closes_gaps=True)
    try:
        for packet in media.container.demux(stream):
            if clock.expired:
                return
            if line is not None and packet.size:
                moved = line.move(packet.pts, packet.dts, packet.duration, True)
                packet.pts = None if packet.pts is None else packet.pts + moved
                packet.dts = None if packet.dts is None else packet.dts + moved
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue  # one damaged packet, as with frames
    except (av.FFmpegError, IndexError):  # PyAV does not know streams that begin on the way
        return
