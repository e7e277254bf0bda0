"""The last pixels: Gauss-Newton on the oriented gradients, where matching by cells ends.

Minimises the robust difference between the fixed image's features and the moving image's features under the current
affine (Lucas-Kanade on feature images; the inverse compositional form of Baker & Matthews, IJCV 2004, section 3.2).
Small symmetric systems in closed form, a fixed number of rounds: it exports to ONNX like any other layer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models import affine_fit, correlation
from vr.models.geometry import affine_flow, flow_to_grid

# A pixel whose feature vectors (length below 1) differ by this much counts a quarter of one that agrees.
_TOLERANCE = 0.5
# Relative damping (Levenberg-Marquardt), and an absolute one for images without any edge.
_RELATIVE_DAMPING = 1e-3
_ABSOLUTE_DAMPING = 1e-3


class Refined(NamedTuple):
    """affine (N, 2, 3) in centred px; agreement (N,): mean robust weight of all fixed pixels, in [0, 1]."""

    affine: Tensor
    agreement: Tensor


class _Template(NamedTuple):
    """What stays the same over the rounds: the fixed features, their slopes, and products of both with positions."""

    features: Tensor
    slope_x: Tensor
    slope_y: Tensor
    products: Tensor
    design: Tensor


def refine(moving: Tensor, fixed: Tensor, affine: Tensor, stride: int, rounds: int) -> Refined:
    """Improves `affine` (N, 2, 3), centred px of the input, on features (N, C, h, w) of `stride` px per cell."""
    template = _template(fixed)
    agreement = torch.ones_like(affine[:, 0, 0])
    for _ in range(rounds):
        affine, agreement = _one_round(template, moving, affine, stride)
    return Refined(affine, agreement)


def _template(fixed: Tensor) -> _Template:
    height, width = fixed.shape[-2:]
    padded = F.pad(fixed, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2.0
    slope_y = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2.0
    products = torch.stack([(a * b).sum(dim=1) for a, b in _pairs(slope_x, slope_y)], dim=1).flatten(2)
    points = correlation.centred_grid(height, width, 1, fixed) / (width / 2.0)
    return _Template(fixed, slope_x, slope_y, products, torch.cat([points, torch.ones_like(points[:, :1])], dim=1))


def _one_round(template: _Template, moving: Tensor, affine: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    height, width = moving.shape[-2:]
    theta = affine_fit.centred_to_theta(affine, height * stride, width * stride)
    grid = flow_to_grid(affine_flow(theta, height, width))
    warped = F.grid_sample(moving, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    residual = warped - template.features
    inside = ((grid[..., 0].abs() < 1.0) & (grid[..., 1].abs() < 1.0)).float().flatten(1)
    weight = inside * (1.0 + residual.square().sum(dim=1).flatten(1) / _TOLERANCE**2).pow(-2)
    slopes = torch.stack([(s * residual).sum(dim=1) for s in (template.slope_x, template.slope_y)], dim=1).flatten(2)
    change = _solve(template, weight, slopes)
    change = torch.cat([change[:, :, :2] * (2.0 / width), change[:, :, 2:] * stride], dim=2)
    return _after(affine, change), weight.mean(dim=1)


def _solve(template: _Template, weight: Tensor, slopes: Tensor) -> Tensor:
    """The (N, 2, 3) change of the fixed side's position, in cells, positions in half widths: a 6x6 system.

    Its blocks are symmetric 3x3 matrices, so it is solved through the Schur complement of one of them.
    """
    x = template.design
    design_products = (x.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    blocks = ((template.products * weight.unsqueeze(1)) @ design_products).unflatten(2, (3, 3))
    right = (slopes * weight.unsqueeze(1)) @ x
    a, b, c = _damped(blocks[:, 0]), blocks[:, 1], _damped(blocks[:, 2])
    a_inverse = affine_fit.inverse_3x3_symmetric(a)
    b_a = b @ a_inverse
    schur_inverse = affine_fit.inverse_3x3_symmetric(c - b_a @ b)
    second = schur_inverse @ (right[:, 1].unsqueeze(2) - b_a @ right[:, 0].unsqueeze(2))
    first = a_inverse @ (right[:, 0].unsqueeze(2) - b @ second)
    return torch.cat([first, second], dim=2).transpose(1, 2)


def _after(affine: Tensor, change: Tensor) -> Tensor:
    """`affine` after the inverse of (identity + `change`), in closed form."""
    a, b = 1.0 + change[:, 0, 0], change[:, 0, 1]
    c, d = change[:, 1, 0], 1.0 + change[:, 1, 1]
    inverse = torch.stack([torch.stack([d, -b], dim=1), torch.stack([-c, a], dim=1)], dim=1)
    linear = affine[:, :, :2] @ (inverse / (a * d - b * c).reshape(-1, 1, 1))
    return torch.cat([linear, affine[:, :, 2:] - linear @ change[:, :, 2:]], dim=2)


def _damped(block: Tensor) -> Tensor:
    eye = torch.eye(3, device=block.device)
    return block + eye * (_RELATIVE_DAMPING * block + _ABSOLUTE_DAMPING)


def _pairs(x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    return (x, x), (x, y), (y, y)
