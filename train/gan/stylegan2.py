"""A compact StyleGAN2: mapping network, modulated convolutions, noise, skip outputs; and its residual discriminator.

Written from the papers: Karras, Laine and Aila, "A Style-Based Generator Architecture for GANs", CVPR 2019; Karras et
al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020 (architecture: its section 2 and figures 2 and
7); Karras et al., "Progressive Growing of GANs", ICLR 2018 (equalised learning rate, minibatch standard deviation).
Left out of the papers' networks: mixing of styles.
"""

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Noise = Literal["random", "fixed"]

_GAIN = math.sqrt(2)
"""Of the leaky ReLU, so that activations keep their size."""
_BLUR = (1.0, 3.0, 3.0, 1.0)
STD_GROUP = 4
"""Pictures over which the discriminator's minibatch standard deviation is taken."""


class EqualLinear(nn.Module):
    """A dense layer with equalised learning rate: unit-variance weights, scaled when used (ICLR 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, lr_factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_factor)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_factor))
        self.scale, self.lr_factor = lr_factor / math.sqrt(inputs), lr_factor

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.scale, self.bias * self.lr_factor)


class EqualConv(nn.Module):
    """A convolution with equalised learning rate; `down` blurs and halves."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, down: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = 1 / math.sqrt(inputs * kernel * kernel)
        self.kernel, self.down = kernel, down

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if not self.down:
            return functional.conv2d(x, weight, self.bias, padding=self.kernel // 2)
        # blurred before every second pixel is dropped, or high frequencies would fold back
        x = blur(x, pad=(self.kernel + 1) // 2)
        return functional.conv2d(x, weight, self.bias, stride=2)


def blur(x: Tensor, pad: int, gain: float = 1.0) -> Tensor:
    """Filters each channel by [1, 3, 3, 1] in both directions; the border is zero, each side grows by 2 pad - 3."""
    taps = torch.tensor(_BLUR, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps) * (gain / taps.sum() ** 2)
    return functional.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), padding=pad, groups=x.shape[1])


def modulated_conv(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """A convolution whose weights are scaled per picture and input channel (CVPR 2020, equations 1 to 3).

    Scaling the weights by the style equals scaling the input, and demodulating them equals scaling the output, so one
    convolution serves the whole batch.

    Args:
        x: (N, I, H, W).
        weight: (O, I, k, k), k odd.
        style: (N, I).
        demodulate: bring each output channel back to unit variance, whatever the style's size.
        up: double the resolution: transposed convolution, then blur.

    Returns:
        (N, O, H, W), or (N, O, 2H, 2W).
    """
    out = x * style[:, :, None, None].to(x.dtype)
    if up:
        out = functional.conv_transpose2d(out, weight.transpose(0, 1), stride=2)
        # three taps and a stride of two leave 2H + 1 pixels; the gain makes up for the zeros in between
        out = blur(out, pad=1, gain=4.0)
    else:
        out = functional.conv2d(out, weight, padding=weight.shape[-1] // 2)
    if not demodulate:
        return out
    energy = style.float().square() @ weight.float().square().sum((2, 3)).T
    return out * torch.rsqrt(energy + 1e-8)[:, :, None, None].to(out.dtype)


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU: one box of figure 2 (d)."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style_dim: int, size_px: int, *, up: bool) -> None:
        super().__init__()
        self.affine = EqualLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(size_px, size_px))
        self.scale, self.up = 1 / math.sqrt(inputs * 9), up

    def forward(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        out = modulated_conv(x, self.weight * self.scale, self.affine(style), up=self.up)
        if noise == "random":
            grain = torch.randn(out.shape[0], 1, *out.shape[2:], device=out.device)
        else:
            grain = self.noise[None, None]
        out = out + (grain * self.noise_strength).to(out.dtype) + self.bias[:, None, None].to(out.dtype)
        return functional.leaky_relu(out, 0.2) * _GAIN


class ToRgb(nn.Module):
    """Modulated 1 x 1 convolution to colours, without demodulation."""

    def __init__(self, inputs: int, style_dim: int) -> None:
        super().__init__()
        self.affine = EqualLinear(style_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        out = modulated_conv(x, self.weight * self.scale, self.affine(style), demodulate=False)
        return out.float() + self.bias[:, None, None]


class Mapping(nn.Module):
    """Latent z to style w: normalised, then dense layers that learn at a hundredth of the rate."""

    average: Tensor

    def __init__(self, latent_dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent_dim, latent_dim, lr_factor=0.01) for _ in range(layers))
        self.register_buffer("average", torch.zeros(latent_dim))

    def forward(self, latent: Tensor) -> Tensor:
        x = latent * torch.rsqrt(latent.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2) * _GAIN
        if self.training:
            # for truncation, which pulls styles towards the average one
            self.average.lerp_(x.detach().float().mean(0), 0.002)
        return x


class StyleGan2Generator(nn.Module):
    """(N, latent_dim) standard normal to pictures (N, 3, S, S), about [-1, 1] but not clamped.

    Args:
        latent_dim: length of latent and style.
        size_px: side of the pictures, a power of two from 8.
        channels: feature maps at the full size; each halving of the size doubles them, up to `max_channels`.
        max_channels: most feature maps of a layer.
        mapping_layers: of the mapping network.
    """

    def __init__(self, latent_dim: int, size_px: int, channels: int, max_channels: int, mapping_layers: int) -> None:
        super().__init__()
        self.latent_dim, self.size_px = latent_dim, size_px
        self.mapping = Mapping(latent_dim, mapping_layers)
        widths = _widths(size_px, channels, max_channels)
        self.constant = nn.Parameter(torch.randn(1, widths[4], 4, 4))
        self.convs = nn.ModuleList([StyledConv(widths[4], widths[4], latent_dim, 4, up=False)])
        self.rgbs = nn.ModuleList([ToRgb(widths[4], latent_dim)])
        for side in list(widths)[1:]:
            self.convs.append(StyledConv(widths[side // 2], widths[side], latent_dim, side, up=True))
            self.convs.append(StyledConv(widths[side], widths[side], latent_dim, side, up=False))
            self.rgbs.append(ToRgb(widths[side], latent_dim))

    def forward(self, latent: Tensor, truncation: float = 1.0, noise: Noise = "random") -> Tensor:
        style = self.mapping(latent)
        if truncation != 1.0:
            style = self.average_style.lerp(style, truncation)
        return self.synthesis(style, noise)

    @property
    def average_style(self) -> Tensor:
        """Running mean of the styles seen in training: (latent_dim,)."""
        return self.mapping.average

    def synthesis(self, style: Tensor, noise: Noise = "random") -> Tensor:
        """Styles (N, latent_dim) to pictures: every resolution adds its own colours to the enlarged ones below."""
        x = self.convs[0](self.constant.expand(style.shape[0], -1, -1, -1), style, noise)
        picture: Tensor = self.rgbs[0](x, style)
        for level, rgb in enumerate(list(self.rgbs)[1:]):
            x = self.convs[2 * level + 1](x, style, noise)
            x = self.convs[2 * level + 2](x, style, noise)
            # bilinear enlarging by two is the filter [1, 3, 3, 1]
            picture = functional.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
            picture = picture + rgb(x, style)
        return picture


class StyleGan2Discriminator(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] to logits (N,), positive = generated; N divisible by `STD_GROUP`.

    Residual blocks as in figure 7 (c). Groups for the minibatch standard deviation are consecutive pictures, so genuine
    and generated ones can be judged in one batch without being mixed.
    """

    def __init__(self, size_px: int, channels: int, max_channels: int) -> None:
        super().__init__()
        widths = _widths(size_px, channels, max_channels)
        sides = list(reversed(widths))
        self.from_rgb = EqualConv(3, widths[size_px], 1)
        self.blocks = nn.ModuleList(_Residual(widths[a], widths[b]) for a, b in pairwise(sides))
        self.last = EqualConv(widths[4] + 1, widths[4], 3)
        self.dense = EqualLinear(widths[4] * 16, widths[4])
        self.logit = EqualLinear(widths[4], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        x = _activate(self.from_rgb(pictures))
        for block in self.blocks:
            x = block(x)
        x = torch.cat([x, _group_std(x)], 1)
        x = _activate(self.last(x)).flatten(1)
        logits: Tensor = self.logit(_activate(self.dense(x)))
        return logits.flatten()


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, down=True)
        self.skip = EqualConv(inputs, outputs, 1, bias=False, down=True)

    def forward(self, x: Tensor) -> Tensor:
        deep = _activate(self.second(_activate(self.first(x))))
        # halves the variance that the sum would double
        total: Tensor = (deep + self.skip(x)) * math.sqrt(0.5)
        return total


def _group_std(x: Tensor) -> Tensor:
    """One map per picture with the mean standard deviation of its group: a lack of variety becomes visible."""
    size = min(STD_GROUP, x.shape[0])
    if x.shape[0] % size:
        raise ValueError(f"a batch of {x.shape[0]} pictures cannot be divided into groups of {size}")
    groups = x.float().view(x.shape[0] // size, size, *x.shape[1:])
    spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat_interleave(size)[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


def _activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2) * _GAIN


def _widths(size_px: int, channels: int, max_channels: int) -> dict[int, int]:
    """Side -> feature maps, from 4 to the full size."""
    sides = [2**i for i in range(2, int(math.log2(size_px)) + 1)]
    return {side: min(max_channels, channels * size_px // side) for side in sides}
