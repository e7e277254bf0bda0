"""The coarse search: where does each point of the fixed image lie in the whole moving image, and which affine is that?

Every query point has a distribution over all cells of the moving image. The affine is fitted by annealing: each round
weighs the distributions by a Gaussian around the places that the last affine gives, takes mass and mean of what is
left as a weighted match, and fits anew; the Gaussian shrinks from round to round (expectation maximisation as in
coherent point drift, Myronenko & Song, IEEE TPAMI 2010, with a fixed schedule). So a second-best peak of a point
still counts when most other points agree with it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models import affine_fit
from vr.models.base import SizeHw

COARSE_STRIDE = 8
QUERY_STEP = 2
# Width (sigma) of the Gaussian in each round of the annealing, after a first fit to the mean places.
ANNEALING_PX = (48.0, 24.0, 14.0, 9.0, 8.0)
# Usual width (sigma) of a peak. The mean under a Gaussian of sigma s around the last estimate lies between that
# estimate and the peak; a product of two Gaussians says where: the peak is (1 + peak^2 / s^2) times as far.
_PEAK_PX = 6.0
# The part of the sums of `_around` that pulls along x, and along y: from the place to the cells.
_PULL = ((0.0, 0.0, -1.0, 0.0), (0.0, -1.0, 0.0, 0.0))


class Coarse(NamedTuple):
    """What the search found, for the losses and the confidence.

    affine (N, 2, 3) in centred px (`vr.models.affine_fit`); logits (N, Q, K), nowhere (), the logit of the bin for
    points without a match, and log_total (N, Q), the log of the sum of the exponentials of all of these; points (Q, 2)
    the query points and candidates (K, 2) the cells of the moving image, centred px. Means over the points, (N, 1):
    found, of the probability that there is a match, sharpness, of the sum of the squared probabilities, mass, of the
    part of that which the last round found around the place that the affine gives.
    """

    affine: Tensor
    logits: Tensor
    nowhere: Tensor
    log_total: Tensor
    points: Tensor
    candidates: Tensor
    found: Tensor
    sharpness: Tensor
    mass: Tensor


def search(moving: Tensor, fixed: Tensor, scale: Tensor, nowhere: Tensor) -> Coarse:
    """Unit features (N, C, h, w) of both images -> the affine between them.

    scale: what a cosine is multiplied with, so that no exponential overflows; nowhere: as in `Coarse`.
    """
    height, width = fixed.shape[-2:]
    points = centred_grid(height, width, fixed, QUERY_STEP)
    candidates = centred_grid(height, width, fixed)
    # An average of one cell each: faster than a slice with steps.
    query = F.avg_pool2d(fixed, 1, stride=QUERY_STEP).flatten(2).transpose(1, 2)
    logits = (scale * query) @ moving.flatten(2)
    strength = logits.exp()
    matched = strength.sum(dim=2, keepdim=True)
    total = matched + nowhere.exp()
    one_in = total.reciprocal()
    # Squared, because a peak becomes narrower and weak background vanishes.
    affine, sharpness, mass = _fit(strength * strength, one_in * one_in, (height, width))
    found = (matched * one_in).mean(dim=1)
    return Coarse(affine, logits, nowhere, total.squeeze(2).log(), points, candidates, found, sharpness, mass)


def centred_grid(height: int, width: int, like: Tensor, step: int = 1) -> Tensor:
    """(Q, 2) centres, in centred px of the input, of every `step`-th cell of a `height` x `width` feature map."""
    xx, yy = (axis.reshape(-1) for axis in cell_centres(height, width, like, step))
    rows, columns = yy.shape[0], xx.shape[0]
    grid = torch.stack([xx.reshape(1, columns).expand(rows, columns), yy.reshape(rows, 1).expand(rows, columns)], dim=2)
    return grid.reshape(rows * columns, 2)


def cell_centres(height: int, width: int, like: Tensor, step: int = 1) -> tuple[Tensor, Tensor]:
    """x (columns,) and y (rows,) of the cell centres, centred px."""
    x = (torch.arange(0, width, step, device=like.device, dtype=torch.float32) + 0.5 - width / 2.0) * COARSE_STRIDE
    y = (torch.arange(0, height, step, device=like.device, dtype=torch.float32) + 0.5 - height / 2.0) * COARSE_STRIDE
    return x, y


def _fit(maps: Tensor, scale: Tensor, size_hw: SizeHw) -> tuple[Tensor, Tensor, Tensor]:
    """Affine (N, 2, 3) from squared match probabilities, maps (N, Q, h * w) times scale (N, Q, 1); and means over the
    points (N, 1), of the sums of the maps, and of what of them the last round found around the affine.

    Each round solves a small linear system. Its entries are sums over the points of constants times sums over the maps,
    and `scale` goes into the constants, because the maps are what is large.
    """
    height, width = size_hw
    scale_px = width * COARSE_STRIDE / 2.0
    design = affine_fit.design(centred_grid(height, width, maps, QUERY_STEP), scale_px)
    rows = scale * affine_fit.system_rows(design)
    candidates = centred_grid(height, width, maps)
    sums = maps @ torch.cat([torch.ones_like(candidates[:, :1]), candidates], dim=1)
    system = sums.transpose(1, 2) @ rows
    sharpness = system[:, :1, -1] / design.shape[0]
    start = torch.eye(2, 3, device=maps.device) * scale_px
    affine = affine_fit.solve(system[:, :1], system[:, 1:, -3:], start)
    maps = maps.unflatten(2, (height, width))
    for sigma_px in ANNEALING_PX:
        # The way to here is a search; only what is found at its end teaches (and one round is cheap to teach).
        affine = affine.detach()
        is_last = sigma_px == ANNEALING_PX[-1]
        sums = _around(maps if is_last else maps.detach(), design, affine, sigma_px)
        system = sums.transpose(1, 2) @ (rows if is_last else rows.detach())
        pull = torch.tensor(_PULL, device=maps.device) * (1.0 + (_PEAK_PX / sigma_px) ** 2)
        affine = affine + affine_fit.solve(system[:, :1], pull @ system[:, :, -3:])
    unit = torch.tensor([scale_px, scale_px, 1.0], device=maps.device)
    return affine / unit, sharpness, system[:, :1, -1] / design.shape[0]


def _around(maps: Tensor, design: Tensor, affine: Tensor, sigma_px: float) -> Tensor:
    """Sums (N, Q, 4) of maps (N, Q, h, w) under a Gaussian around the places that the affine (N, 2, 3) gives the points
    of the design: of the values alone, times how far the place is below the cell (px), times how far it is right of
    it, and times both.

    The Gaussian is a product of one along x and one along y, so a thin matrix product does most of it.
    """
    height, width = maps.shape[2:]
    x, y = cell_centres(height, width, maps)
    is_x = torch.cat([torch.ones_like(x), torch.zeros_like(y)])
    of_axis = torch.stack([is_x, 1.0 - is_x])
    offset = design @ (affine.transpose(1, 2) @ of_axis) - torch.cat([x, y])
    near = (offset * offset * (-0.5 / sigma_px**2)).exp()
    near = torch.cat([near, near * offset], dim=2).unflatten(2, (2, width + height))
    along_x, along_y = near.split([width, height], dim=3)
    rows = along_x @ maps.transpose(2, 3)
    # As many matrix products of 2x2 values would take twice as long.
    return (rows.unsqueeze(3) * along_y.unsqueeze(2)).sum(dim=4).flatten(2)
