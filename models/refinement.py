"""The last pixels: Gauss-Newton on the oriented gradients, where matching by cells ends.

Minimises the robust difference between the fixed image's features and the moving image's features under the current
affine (Lucas-Kanade on feature images; the inverse compositional form of Baker & Matthews, IJCV 2004, section 3.2).
Small symmetric systems in closed form, a fixed number of rounds: it exports to ONNX like any other layer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models.affine_fit import inverse_3x3
from vr.models.geometry import affine_sampling_grid, homogeneous_grid

# A pixel whose feature vectors (length below 1) differ by this much counts a quarter of one that agrees.
_TOLERANCE = 0.5
# Relative damping (Levenberg-Marquardt), and an absolute one for images without any edge.
_RELATIVE_DAMPING = 1e-3
_ABSOLUTE_DAMPING = 1e-3


class Refined(NamedTuple):
    """theta (N, 2, 3); agreement (N,): mean robust weight of all fixed pixels, in [0, 1]."""

    theta: Tensor
    agreement: Tensor


class _Template(NamedTuple):
    """What stays the same over the rounds: the fixed features, their slopes per cell, products of the slopes, and the
    pixel grid as (3, H * W) normalised positions.
    """

    features: Tensor
    slope_x: Tensor
    slope_y: Tensor
    products: Tensor
    grid: Tensor


def refine(moving: Tensor, fixed: Tensor, theta: Tensor, rounds: int) -> Refined:
    """Improves `theta` (N, 2, 3) on features (N, C, h, w) of both images."""
    template = _template(fixed)
    agreement = torch.ones_like(theta[:, 0, 0])
    for _ in range(rounds):
        theta, agreement = _one_round(template, moving, theta)
    return Refined(theta, agreement)


def _template(fixed: Tensor) -> _Template:
    padded = F.pad(fixed, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2.0
    slope_y = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2.0
    pairs = (slope_x, slope_x), (slope_x, slope_y), (slope_y, slope_y)
    products = torch.stack([(a * b).sum(dim=1) for a, b in pairs], dim=1).flatten(2)
    return _Template(fixed, slope_x, slope_y, products, homogeneous_grid(fixed.shape[-2], fixed.shape[-1], fixed))


def _one_round(template: _Template, moving: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    height, width = moving.shape[-2:]
    grid = affine_sampling_grid(theta, template.grid, height, width)
    warped = F.grid_sample(moving, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    residual = warped - template.features
    inside = (grid.abs() < 1.0).all(dim=3).float().flatten(1)
    weight = inside * (1.0 + residual.square().sum(dim=1).flatten(1) / _TOLERANCE**2).pow(-2)
    slopes = torch.stack([(s * residual).sum(dim=1) for s in (template.slope_x, template.slope_y)], dim=1).flatten(2)
    change = _solve(template, weight, slopes)
    change = torch.cat([change[:, :1] * (2.0 / width), change[:, 1:] * (2.0 / height)], dim=1)
    return _after(theta, change), weight.mean(dim=1)


def _solve(template: _Template, weight: Tensor, slopes: Tensor) -> Tensor:
    """The (N, 2, 3) change of the fixed side's position in cells, by normalised position: a 6x6 system.

    Its blocks are symmetric 3x3 matrices, so it is solved through the Schur complement of one of them.
    """
    x = template.grid.transpose(0, 1)
    design_products = (x.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    blocks = ((template.products * weight.unsqueeze(1)) @ design_products).unflatten(2, (3, 3))
    right = (slopes * weight.unsqueeze(1)) @ x
    a, b, c = _damped(blocks[:, 0]), blocks[:, 1], _damped(blocks[:, 2])
    a_inverse = inverse_3x3(a)
    b_a = b @ a_inverse
    schur_inverse = inverse_3x3(c - b_a @ b)
    second = schur_inverse @ (right[:, 1].unsqueeze(2) - b_a @ right[:, 0].unsqueeze(2))
    first = a_inverse @ (right[:, 0].unsqueeze(2) - b @ second)
    return torch.cat([first, second], dim=2).transpose(1, 2)


def _after(theta: Tensor, change: Tensor) -> Tensor:
    """`theta` after the inverse of (identity + `change`), in closed form: a 2x2 L has the adjugate tr(L) I - L."""
    eye = torch.eye(2, device=theta.device)
    step = eye + change[:, :, :2]
    adjugate = (step * eye).sum(dim=(1, 2), keepdim=True) * eye - step
    determinant = (step * adjugate.transpose(1, 2)).sum(dim=(1, 2), keepdim=True) / 2.0
    linear = theta[:, :, :2] @ (adjugate / determinant)
    return torch.cat([linear, theta[:, :, 2:] - linear @ change[:, :, 2:]], dim=2)


def _damped(block: Tensor) -> Tensor:
    eye = torch.eye(3, device=block.device)
    return block + eye * (_RELATIVE_DAMPING * block + _ABSOLUTE_DAMPING)
