"""Evidence of manipulated faces in photos and videos, on this machine.

from detector import Detector
verdict = Detector().image("photo.jpg")
print(verdict.band, verdict.prob_fake)
"""

import os
from typing import TYPE_CHECKING, Any

from detector.errors import Cancelled, DetectorError, EngineError, MediaError, UnknownModelError, WeightsError
from detector.evidence import Credentials, FrameHash, Line, Provenance, SoundTrack, Step
from detector.types import (
    BANDS,
    CAP_REASONS,
    CHANGES,
    REASONS,
    SCHEMA_VERSION,
    TRIED,
    Band,
    BandCap,
    BandFalls,
    Caught,
    Coverage,
    Crowd,
    Face,
    FaceVerdict,
    FileVerdict,
    ImageVerdict,
    Measured,
    ModelUsed,
    Person,
    PictureUsed,
    ProbRange,
    Resaved,
    Score,
    Share,
    StandsOut,
    Thresholds,
    TimelinePoint,
    VideoVerdict,
)
from detector.version import __version__

# Read when torch is imported: a person's environment must not have it compute in bfloat16 where the processor has AMX.
for _name in ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"):
    os.environ[_name] = "STRICT"

if TYPE_CHECKING:
    from detector.pipeline import Detector
    from detector.weights import list_models

__all__ = [
    "BANDS",
    "CAP_REASONS",
    "CHANGES",
    "REASONS",
    "SCHEMA_VERSION",
    "TRIED",
    "Band",
    "BandCap",
    "BandFalls",
    "Cancelled",
    "Caught",
    "Coverage",
    "Credentials",
    "Crowd",
    "Detector",
    "DetectorError",
    "EngineError",
    "Face",
    "FaceVerdict",
    "FileVerdict",
    "FrameHash",
    "ImageVerdict",
    "Line",
    "Measured",
    "MediaError",
    "ModelUsed",
    "Person",
    "PictureUsed",
    "ProbRange",
    "Provenance",
    "Resaved",
    "Score",
    "Share",
    "SoundTrack",
    "StandsOut",
    "Step",
    "Thresholds",
    "TimelinePoint",
    "UnknownModelError",
    "VideoVerdict",
    "WeightsError",
    "__version__",
    "list_models",
]

PUBLIC_MODULES = (
    "aggregate", "annotate", "apart", "caught", "drawing", "engine", "explain", "live", "manifest",
    "media", "palette", "paper", "provenance", "queue", "report", "results", "types", "uploads", "video", "wav",
    "words",
)  # fmt: skip
"""Modules that the page and other programs may use beside the names above; everything else may change freely."""


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: only who asks for the detector itself pays for it
    if name == "Detector":
        from detector.pipeline import Detector

        return Detector
    if name == "list_models":
        from detector.weights import list_models

        return list_models
    raise AttributeError(f"module 'detector' has no attribute {name!r}")
