"""An untrusted video → its properties, and a few of its frames as RGB arrays, within limits of size, memory and time.

    info = probe(source)
    for frame in iter_frames(source, max_frames=32):
        detect(frame.image, frame.time_s)
    covered_s(times, info.duration_s)       # how many seconds those frames stand for

Times are seconds on a player's clock, which begins with the first picture or a sound before it; they come from the
file, never from a frame's number over the rate, so that a variable frame rate stays true.
"""

from detector.video.frames import (
    VideoFrame,
    VideoInfo,
    iter_frames,
    iter_span,
    part_of,
    probe,
    read_frame,
    window_limit,
    windows_of,
)
from detector.video.plan import NEARLY_ALL, Window, covered_s, plan_where_seen, plan_windows, sample_times
from detector.video.scout import MAX_SCOUTS, iter_scouts
from detector.video.sound import SOUND_RATE, Sound, iter_sound

__all__ = [
    "MAX_SCOUTS",
    "NEARLY_ALL",
    "SOUND_RATE",
    "Sound",
    "VideoFrame",
    "VideoInfo",
    "Window",
    "covered_s",
    "iter_frames",
    "iter_scouts",
    "iter_sound",
    "iter_span",
    "part_of",
    "plan_where_seen",
    "plan_windows",
    "probe",
    "read_frame",
    "sample_times",
    "window_limit",
    "windows_of",
]
