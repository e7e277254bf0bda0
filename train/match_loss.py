"""Losses of the matching network: every stage is told where its points really lie.

Truth and estimates are affines (N, 2, 3) from fixed to moving, in centred px of the network's input
(`vr.models.affine_fit`).
"""

import torch
from torch import Tensor

from vr.models import affine_fit
from vr.models.coarse import COARSE_STRIDE, Coarse, cell_centres
from vr.models.match import Found

# Width of the target distribution, in cells: with it the soft maximum of the squared probabilities has no bias towards
# cell centres worth speaking of (a Gaussian squared is a narrower Gaussian of the same mean).
_LABEL_SIGMA_CELLS = 0.7
# How wrong the start of each refinement level is in training, in px at the corners: what the stage before leaves.
START_ERRORS_PX = (14.0, 5.0)
_COARSE_WEIGHT, _ROUND_WEIGHTS = 0.03, (0.05, 0.15)
# Errors count up to about these: one hopeless pair must not outweigh the rest of the batch.
_COARSE_LIMIT_PX, _ROUND_LIMITS_PX = 30.0, (20.0, 8.0)


def grid_error_px(affine: Tensor, truth: Tensor, height: int, width: int, count: int = 9) -> Tensor:
    """(N,) mean distance over a `count` x `count` grid of the fixed image."""
    line = torch.linspace(-0.5, 0.5, count, device=affine.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x.flatten() * (width - 1), y.flatten() * (height - 1)], dim=1)
    distance = affine_fit.apply(affine, points) - affine_fit.apply(truth, points)
    return distance.square().sum(dim=2).add(1e-6).sqrt().mean(dim=1)


def match_loss(coarse: Coarse, truth: Tensor, height: int, width: int) -> Tensor:
    """Cross-entropy of the match distributions; points whose place lies outside the moving image are "nowhere".

    The target is a Gaussian over the cells, a product of one along x and one along y, each of sum 1.
    """
    target = affine_fit.apply(truth, coarse.points)
    inside = (target[:, :, 0].abs() < width / 2.0) & (target[:, :, 1].abs() < height / 2.0)
    x, y = cell_centres(height // COARSE_STRIDE, width // COARSE_STRIDE, truth)
    along_x, along_y = _labels(target[:, :, :1], x), _labels(target[:, :, 1:], y)
    maps = coarse.logits.unflatten(2, (y.shape[0], x.shape[0]))
    wanted = (along_y.unsqueeze(2) @ maps @ along_x.unsqueeze(3)).squeeze(3).squeeze(2)
    return (coarse.log_total - torch.where(inside, wanted, coarse.nowhere)).mean()


def _labels(target: Tensor, centres: Tensor) -> Tensor:
    """(N, Q, 1) places and (K,) cell centres along one axis -> (N, Q, K)."""
    narrow = -0.5 / (_LABEL_SIGMA_CELLS * COARSE_STRIDE) ** 2
    return (narrow * (target - centres).square()).softmax(dim=2)


def coarse_loss(coarse: Coarse, truth: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """`loss` of the coarse search, and its parts: `match`, and the mean error `coarse_px`."""
    error = grid_error_px(coarse.affine, truth, height, width)
    match = match_loss(coarse, truth, height, width)
    loss = match + _COARSE_WEIGHT * _limited(error, _COARSE_LIMIT_PX)
    return {"loss": loss, "match": match, "coarse_px": error.detach().mean()}


def total_loss(found: Found, truth: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """`coarse_loss` and the errors of all rounds, with the mean errors `middle_px`, `fine_px` of each level's end."""
    parts = coarse_loss(found.coarse, truth, height, width)
    # Those levels that were trained.
    for level, (name, rounds) in enumerate(zip(("middle_px", "fine_px"), found.rounds, strict=False)):
        affines = [affine_fit.theta_to_centred(one.theta, height, width) for one in rounds]
        errors = [grid_error_px(affine, truth, height, width) for affine in affines]
        for error in errors:
            parts["loss"] = parts["loss"] + _ROUND_WEIGHTS[level] * _limited(error, _ROUND_LIMITS_PX[level])
        parts[name] = errors[-1].detach().mean()
    return parts


def _limited(error_px: Tensor, limit_px: float) -> Tensor:
    return (limit_px * torch.tanh(error_px / limit_px)).mean()


def perturbed(truth: Tensor, error_px: float, width: int, generator: torch.Generator) -> Tensor:
    """Truth with random errors of up to about `error_px` at the corners: half shift, half linear part."""
    count = truth.shape[0]
    strength = error_px * torch.rand(count, 1, 1, generator=generator)
    shift = strength * (torch.rand(count, 2, 1, generator=generator) - 0.5) * 1.4
    linear = strength / (width / 2.0) * (torch.rand(count, 2, 2, generator=generator) - 0.5) * 1.4
    return truth + torch.cat([linear, shift], dim=2).to(truth.device)
