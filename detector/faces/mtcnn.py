"""MTCNN as facenet-pytorch computes it, with its three networks run by `detector.runtime`.

Zhang et al., "Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks", 2016. Networks,
weights, the image pyramid, thresholds and every step between the networks are those of facenet-pytorch 2.5.3 (MIT;
`models/utils/detect_face.py`), whose own functions are used where there are such. Differently done, to the same result:
areas of the picture are averaged by way of one integral image, exactly, for the pyramid and all candidates at once,
and the first network sees all steps of the pyramid on one sheet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from facenet_pytorch.models.utils.detect_face import bbreg, nms_numpy, pad, rerec
from torch import Tensor, nn
from torchvision.ops import nms

from detector.converted import key_of
from detector.runtime import Runner, prepare

# facenet-pytorch's own values
_THRESHOLDS = (0.6, 0.7, 0.7)
_PYRAMID_FACTOR = 0.709
_CELL_PX, _STRIDE_PX = 12, 2
_REFINE_PX, _LAST_PX = 24, 48

_PART = {_REFINE_PX: 16, _LAST_PX: 4}
"""Candidates a call. Always as many, for OpenVINO prepares anew, at a cost of many candidates, when a batch is of
another size than the one before; the last part is filled up."""


class Mtcnn:
    """All faces of a picture.

    Args:
        min_face_px: smaller faces are not looked for.
        engine: "auto", "openvino" or "torch"; None asks the environment variable UNMASK_ENGINE.

    Attributes:
        backend: what computes, for a person.

    Raises:
        EngineError: no such engine, or OpenVINO was demanded and cannot run these networks.
    """

    def __init__(self, min_face_px: int = 20, engine: str | None = None) -> None:
        self.min_face_px = min_face_px
        self._propose = _network("pnet", PNet, (1, 40, 50, 3), (1, 2), engine)
        self._refine = _network("rnet", RNet, (2, _REFINE_PX, _REFINE_PX, 3), (0,), engine)
        self._finish = _network("onet", ONet, (2, _LAST_PX, _LAST_PX, 3), (0,), engine)
        self.backend = self._finish.backend

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4) xyxy, scores (N,) and landmarks (N, 5, 2) of a picture (H, W, 3) uint8 RGB, in its pixels."""
        areas = _Areas(image)
        boxes = self._proposals(areas)
        if len(boxes):
            boxes, rows = self._candidates(areas, boxes, self._refine, _REFINE_PX)
            passed = rows[:, 0] > _THRESHOLDS[1]
            boxes, rows = torch.cat([boxes[passed, :4], rows[passed, :1]], dim=1), rows[passed]
            picked = nms(boxes[:, :4], boxes[:, 4], 0.7)
            boxes = rerec(bbreg(boxes[picked], rows[picked, 1:5]))
        if not len(boxes):
            return np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2))
        boxes, rows = self._candidates(areas, boxes, self._finish, _LAST_PX)
        passed = rows[:, 0] > _THRESHOLDS[2]
        boxes, rows = torch.cat([boxes[passed, :4], rows[passed, :1]], dim=1), rows[passed]
        sides = boxes[:, 2:4] - boxes[:, :2] + 1
        points = sides[:, None] * rows[:, 5:].view(-1, 2, 5).transpose(1, 2) + boxes[:, None, :2] - 1
        refined = bbreg(boxes, rows[:, 1:5]).numpy()
        picked = nms_numpy(refined[:, :4], refined[:, 4], 0.7, "Min") if len(refined) else np.zeros(0, np.int64)
        return refined[picked, :4], refined[picked, 4], points.numpy()[picked]

    def _proposals(self, areas: "_Areas") -> Tensor:
        """Square boxes (N, 5) with scores, of all steps of the pyramid."""
        by_step = [torch.zeros(0, 9)]
        size, steps = _pyramid(areas.height, areas.width, self.min_face_px)
        if steps:
            sheet = np.full((*size, 3), 127.5, np.float32)
            for step in steps:
                sheet[step.top : step.top + step.height, step.left : step.left + step.width] = areas.shrunk(
                    step.height, step.width
                )
            cells = self._propose(sheet[None])[0][0]
            by_step += [_boxes(step.cells_of(cells), step.scale) for step in steps]
        boxes = torch.cat(by_step)
        boxes = boxes[nms(boxes[:, :4], boxes[:, 4], 0.7)]
        sides = (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2)
        return rerec(torch.cat([boxes[:, :4] + boxes[:, 5:] * sides, boxes[:, 4:5]], dim=1))  # type: ignore[no-any-return]

    def _candidates(self, areas: "_Areas", boxes: Tensor, run: Runner, size_px: int) -> tuple[Tensor, Tensor]:
        """Those boxes that reach into the picture, and what a network says of each: score, regression, landmarks."""
        top, bottom, left, right = pad(boxes, areas.width, areas.height)
        inside = (bottom >= top) & (right >= left)
        crops = areas.crops(top[inside] - 1, bottom[inside], left[inside] - 1, right[inside], size_px)
        rows = _in_equal_parts(run, crops, _PART[size_px]) if len(crops) else np.zeros((0, 15), np.float32)
        return boxes[torch.from_numpy(inside)], torch.from_numpy(rows)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of the pyramid: pixels of it over pixels of the picture, its size, and its place on the sheet."""

    scale: float
    height: int
    width: int
    top: int
    left: int

    def cells_of(self, cells: np.ndarray) -> np.ndarray:
        """Of what the first network says of a sheet, (5, H, W), the cells of this step, (5, h, w)."""
        # convolution by 3, pooling by 2, and twice a convolution by 3
        height, width = ((side - 1) // 2 - 4 for side in (self.height, self.width))
        top, left = self.top // _STRIDE_PX, self.left // _STRIDE_PX
        return cells[:, top : top + height, left : left + width]


@lru_cache(maxsize=64)
def _pyramid(height: int, width: int, min_face_px: int) -> tuple[tuple[int, int], tuple[_Step, ...]]:
    """Size of one sheet that holds all steps of the pyramid of such a picture, and the steps.

    One sheet is one call of the network instead of one a step, each of another size. No cell of a step sees another
    step, but for those at its border where its sides are odd: they may see one line of what is beside.
    """
    scale = _CELL_PX / min_face_px
    shorter = min(height, width) * scale
    steps: list[_Step] = []
    free: list[tuple[int, int, int, int]] = []  # top, left, height, width
    while shorter >= _CELL_PX:
        size = int(height * scale + 1), int(width * scale + 1)
        # even places, or the cells of the sheet would lie between those of the step
        tall, wide = (side + side % _STRIDE_PX for side in size)
        if not steps:
            free.append((0, 0, 4 * tall, wide))  # all steps together are little more than twice the first
        place = min((f for f in free if f[2] >= tall and f[3] >= wide), key=lambda f: f[2] * f[3])
        free.remove(place)
        top, left, room_tall, room_wide = place
        free += [(top, left + wide, tall, room_wide - wide), (top + tall, left, room_tall - tall, room_wide)]
        steps.append(_Step(scale, *size, top, left))
        scale *= _PYRAMID_FACTOR
        shorter *= _PYRAMID_FACTOR
    sides = [(s.top + s.height + s.height % _STRIDE_PX, s.left + s.width + s.width % _STRIDE_PX) for s in steps]
    return (max((h for h, _ in sides), default=0), max((w for _, w in sides), default=0)), tuple(steps)


def _in_equal_parts(run: Runner, batch: np.ndarray, size: int) -> np.ndarray:
    """The first output for a batch of one row or more, computed `size` rows at a time."""
    filled = np.concatenate([batch, np.zeros((-len(batch) % size, *batch.shape[1:]), batch.dtype)])
    parts = [run(filled[i : i + size])[0] for i in range(0, len(filled), size)]
    return np.concatenate(parts)[: len(batch)]


class _Areas:
    """Means over areas of a picture (H, W, 3) uint8, from its integral image.

    A side of n pixels is cut into m cells as torch's adaptive average pooling does, which facenet-pytorch shrinks by:
    cell i reaches from floor(i n / m) to ceil((i + 1) n / m).
    """

    def __init__(self, image: np.ndarray) -> None:
        self.height, self.width = image.shape[:2]
        # sums of more than 8 megapixels may not fit into 32 bits
        depth = cv2.CV_32S if self.height * self.width < 2**31 // 255 else cv2.CV_64F
        self._sums = cv2.integral(image, sdepth=depth)

    def shrunk(self, height: int, width: int) -> np.ndarray:
        """The whole picture as (height, width, 3) float32, 0 to 255."""
        top, bottom = _cells(np.array([0]), np.array([self.height]), height)
        left, right = _cells(np.array([0]), np.array([self.width]), width)
        rows = self._sums.take(bottom[0], axis=0) - self._sums.take(top[0], axis=0)
        sums = rows.take(right[0], axis=1) - rows.take(left[0], axis=1)
        return np.asarray(_divided(sums[None], bottom - top, right - left)[0])

    def crops(
        self, top: np.ndarray, bottom: np.ndarray, left: np.ndarray, right: np.ndarray, size_px: int
    ) -> np.ndarray:
        """Parts of the picture, each from the borders (K,), shrunk or enlarged to (K, size, size, 3) float32."""
        top, bottom = _cells(top, bottom, size_px)
        left, right = _cells(left, right, size_px)
        flat = self._sums.reshape(-1, 3)
        stride = self._sums.shape[1]

        def corner(y: np.ndarray, x: np.ndarray) -> np.ndarray:
            return np.asarray(flat.take((y * stride)[:, :, None] + x[:, None, :], axis=0))

        sums = corner(bottom, right)
        sums -= corner(top, right)
        sums -= corner(bottom, left)
        sums += corner(top, left)
        return _divided(sums, bottom - top, right - left)


def _divided(sums: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Sums (K, h, w, 3) over cells of these heights (K, h) and widths (K, w) to float32 means."""
    # colours and columns as one axis: NumPy is slow along an axis of three
    means = sums.reshape(*sums.shape[:2], -1).astype(np.float32)
    means *= (1 / heights[:, :, None]).astype(np.float32)
    means *= (1 / np.repeat(widths, 3, axis=1)[:, None, :]).astype(np.float32)
    return means.reshape(sums.shape)


def _cells(first: np.ndarray, end: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and end (K, count) of each of `count` cells of the stretches (K,)."""
    first, length = first.astype(np.int64)[:, None], (end - first).astype(np.int64)[:, None]
    cell = np.arange(count)
    return first + cell * length // count, first - (-(cell + 1) * length // count)


def _boxes(output: np.ndarray, scale: float) -> Tensor:
    """Boxes of one step of the pyramid, (N, 9): x0, y0, x1, y1, score and regression, each place once.

    Args:
        output: (5, h, w), score and regression of every cell.
        scale: pixels of the step over pixels of the picture.
    """
    y, x = np.nonzero(output[0] >= _THRESHOLDS[0])
    corner = np.stack([x, y], axis=1).astype(np.float32) * _STRIDE_PX
    size = np.float32(scale)
    first, last = np.floor((corner + 1) / size), np.floor((corner + _CELL_PX) / size)
    boxes = torch.from_numpy(np.concatenate([first, last, output[:, y, x].T], axis=1))
    return boxes[nms(boxes[:, :4], boxes[:, 4], 0.5)]


class _Rows(nn.Module):
    """One of MTCNN's networks on plain pixels: (N, H, W, 3) float32, 0 to 255, to (N, 5 or 15, ...).

    Score, then four numbers of regression, then ten of landmarks where there are any.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        regression, *marks, scores = self.network((pixels.permute(0, 3, 1, 2) - 127.5) * 0.0078125)
        return torch.cat([scores[:, 1:2], regression, *marks], dim=1)


def _network(
    name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], dynamic: tuple[int, ...], engine: str | None
) -> Runner:
    weights = Path(facenet_pytorch.__file__).parent / "data" / f"{name}.pt"
    return prepare(
        lambda: _Rows(build()),
        name=name,
        key=key_of(name, weights, Path(__file__)),
        example=np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32),
        dynamic=dynamic,
        choice=engine,
    )
