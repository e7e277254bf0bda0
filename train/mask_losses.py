"""A loss for masks that slopes towards the truth however far two masks lie apart.

The squared difference of two masks that do not overlap does not change when one of them moves: nothing is learned
there, the main failure of the 2020 thesis. Blurred as widely as the image, any two masks overlap.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR_CELLS = 1.5
_REACH_CELLS = 4
_COARSEST_CELLS = 5
_TINY = 1e-6


def mask_pyramid(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """1 - soft Dice of the masks, the mean over a Gaussian pyramid; in [0, 1].

    moved, fixed: (N, 1, H, W) in [0, 1], person 1. On each level `1 - 2 <m, f> / (<m, m> + <f, f>)` (Milletari et al.,
    3DV 2016, eq. 3) of the masks blurred with a Gaussian of 1.5, 3, 6, ... px up to a third of the longer side. Unlike
    the squared difference, the ratio gives nothing for a mask that merely shrinks or leaves the picture. What is not
    covered counts as "no person", so `valid` is not needed.
    """
    losses = [_blurred_difference(moved, fixed)]
    while max(moved.shape[-2:]) > _COARSEST_CELLS:
        moved, fixed = _halved(moved), _halved(fixed)
        losses.append(_blurred_difference(moved, fixed))
    return torch.stack(losses).mean()


def _blurred_difference(moved: Tensor, fixed: Tensor) -> Tensor:
    m, f = _blurred(moved), _blurred(fixed)
    common = (m * f).sum(dim=(1, 2, 3))
    whole = (m * m + f * f).sum(dim=(1, 2, 3))
    # Two empty masks are alike.
    return (1.0 - (2.0 * common + _TINY) / (whole + _TINY)).mean()


def _blurred(image: Tensor) -> Tensor:
    """(N, 1, H, W) to (N, 1, H + 8, W + 8): what is blurred over the border still counts."""
    index = torch.arange(-_REACH_CELLS, _REACH_CELLS + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-index.square() / (2.0 * BLUR_CELLS**2)) / (BLUR_CELLS * math.sqrt(2.0 * math.pi))
    across = F.conv2d(image, kernel.reshape(1, 1, 1, -1), padding=(0, 2 * _REACH_CELLS))
    return F.conv2d(across, kernel.reshape(1, 1, -1, 1), padding=(2 * _REACH_CELLS, 0))


def _halved(image: Tensor) -> Tensor:
    """Means of 2x2 px; an odd row or column at the end is completed with 0."""
    height, width = image.shape[-2:]
    return F.avg_pool2d(F.pad(image, (0, width % 2, 0, height % 2)), 2)
