"""Judges files as another machine would: `python another_machine.py FILE...` prints probability and band of each.

What a processor cannot do is taken away by the environment of OpenVINO, torch and OpenCV. FFmpeg reads no variable:
`UNMASK_TEST_PLAIN_FFMPEG=1` asks its library.
"""

import ctypes
import json
import os
import sys
from pathlib import Path

import av


def main() -> None:
    if os.environ.get("UNMASK_TEST_PLAIN_FFMPEG"):
        bundled = list((Path(av.__file__).parent.parent / "av.libs").glob("libavutil*"))  # Linux wheels only
        if bundled:
            ctypes.CDLL(str(bundled[0])).av_force_cpu_flags(0)
    from detector.pipeline import Detector

    detector = Detector()
    found = []
    for file in sys.argv[1:]:
        verdict = detector.file(Path(file), max_frames=8)
        faces = getattr(verdict, "faces", getattr(verdict, "persons", ()))
        found.append([verdict.band, verdict.prob_fake, *(face.prob_fake for face in faces)])
    print(json.dumps([sorted(set(detector.backends.values())), found]))


if __name__ == "__main__":
    main()
