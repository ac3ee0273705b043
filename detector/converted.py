"""Torch networks converted for OpenVINO, kept on disk: the one file that imports OpenVINO.

A converted network lies in the user's cache folder (`cache_dir`), named by what it was made from: weights, code and
versions of the libraries. Only networks and their answers to made pictures lie there, never a user's media. An entry
that does not match its own checksums is made again; a folder that cannot be written to costs nothing but time.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "UNMASK_CACHE"

_MODEL, _WEIGHTS, _EXPECTED, _SUMS = "model.xml", "model.bin", "expected.npy", "sums.json"
_KEPT_ENTRIES = 16
"""Entries of the cache folder; those that were not used for longest go."""


@cache
def openvino() -> Any:
    """The package, imported such that it reports nothing.

    As it comes, importing it and every conversion send an event to a server on the internet, by a package of its own.
    Nothing may leave this computer: that package is barred, and OpenVINO does without it.

    Raises:
        ImportError: it is not installed, or not wholly.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: it cannot be imported
    import openvino as package
    import openvino.opset13

    return package


@cache
def core() -> Any:
    """OpenVINO's devices, one object for the process."""
    return openvino().Core()


def key_of(*parts: str | Path) -> str:
    """Names a network by texts, by the content of files, and by the versions of what converts it."""
    versions = [f"{package} {_version(package)}" for package in ("torch", "torchvision", "timm", "openvino")]
    digest = hashlib.sha256()
    for part in (*versions, Path(__file__), *parts):
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Converted:
    """A network for OpenVINO.

    Attributes:
        model: as `openvino.convert_model` makes it.
        expected: torch's first output for the example that the network was converted with.
    """

    model: Any
    expected: np.ndarray

    @classmethod
    def make(cls, module: nn.Module, example: np.ndarray, dynamic: Collection[int]) -> "Converted":
        """Converts a network by following it through the example; the axes `dynamic` may have any length later."""
        module = module.cpu().eval()
        batch = torch.from_numpy(example)
        shape = [-1 if axis in dynamic else length for axis, length in enumerate(example.shape)]
        with torch.no_grad(), warnings.catch_warnings():
            # the converter uses torch.jit.trace, which torch wants to retire
            warnings.simplefilter("ignore")
            answer = module(batch)
            model = openvino().convert_model(
                module, example_input=batch, input=[(openvino().PartialShape(shape), openvino().Type(example.dtype))]
            )
        return cls(model, (answer[0] if isinstance(answer, tuple) else answer).numpy())

    def in_int8(self) -> "Converted":
        """The same with its matrices as 8-bit integers, one scale a row: a quarter of the memory.

        Exact for weights that were stored so (`detector.models.int8`). How products with them are computed is chosen
        when the network is compiled: DYNAMIC_QUANTIZATION_GROUP_SIZE rounds their other side to 8 bits as well, in
        groups of so many values with a scale of their own; 0 computes in floats.
        """
        ops = openvino().opset13
        for node in self.model.get_ordered_ops():
            if node.get_type_name() != "MatMul" or not node.get_attributes()["transpose_b"]:
                continue
            weights = node.input_value(1).get_node()
            if weights.get_type_name() != "Constant":
                continue
            values = np.asarray(weights.data)
            scales = np.abs(values).max(axis=1, keepdims=True) / 127
            small = np.rint(values / np.where(scales > 0, scales, 1)).astype(np.int8)
            product = ops.multiply(ops.convert(ops.constant(small), "f32"), ops.constant(scales.astype(np.float32)))
            node.input(1).replace_source_output(product.output(0))
        return self

    @classmethod
    def read(cls, entry: str) -> "Converted | None":
        """From the cache; None where there is no such entry, or a broken one."""
        root = cache_dir()
        if root is None:
            return None
        folder = root / entry
        try:
            sums = json.loads((folder / _SUMS).read_text(encoding="utf-8"))
            if sums != _sums(folder):
                raise ValueError("a checksum differs")
            converted = cls(core().read_model(folder / _MODEL), np.load(folder / _EXPECTED, allow_pickle=False))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RuntimeError) as error:
            logger.info("%s in the cache is broken (%s) and is made again", entry, error)
            return None
        with suppress(OSError):
            os.utime(folder)
        return converted

    def write(self, entry: str) -> None:
        """Into the cache, whole or not at all; where nothing can be written, nothing is."""
        root = cache_dir()
        if root is None:
            return
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as place:
                folder = Path(place) / "entry"
                folder.mkdir()
                openvino().save_model(self.model, folder / _MODEL, compress_to_fp16=False)
                np.save(folder / _EXPECTED, self.expected, allow_pickle=False)
                (folder / _SUMS).write_text(json.dumps(_sums(folder)), encoding="utf-8")
                shutil.rmtree(root / entry, ignore_errors=True)  # a broken one
                folder.rename(root / entry)
            by_use = sorted((e for e in root.iterdir() if e.is_dir()), key=lambda e: e.stat().st_mtime)
            for old in by_use[:-_KEPT_ENTRIES]:
                shutil.rmtree(old, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # OpenVINO raises the latter where it cannot write
            logger.debug("%s is not kept on disk: %s", entry, error)


def cache_dir() -> Path | None:
    """Where converted networks are kept: $UNMASK_CACHE, else the platform's folder for caches; None without a home.

    Linux: $XDG_CACHE_HOME or ~/.cache. macOS: ~/Library/Caches. Windows: %LOCALAPPDATA%.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "unmask"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "unmask" / "cache"
    base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    # by the specification a relative path is to be ignored
    return (base if base.is_absolute() else home / ".cache") / "unmask"


def _sums(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (_MODEL, _WEIGHTS, _EXPECTED)}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
