"""Grad-CAM and class activation maps of a deployed network, and their picture over the photo.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017, in the
implementation of the `grad-cam` package (MIT). The target is the network's one logit: the map shows what speaks for
manipulation, never what speaks against it.

Of a network that ends in the mean of its last feature map and one linear layer, Grad-CAM is the class activation map
(section 3 there), which needs no gradients: the engine gives it with the logit, and `scaled_cam` stretches it.
"""

import copy
import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from detector.types import Box

_EDGE_SOFTNESS = 0.025
"""Sigma of the blur of the overlay's edge, as a part of the box's longer side: no hard square on the photo."""

_HOTTEST_COLOUR = 0.85
"""Where on the colour map a heat of one lies: beyond it, plasma turns a pale yellow that is lost on light skin."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A heatmap of one face by one network.

    Attributes:
        heat: (h, w) float32, 0 to 1, stretched over `box`. 1 is the strongest place of this face, whatever its
            probability: compare places of one map, not two maps. All zeros: nothing spoke for manipulation.
        box: (x0, y0, x1, y1) in pixels of the full image; may reach past its border.
        model: name of the network.
        method: name of the method, for the label.
        proven: whether hiding what this network's maps mark was measured to change its score more than hiding as much
            elsewhere. Where it was not, there is no map: heat is zero everywhere.
    """

    heat: np.ndarray
    box: Box
    model: str
    method: str = "Grad-CAM"
    proven: bool = True


def heatmap(model: nn.Module, target_layer: nn.Module, crop: Tensor) -> np.ndarray:
    """A heatmap of the parts of the crop that raise the network's logit.

    Works on a copy of the network: hooks and gradients of one user never meet another's, and the cached network stays
    as it was, whatever happens.

    Args:
        model: takes (N, 3, S, S) in [0, 1], returns one logit per crop as (N,) or (N, 1).
        target_layer: a module of that network, with (N, C, h, w) output; usually its last convolution block.
        crop: (1, 3, S, S) float in [0, 1].

    Returns:
        (S, S) float32, 0 to 1; all zeros where nothing raises the logit.

    Raises:
        ValueError: the crop's shape is wrong, or the layer is no part of the network.
    """
    # with matplotlib and scikit-learn behind it, which take seconds to import: only who wants gradients pays for them
    from pytorch_grad_cam import GradCAM

    if crop.ndim != 4 or crop.shape[0] != 1:
        raise ValueError(f"expected one crop of shape (1, 3, S, S), got {tuple(crop.shape)}")
    if all(module is not target_layer for module in model.modules()):
        raise ValueError("the target layer is no part of the network")
    # a caller may be inside torch.inference_mode, where no gradient can be had
    with torch.inference_mode(False), torch.enable_grad():
        copies: dict[int, object] = {}
        twin = copy.deepcopy(model, copies).eval().requires_grad_(False)
        twin_layer = cast(nn.Module, copies[id(target_layer)])
        # gradients flow from the picture, so that none are computed for the weights
        inputs = crop.detach().clone().requires_grad_(True)
        cam = GradCAM(model=twin, target_layers=[twin_layer])
        # not `with cam`: its __exit__ prints and swallows IndexError
        try:
            heat = cam(input_tensor=inputs, targets=cast("list[nn.Module]", [_the_logit]))[0]
        finally:
            cam.activations_and_grads.release()
    return _finite(heat)


def scaled_cam(cam: np.ndarray, size_px: int) -> np.ndarray:
    """A class activation map (h, w), positive where it speaks for manipulation, as `heatmap` gives it.

    Returns:
        (S, S) float32, 0 to 1; all zeros where nothing raises the logit.
    """
    # scaled as the grad-cam package does
    heat = np.maximum(cam, 0.0).astype(np.float32)
    heat -= heat.min()
    return _finite(cv2.resize(heat / (heat.max() + 1e-7), (size_px, size_px)))


def _finite(heat: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.nan_to_num(heat).clip(0.0, 1.0), dtype=np.float32)


def _the_logit(output: Tensor) -> Tensor:
    return output.reshape(-1)[0]


def overlay(image: np.ndarray, heat: np.ndarray, box: Box, alpha: float) -> np.ndarray:
    """The picture with the heat laid over it: cold places stay plain, hot ones take on the colour.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        heat: (h, w) float, 0 to 1, stretched over the box.
        box: (x0, y0, x1, y1) in pixels of the image; may reach past its border.
        alpha: 0 is the plain picture, 1 covers the hottest place wholly.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    result = image.copy()
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3]))
    if alpha <= 0 or x1 <= x0 or y1 <= y0:
        return result
    sigma = _EDGE_SOFTNESS * max(x1 - x0, y1 - y0)
    border = math.ceil(3 * sigma)
    left, top = max(0, x0 - border), max(0, y0 - border)
    right, bottom = min(width, x1 + border), min(height, y1 + border)
    if right <= left or bottom <= top:
        return result
    stretched = cv2.resize(heat.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    framed = cv2.copyMakeBorder(stretched, border, border, border, border, cv2.BORDER_CONSTANT, value=0)
    soft = cv2.GaussianBlur(framed, (0, 0), max(sigma, 0.5), borderType=cv2.BORDER_CONSTANT).clip(0.0, 1.0)
    visible = soft[top - y0 + border : bottom - y0 + border, left - x0 + border : right - x0 + border]
    weight = (min(alpha, 1.0) * visible)[..., None]
    part = result[top:bottom, left:right].astype(np.float32)
    result[top:bottom, left:right] = np.rint(part * (1 - weight) + _colours(visible) * weight).astype(np.uint8)
    return result


def _colours(heat: np.ndarray) -> np.ndarray:
    """(h, w) heat to (h, w, 3) RGB by plasma: blue to orange, brighter is hotter even without colour vision."""
    levels = np.rint(255 * _HOTTEST_COLOUR * heat).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_PLASMA)[..., ::-1].astype(np.float32)
