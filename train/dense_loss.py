"""The loss of the dense head: end-point errors against the true flow, where harm costs more than gain brings.

Errors are measured at the centres of cells of 8 px, in px of the moving image.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models.dense import SPACING_PX, places, spline
from vr.models.geometry import flow_to_grid

_STRIDE = 8
_PER_POINT = SPACING_PX // _STRIDE
# What a place counts whose source the moving image does not show: there the flow need only go on smoothly.
_OUTSIDE = 0.25
# Weight of what a place is worse than the affine, beside its error.
_HARM = 0.5
# Errors count up to about this: where the affine is lost, the head cannot help.
_LIMIT_PX = 8.0
# Of the looks before the last one.
_EARLY = 0.5


class Truth(NamedTuple):
    """By cell: source (N, h, w, 2), normalised; weight (N, h, w)."""

    source: Tensor
    weight: Tensor


def truth_of(flow: Tensor) -> Truth:
    """The true flow (N, 2, H, W), px, at the cells' centres."""
    source = flow_to_grid(F.avg_pool2d(flow, _STRIDE) / _STRIDE)
    inside = (source.abs() <= 1.0).all(dim=3)
    return Truth(source, torch.where(inside, 1.0, _OUTSIDE))


def error_px(theta: Tensor, bend: Tensor, truth: Truth) -> Tensor:
    """(N, h, w) distance between found and true sources; theta (N, 2, 3), bend (N, 2, H/16, W/16) as in
    `vr.models.dense`.
    """
    offset = places(theta, spline(bend, _PER_POINT), _STRIDE) - truth.source
    rows, columns = truth.weight.shape[-2:]
    half_size = torch.tensor([columns * _STRIDE / 2.0, rows * _STRIDE / 2.0], device=offset.device)
    return (offset * half_size).square().sum(dim=3).add(1e-4).sqrt()


def dense_loss(theta: Tensor, bends: list[Tensor], truth: Truth) -> dict[str, Tensor]:
    """`loss` of the displacements after each look, and the mean errors `start_px` and `end_px`.

    theta: what the head started from.
    """
    start = error_px(theta, torch.zeros_like(bends[0]), truth)
    errors = [error_px(theta, bend, truth) for bend in bends]
    loss = torch.zeros_like(start[0, 0, 0])
    for number, error in enumerate(errors, 1):
        cost = _LIMIT_PX * torch.tanh(error / _LIMIT_PX) + _HARM * (error - start).clamp(min=0.0)
        loss = loss + (1.0 if number == len(errors) else _EARLY) * _mean(cost, truth)
    return {"loss": loss, "start_px": _mean(start, truth), "end_px": _mean(errors[-1], truth).detach()}


def _mean(values: Tensor, truth: Truth) -> Tensor:
    return (values * truth.weight).sum() / truth.weight.sum()
