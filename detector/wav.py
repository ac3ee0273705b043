"""The sound of a video → a WAV file, for somebody who can examine voices: 48 kHz, 16 bits, stereo."""

import wave
from typing import BinaryIO

import numpy as np

from detector.apart import iter_sound
from detector.errors import MediaError
from detector.media import Source
from detector.video import SOUND_RATE

BUDGET_S = 300.0
"""Seconds that decoding may take: hours of sound."""
MAX_GAP_S = 60.0
_END_S = 1e6


def write_wav(source: Source, file: BinaryIO, *, budget_s: float = BUDGET_S) -> float:
    """Writes the whole sound track, silent where it has gaps, so that times are those of the video.

    Returns:
        Seconds written.

    Raises:
        MediaError: as `detector.video.iter_sound`; "unreadable" where there is no sound.
    """
    frames = 0
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(SOUND_RATE)
        for piece in iter_sound(source, 0.0, _END_S, budget_s=budget_s):
            gap = round(piece.time_s * SOUND_RATE) - frames
            # a jump of minutes is a damaged time, not a pause
            if SOUND_RATE // 50 < gap < MAX_GAP_S * SOUND_RATE:
                out.writeframes(bytes(4 * gap))
                frames += gap
            samples = np.rint(np.clip(piece.samples, -1, 1) * 32767).astype("<i2")
            out.writeframes(np.ascontiguousarray(samples.T).tobytes())
            frames += samples.shape[1]
        if not frames:
            raise MediaError("No sound could be read from this file. Try a copy saved as MP4.")
    return frames / SOUND_RATE
