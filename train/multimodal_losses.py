"""Similarity losses for two cameras whose grey levels have little to do with each other.

They take and give what every loss of `vr.train.losses` does: moved, fixed, valid (N, 1, H, W) to one number in [0, 1],
the lower the better; uncovered pixels (`valid` 0) count as the worst case. Both are blind to inverted contrast.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MI_BINS = 24
MIND_REACH_PX = 2
MIND_PATCH_PX = 3
# The author's code holds the variance within these multiples of its mean over the image.
MIND_VARIANCE_RANGE = (1e-3, 1e3)
_TINY = 1e-8


def mutual_information(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """1 - `2 I(M, F) / (H(M) + H(F))`, times the covered share; in [0, 1], levels of the images in [0, 1].

    I is mutual information from a joint histogram of 24 x 24 bins with Parzen windows, a cubic B-spline for the moved
    image and a box for the fixed one, which needs no slope (Mattes et al., IEEE TMI 2003, eq. 3 and 5). The ratio is
    `2 - 2 / NMI` of Studholme et al. (Pattern Recognition 1999, eq. 4), and does not grow when less of the image is
    seen.
    """
    weights = _spline_windows(moved) * valid.flatten(2)
    box = F.one_hot(_bin_position(fixed.flatten(1)).round().long(), MI_BINS).to(weights)
    joint = weights @ box / (valid.sum(dim=(2, 3)).unsqueeze(2) + _TINY)
    of_moved, of_fixed = _entropy(joint.sum(dim=2)), _entropy(joint.sum(dim=1))
    shared = of_moved + of_fixed - _entropy(joint.flatten(1))
    ratio = 2.0 * shared / (of_moved + of_fixed + _TINY)
    return 1.0 - (valid.mean(dim=(1, 2, 3)) * ratio).mean()


def mind_ssc(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of the two images' self-similarity contexts, in [0, 1]; see `self_similarity`.

    Pixels whose surroundings reach what is not covered count as not covered.
    """
    # Black mixed in at the border of the moving image would be an edge to the most sensitive of all losses.
    moved = moved / valid.clamp(min=_TINY)
    difference = (self_similarity(moved) - self_similarity(fixed)).abs().mean(dim=1, keepdim=True)
    reach = MIND_REACH_PX + MIND_PATCH_PX // 2
    # Yes or no, without a slope of its own: it would push away from the border harder than the images pull.
    unseen = F.max_pool2d((valid < 0.5).to(valid), 2 * reach + 1, stride=1, padding=reach)
    return 1.0 - ((1.0 - unseen) * valid * (1.0 - difference)).mean()


def self_similarity(image: Tensor) -> Tensor:
    """(N, 1, H, W) to (N, 4, H, W) in (0, 1]: how alike the surroundings of each pixel are among themselves.

    Self-similarity context (Heinrich et al., MICCAI 2013, section 2) in two dimensions:
    `S(x) = exp(-SSD(p, q) / s^2)` for the four pairs of neighbours p, q of x, 2 px away along the axes, that are
    nearest to each other; SSD over patches of 3x3, less its least value over the pairs; `s^2` its mean over the pairs.
    The pixel itself plays no part, which keeps its noise out.
    """
    reach = MIND_REACH_PX
    padded = F.pad(image, [reach] * 4, mode="replicate")
    inner = slice(reach, -reach)
    left, right = padded[:, :, inner, : -2 * reach], padded[:, :, inner, 2 * reach :]
    above, below = padded[:, :, : -2 * reach, inner], padded[:, :, 2 * reach :, inner]
    pairs = (left, above), (above, right), (right, below), (below, left)
    distances = torch.cat([_patch_mean((p - q).square()) for p, q in pairs], dim=1)
    distances = distances - distances.amin(dim=1, keepdim=True)
    variance = distances.mean(dim=1, keepdim=True)
    low, high = (variance.detach().mean(dim=(1, 2, 3), keepdim=True) * factor for factor in MIND_VARIANCE_RANGE)
    return torch.exp(-distances / (torch.minimum(torch.maximum(variance, low), high) + _TINY))


def _bin_position(levels: Tensor) -> Tensor:
    """Levels in [0, 1] to [1, MI_BINS - 2]: a cubic spline reaches two bins to each side."""
    return 1.0 + levels.clamp(0.0, 1.0) * (MI_BINS - 3)


def _spline_windows(image: Tensor) -> Tensor:
    """(N, 1, H, W) to (N, MI_BINS, H * W): the cubic B-spline of each bin at each pixel's level; sums to 1."""
    bins = torch.arange(MI_BINS, device=image.device, dtype=image.dtype).reshape(1, -1, 1)
    away = (_bin_position(image.flatten(2)) - bins).abs()
    near = 2.0 / 3.0 - away.square() * (1.0 - away / 2.0)
    far = (2.0 - away).clamp(min=0.0).pow(3) / 6.0
    return torch.where(away < 1.0, near, far)


def _entropy(shares: Tensor) -> Tensor:
    """(N, K) shares that sum to 1, to (N,) nats."""
    # The logarithm has no finite slope at 0, where empty bins are.
    return -(shares * (shares + _TINY).log()).sum(dim=1)


def _patch_mean(image: Tensor) -> Tensor:
    half = MIND_PATCH_PX // 2
    return F.avg_pool2d(F.pad(image, [half] * 4, mode="replicate"), MIND_PATCH_PX, stride=1)
