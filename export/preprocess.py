"""`vr.runtime.preprocess` in torch, so that it can live inside an ONNX graph; contours only of the smooth filters.

Same grey values to the last bit, same per-axis resize (area average where an axis shrinks, linear where it
grows) to within one grey level, written as arithmetic on `arange` so that it exports with dynamic frame
sizes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.runtime import contours

# cv2.COLOR_BGR2GRAY on uint8: (3735 B + 19235 G + 9798 R + 2^14) >> 15. Sums are below 2^24: exact in float32.
_LUMA_BGR = (3735.0, 19235.0, 9798.0)
_LUMA_SHIFT = 32768.0


def to_bgr_planes(frames: Tensor) -> Tensor:
    """(N, h, w, C) uint8, C = 1 or 3, to (N, 3, h, w) float32 in [0, 255].

    One channel is repeated; written without a branch on C, so that one graph takes both. For frames that have three
    whatever comes, `planes` does.
    """
    some = planes(frames)
    return torch.cat([some, some, some], dim=1)[:, :3]


def planes(frames: Tensor) -> Tensor:
    """(N, h, w, C) uint8 to (N, C, h, w) float32 in [0, 255].

    The conversion comes first: TensorRT takes uint8 as an input, and knows no other operator of it.
    """
    return frames.float().permute(0, 3, 1, 2)


def luma(bgr: Tensor) -> Tensor:
    """(N, 3, h, w) BGR float32 in [0, 255] to (N, h, w) grey, rounded as cv2 does."""
    blue, green, red = _LUMA_BGR
    total = bgr[:, 0] * blue + bgr[:, 1] * green + bgr[:, 2] * red
    return torch.floor((total + _LUMA_SHIFT / 2.0) / _LUMA_SHIFT)


def linear_weights(length_in: int, length_out: int, like: Tensor) -> Tensor:
    """(length_out, length_in) weights of linear interpolation, pixel edges aligned, border repeated."""
    index_in, index_out, step = _axis(length_in, length_out, like)
    source = ((index_out + 0.5) * step - 0.5).clamp(min=0.0)
    source = torch.minimum(source, index_in[:, -1:])
    return (1.0 - (source - index_in).abs()).clamp(min=0.0)


def area_weights(length_in: int, length_out: int, like: Tensor) -> Tensor:
    """(length_out, length_in) shares of each input pixel in an output pixel's interval; for shrinking."""
    left_in, index_out, step = _axis(length_in, length_out, like)
    left_out = index_out * step
    overlap = torch.minimum(left_in + 1.0, left_out + step) - torch.maximum(left_in, left_out)
    return overlap.clamp(min=0.0) / step


def resize_weights(length_in: int, length_out: int, like: Tensor) -> Tensor:
    """(length_out, length_in): area average if the axis shrinks, else linear; chosen inside the graph."""
    _, _, step = _axis(length_in, length_out, like)
    area, linear = area_weights(length_in, length_out, like), linear_weights(length_in, length_out, like)
    return torch.where(step >= 1.0, area, linear)


def _axis(length_in: int, length_out: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Input indices (1, length_in), output indices (length_out, 1), input pixels per output pixel (1, 1).

    The ratio is a tensor, not `length_in / length_out`: lengths are symbols while exporting, and arithmetic
    on symbols is slow there.
    """
    index_in = torch.arange(length_in, device=like.device, dtype=torch.float32).reshape(1, -1)
    index_out = torch.arange(length_out, device=like.device, dtype=torch.float32).reshape(-1, 1)
    return index_in, index_out, (index_in[:, -1:] + 1.0) / (index_out[-1:] + 1.0)


def resize(images: Tensor, size_hw: tuple[int, int], linear: bool = False) -> Tensor:
    """(..., h, w) float32 to (..., H, W); `linear` interpolates on both axes also where they shrink."""
    weights = linear_weights if linear else resize_weights
    down = weights(images.shape[-2], size_hw[0], images)
    across = weights(images.shape[-1], size_hw[1], images)
    return down @ images @ across.transpose(0, 1)


def network_input(bgr: Tensor, size_hw: tuple[int, int], mode: str) -> Tensor:
    """(N, 3, h, w) BGR in [0, 255] to (N, 1, H, W) in [0, 1], as `vr.runtime.preprocess.network_input`."""
    gray = luma(bgr)
    if mode == "mask":
        gray = (gray > 0.0).float() * 255.0
    # Ties go up, as in cv2's 2:1 average, so that the usual 640x480 to 320x240 agrees to the last bit.
    small = torch.floor(resize(gray, size_hw) + 0.5).unsqueeze(1) / 255.0
    return _CONTOURS[mode](smoothed(small)) if mode in _CONTOURS else small


def smoothed(images: Tensor) -> Tensor:
    """(N, 1, H, W) to the same, smoothed as contours are."""
    reach = contours.SMOOTHING_PX // 2
    weights = [math.exp(-(i**2) / (2.0 * contours.SMOOTHING_SIGMA_PX**2)) for i in range(-reach, reach + 1)]
    kernel = torch.tensor(weights, dtype=torch.float32) / sum(weights)
    return _separable(images, kernel, kernel)


def sobel(smooth: Tensor) -> Tensor:
    """`vr.runtime.contours.sobel` of a smoothed image."""
    difference, mean = torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])
    across, down = _separable(smooth, difference, mean), _separable(smooth, mean, difference)
    return ((across.square() + down.square()).sqrt() * contours.SOBEL_SCALE).clamp(max=1.0)


def laplacian(smooth: Tensor) -> Tensor:
    """`vr.runtime.contours.laplacian` of a smoothed image."""
    kernel = torch.tensor([[2.0, 0.0, 2.0], [0.0, -8.0, 0.0], [2.0, 0.0, 2.0]])
    bent = F.conv2d(F.pad(smooth, (1, 1, 1, 1), mode="reflect"), kernel[None, None])
    return (bent.abs() * contours.LAPLACIAN_SCALE).clamp(max=1.0)


_CONTOURS = {"sobel": sobel, "laplacian": laplacian}


def _separable(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """(N, 1, H, W) correlated with two kernels, borders reflected without the last pixel."""
    reach_x, reach_y = len(across) // 2, len(down) // 2
    padded = F.pad(images, (reach_x, reach_x, reach_y, reach_y), mode="reflect")
    return F.conv2d(F.conv2d(padded, across.reshape(1, 1, 1, -1)), down.reshape(1, 1, -1, 1))
