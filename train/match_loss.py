"""Losses of the matching network: every stage is told where its points really lie.

Truth and estimates are affines (N, 2, 3) from fixed to moving, in centred px of the network's input
(`vr.models.affine_fit`).
"""

import torch
from torch import Tensor

from vr.models import affine_fit
from vr.models.coarse import COARSE_STRIDE, Coarse
from vr.models.match import LEVELS, Found

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
    """Cross-entropy of the match distributions; points whose place lies outside the moving image are "nowhere"."""
    target = affine_fit.apply(truth, coarse.points)
    inside = (target[:, :, 0].abs() < width / 2.0) & (target[:, :, 1].abs() < height / 2.0)
    squared = (target.unsqueeze(2) - coarse.candidates).square().sum(dim=3)
    labels = torch.softmax(-squared / (2.0 * (_LABEL_SIGMA_CELLS * COARSE_STRIDE) ** 2), dim=2)
    nowhere = coarse.nowhere.expand(*coarse.logits.shape[:2], 1)
    log_probability = torch.cat([coarse.logits, nowhere], dim=2).log_softmax(dim=2)
    found = -(labels * log_probability[:, :, :-1]).sum(dim=2)
    return torch.where(inside, found, -log_probability[:, :, -1]).mean()


def total_loss(found: Found, truth: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """`loss`, and its parts: `match`, and the mean errors `coarse_px`, `middle_px`, `fine_px` of each stage's end."""
    error = grid_error_px(found.coarse.affine, truth, height, width)
    parts = {"match": match_loss(found.coarse, truth, height, width), "coarse_px": error.detach().mean()}
    loss = parts["match"] + _COARSE_WEIGHT * _limited(error, _COARSE_LIMIT_PX)
    for level, name in zip(LEVELS, ("middle_px", "fine_px"), strict=True):
        for one in found.rounds[level]:
            error = grid_error_px(affine_fit.theta_to_centred(one.theta, height, width), truth, height, width)
            loss = loss + _ROUND_WEIGHTS[level] * _limited(error, _ROUND_LIMITS_PX[level])
        parts[name] = error.detach().mean()
    parts["loss"] = loss
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
