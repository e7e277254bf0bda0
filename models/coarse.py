"""The coarse search: where does each point of the fixed image lie in the whole moving image, and which affine is that?

Every query point has a distribution over all cells of the moving image. The affine is fitted by annealing: each round
weighs the distributions by a Gaussian around the places that the last affine gives, takes mass and mean of what is
left as a weighted match, and fits anew; the Gaussian shrinks from round to round (expectation maximisation as in
coherent point drift, Myronenko & Song, IEEE TPAMI 2010, with a fixed schedule). So a second-best peak of a point
still counts when most other points agree with it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vr.models import affine_fit

COARSE_STRIDE = 8
QUERY_STEP = 2
# Width (sigma) of the Gaussian in each round of the annealing, after a first fit to the mean places.
ANNEALING_PX = (48.0, 24.0, 14.0, 9.0, 8.0)
# Usual width (sigma) of a peak. The mean under a Gaussian of sigma s around the last estimate lies between that
# estimate and the peak; a product of two Gaussians says where: the peak is (1 + peak^2 / s^2) times as far.
_PEAK_PX = 6.0


class Coarse(NamedTuple):
    """What the search found, for the losses and the confidence.

    affine (N, 2, 3) in centred px (`vr.models.affine_fit`); logits (N, Q, K), nowhere (), the logit of the bin for
    points without a match, and log_total (N, Q), the log of the sum of the exponentials of all of these; points (Q, 2)
    the query points and candidates (K, 2) the cells of the moving image, centred px; found (N, Q) the probability that
    a point has a match, sharpness (N, Q) the sum of its squared probabilities, mass (N, Q) the part of that which the
    last round found around the place that the affine gives.
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
    query = fixed[:, :, ::QUERY_STEP, ::QUERY_STEP].flatten(2).transpose(1, 2)
    logits = (scale * query) @ moving.flatten(2)
    strength = logits.exp()
    matched = strength.sum(dim=2, keepdim=True)
    total = matched + nowhere.exp()
    probability = strength / total
    # Squared, because a peak becomes narrower and weak background vanishes.
    squared = probability * probability
    sharpness = squared.sum(dim=2)
    affine, mass = _fit(squared, sharpness, points, candidates, (height, width))
    found = (matched / total).squeeze(2)
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


def _fit(
    squared: Tensor, sharpness: Tensor, points: Tensor, candidates: Tensor, size_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Affine (N, 2, 3) and last masses (N, Q) from squared match probabilities (N, Q, K) and their sums (N, Q)."""
    height, width = size_hw
    scale_px = width * COARSE_STRIDE / 2.0
    x, y = cell_centres(height, width, squared)
    targets = squared @ candidates / (sharpness.unsqueeze(2) + 1e-9)
    prior = torch.eye(3, device=squared.device)[:2].expand(squared.shape[0], 2, 3)
    affine = affine_fit.weighted_affine(points, targets, sharpness, prior, scale_px)
    maps = squared.unflatten(2, (height, width))
    mass = sharpness
    for sigma_px in ANNEALING_PX:
        # The way to here is a search; only what is found at its end teaches (and one round is cheap to teach).
        affine = affine.detach()
        learned = maps if sigma_px == ANNEALING_PX[-1] else maps.detach()
        mass, targets = _around(learned, x, y, affine_fit.apply(affine, points), sigma_px)
        affine = affine_fit.weighted_affine(points, targets, mass, affine, scale_px)
    return affine, mass


def _around(maps: Tensor, x: Tensor, y: Tensor, centres: Tensor, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Mass (N, Q) of maps (N, Q, h, w) under a Gaussian around centres (N, Q, 2), and the place (N, Q, 2) of the peaks
    that the mean under it speaks for.

    The Gaussian is a product of one along x and one along y, so two thin matrix products do it.
    """
    narrow = -0.5 / sigma_px**2
    along_x = (narrow * (centres[:, :, :1] - x).square()).exp()
    along_y = (narrow * (centres[:, :, 1:] - y).square()).exp()
    columns = torch.stack([along_y, along_y * y], dim=2) @ maps
    sums = torch.stack([along_x, along_x * x], dim=2) @ columns.transpose(2, 3)
    mass, y_sum, x_sum, _ = sums.flatten(2).chunk(4, dim=2)
    mean = torch.cat([x_sum, y_sum], dim=2) / (mass + 1e-9)
    return mass.squeeze(2), centres + (1.0 + (_PEAK_PX / sigma_px) ** 2) * (mean - centres)
