"""An engine with stored logits: measuring a large network takes hours, and a stopped run goes on where it was."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector.engine import Engine
from detector.manifest import Manifest


class KeptEngine(Engine):
    """A published network whose logits of crops are stored, in float32, in a file of its own.

    Args:
        manifest, name: see `Engine`.
        folder: where the file is kept, for instance `runs/cache`; the network's hash names it.
    """

    def __init__(self, manifest: Manifest, name: str, folder: Path) -> None:
        super().__init__(manifest, name)
        said = json.dumps([f.sha256 for f in manifest.models[name].files])
        self._path = folder / f"logits-{name}-{hashlib.sha256(said.encode()).hexdigest()[:10]}.jsonl"
        self._known: dict[str, float] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                # the last line of a run that was killed may be cut short
                if line.endswith("]"):
                    key, logit = json.loads(line)
                    self._known[key] = logit

    def logits(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Raw logits (N,) float64 of (S, S, 3) uint8 RGB crops, computed of those that are not known."""
        keys = [hashlib.blake2b(np.ascontiguousarray(crop).tobytes(), digest_size=16).hexdigest() for crop in crops]
        missing = {key: crop for key, crop in zip(keys, crops, strict=True) if key not in self._known}
        if missing:
            logits = super().logits(list(missing.values())).tolist()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as handle:
                # a line of its own even after one that was cut short
                handle.write("\n" * (handle.tell() > 0))
                handle.write("\n".join(json.dumps([key, logit]) for key, logit in zip(missing, logits, strict=True)))
            self._known.update(zip(missing, logits, strict=True))
        return np.array([self._known[key] for key in keys])
