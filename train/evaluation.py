"""Figures of a network on a set of pairs."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vr.models.base import Registration
from vr.models.geometry import affine_flow
from vr.train.losses import Objective

FAR_PX = 10.0

Batch = dict[str, Tensor]


def flow_error_px(flow: Tensor, theta: Tensor) -> Tensor:
    """(N,) mean distance between `flow` (N, 2, H, W) and the flow of the true `theta` (N, 2, 3), px of that
    grid.
    """
    truth = affine_flow(theta, flow.shape[-2], flow.shape[-1])
    return (flow - truth).square().sum(dim=1).sqrt().mean(dim=(1, 2))


def folding_rate(flow: Tensor) -> Tensor:
    """(N,) share of the pixels at which `x + flow(x)` (N, 2, H, W) folds: its Jacobian determinant is 0 or negative.

    Forward differences, as in Dalca et al. (MICCAI 2018, section 3); so the last row and column have none.
    """
    dx = (flow[:, :, :, 1:] - flow[:, :, :, :-1])[:, :, :-1]
    dy = (flow[:, :, 1:] - flow[:, :, :-1])[:, :, :, :-1]
    determinant = (1.0 + dx[:, 0]) * (1.0 + dy[:, 1]) - dx[:, 1] * dy[:, 0]
    return (determinant <= 0.0).float().mean(dim=(1, 2))


@torch.no_grad()
def evaluate(
    net: nn.Module, batches: Iterable[Batch], objective: Objective, device: torch.device, warped: bool
) -> dict[str, float]:
    """Means of the loss and its parts, and errors against the drawn warps; the network is left in eval mode.

    loss, similarity, smoothness: means over pairs. similarity_before: the same loss without any alignment.
    folding: mean share of the pixels at which the flow folds, see `folding_rate`.

    Only if `warped`, since without drawn warps no truth is known: error_px, error_before_px: medians over
    pairs of the mean distance to the true source point, in px of the network's grid, with the network and
    without alignment. far_share: share of the pairs whose error is above 10 px. They are as good as the
    pairs on disk are aligned.
    """
    net.eval()
    rows: list[dict[str, Tensor]] = []
    for batch in batches:
        moving, fixed, theta = (batch[name].to(device) for name in ("moving", "fixed", "theta"))
        rows.append(_pair_figures(net(moving, fixed), moving, fixed, theta, objective))
    columns = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    errors = {name: columns.pop(name) for name in ("error_px", "error_before_px")}
    figures = {name: float(values.mean()) for name, values in columns.items()}
    if warped:
        figures |= {name: float(values.quantile(0.5)) for name, values in errors.items()}
        figures["far_share"] = float((errors["error_px"] > FAR_PX).float().mean())
    return figures


def _pair_figures(
    result: Registration, moving: Tensor, fixed: Tensor, theta: Tensor, objective: Objective
) -> dict[str, Tensor]:
    """One (N,) column per figure."""
    still = Registration(torch.zeros_like(result.flow))
    parts = objective(moving, fixed, result)
    parts["similarity_before"] = objective(moving, fixed, still)["similarity"]
    columns = {name: value.detach().cpu().expand(len(moving)) for name, value in parts.items()}
    columns["folding"] = folding_rate(result.flow).cpu()
    columns["error_px"] = flow_error_px(result.flow, theta).cpu()
    columns["error_before_px"] = flow_error_px(still.flow, theta).cpu()
    return columns
