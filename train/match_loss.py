"""Losses of the matching network: every stage is told where its points really lie.

Truth and estimates are affines (N, 2, 3) from fixed to moving, in centred px of the network's input
(`vr.models.affine_fit`).
"""

import torch
from torch import Tensor

from vr.models import affine_fit
from vr.models.match import COARSE_STRIDE, MIDDLE_STRIDE, Match

# Width of the target distribution, in cells: with it the soft maximum of the squared probabilities has no
# bias towards cell centres worth speaking of (a Gaussian squared is a narrower Gaussian of the same mean).
_LABEL_SIGMA_CELLS = 0.7
# How wrong a local stage's start is in training, in px at the corners: what the stage before leaves behind.
START_ERRORS_PX = (14.0, 7.0, 3.0)
_GRID_WEIGHTS = (0.02, 0.05, 0.1, 0.2)
_GRID_LIMIT_PX = 20.0


def invert(affine: Tensor) -> Tensor:
    """Inverse of (N, 2, 3)."""
    linear = torch.linalg.inv(affine[:, :, :2])
    return torch.cat([linear, -linear @ affine[:, :, 2:]], dim=2)


def grid_error_px(affine: Tensor, truth: Tensor, height: int, width: int, count: int = 9) -> Tensor:
    """(N,) mean distance over a `count` x `count` grid of the fixed image."""
    line = torch.linspace(-0.5, 0.5, count, device=affine.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x.flatten() * (width - 1), y.flatten() * (height - 1)], dim=1)
    distance = affine_fit.apply(affine, points) - affine_fit.apply(truth, points)
    return distance.square().sum(dim=2).add(1e-6).sqrt().mean(dim=1)


def match_loss(match: Match, truth: Tensor, stride: int, height: int, width: int) -> Tensor:
    """Cross-entropy of the match distributions; points whose place no candidate covers belong "nowhere"."""
    target = affine_fit.apply(truth, match.points)
    inside = (target[:, :, 0].abs() < width / 2.0) & (target[:, :, 1].abs() < height / 2.0)
    if match.base is not None:
        target = affine_fit.apply(invert(match.base), target) - match.points
        reach = match.candidates.abs().amax() + stride / 2.0
        inside = inside & (target.abs().amax(dim=2) < reach)
    squared = (target.unsqueeze(2) - match.candidates).square().sum(dim=3)
    labels = torch.softmax(-squared / (2.0 * (_LABEL_SIGMA_CELLS * stride) ** 2), dim=2)
    log_probability = match.logits.log_softmax(dim=2)
    found = -(labels * log_probability[:, :, :-1]).sum(dim=2)
    return torch.where(inside, found, -log_probability[:, :, -1]).mean()


def total_loss(matches: list[Match], truth: Tensor, height: int, width: int) -> dict[str, Tensor]:
    """`loss`, and its parts by stage: `match_i`, `grid_px_i` (mean grid error, px)."""
    parts: dict[str, Tensor] = {}
    loss = torch.zeros((), device=truth.device)
    for i, (match, weight) in enumerate(zip(matches, _GRID_WEIGHTS, strict=True)):
        stride = COARSE_STRIDE if match.base is None else MIDDLE_STRIDE
        parts[f"match_{i}"] = match_loss(match, truth, stride, height, width)
        error = grid_error_px(match.affine, truth, height, width)
        parts[f"grid_px_{i}"] = error.detach().mean()
        # A saturating error: one hopeless pair must not outweigh the rest of the batch.
        loss = loss + parts[f"match_{i}"] + weight * (_GRID_LIMIT_PX * torch.tanh(error / _GRID_LIMIT_PX)).mean()
    parts["loss"] = loss
    return parts


def perturbed(truth: Tensor, error_px: float, width: int, generator: torch.Generator) -> Tensor:
    """Truth with random errors of up to about `error_px` at the corners: half shift, half linear part."""
    count = truth.shape[0]
    strength = error_px * torch.rand(count, 1, 1, generator=generator)
    shift = strength * (torch.rand(count, 2, 1, generator=generator) - 0.5) * 1.4
    linear = strength / (width / 2.0) * (torch.rand(count, 2, 2, generator=generator) - 0.5) * 1.4
    return truth + torch.cat([linear, shift], dim=2).to(truth.device)
