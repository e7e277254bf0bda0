"""A robust affine through weighted point matches, in closed form, so that it exports to ONNX.

Points are in pixels of the network's input with the origin in the image centre: `p = (x + 0.5 - W / 2,
y + 0.5 - H / 2)`, where a normalised theta is only a change of units (`centred_to_theta`). An affine (N, 2, 3)
maps fixed points to moving points.
"""

import torch
from torch import Tensor

# Weight of the pull towards the previous estimate, in matches; keeps the system regular when nothing matches.
_PRIOR_MATCHES = 0.05


def centred_to_theta(affine: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, 3) in centred pixels to the normalised `theta` (N, 2, 3) of an image of `height` x `width`."""
    row_x = torch.stack([affine[:, 0, 0], affine[:, 0, 1] * (height / width), affine[:, 0, 2] * (2.0 / width)], dim=1)
    row_y = torch.stack([affine[:, 1, 0] * (width / height), affine[:, 1, 1], affine[:, 1, 2] * (2.0 / height)], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def theta_to_centred(theta: Tensor, height: int, width: int) -> Tensor:
    """Inverse of `centred_to_theta`."""
    row_x = torch.stack([theta[:, 0, 0], theta[:, 0, 1] * (width / height), theta[:, 0, 2] * (width / 2.0)], dim=1)
    row_y = torch.stack([theta[:, 1, 0] * (height / width), theta[:, 1, 1], theta[:, 1, 2] * (height / 2.0)], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def apply(affine: Tensor, points: Tensor) -> Tensor:
    """Affine (N, 2, 3) on points (Q, 2) or (N, Q, 2) -> (N, Q, 2)."""
    return points @ affine[:, :, :2].transpose(1, 2) + affine[:, :, 2].unsqueeze(1)


def inverse_3x3_symmetric(m: Tensor) -> Tensor:
    """Inverse of symmetric (N, 3, 3) by cofactors; `torch.linalg.inv` does not export."""
    a, b, c = m[:, 0, 0], m[:, 0, 1], m[:, 0, 2]
    d, e, f = m[:, 1, 1], m[:, 1, 2], m[:, 2, 2]
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    rows = [torch.stack(row, dim=1) for row in ([aa, bb, cc], [bb, dd, ee], [cc, ee, ff])]
    return torch.stack(rows, dim=1) / (a * aa + b * bb + c * cc).reshape(-1, 1, 1)


def weighted_affine(points: Tensor, targets: Tensor, weights: Tensor, prior: Tensor, scale_px: float) -> Tensor:
    """The affine (N, 2, 3) that minimises `sum w |A p - t|^2` plus a small pull towards `prior`.

    points (Q, 2), targets (N, Q, 2), weights (N, Q) >= 0, prior (N, 2, 3), all in centred px. `scale_px`, about half
    the image width, brings the unknowns to one order of magnitude.
    """
    ones = torch.ones_like(points[:, :1])
    design = torch.cat([points / scale_px, ones], dim=1)
    weighted = design * weights.unsqueeze(2)
    normal = weighted.transpose(1, 2) @ design + _PRIOR_MATCHES * torch.eye(3, device=points.device)
    residual = targets - apply(prior, points)
    delta = inverse_3x3_symmetric(normal) @ (weighted.transpose(1, 2) @ residual)
    delta = delta.transpose(1, 2)
    return prior + torch.cat([delta[:, :, :2] / scale_px, delta[:, :, 2:]], dim=2)


def robust_affine(
    points: Tensor,
    targets: Tensor,
    weights: Tensor,
    prior: Tensor,
    scale_px: float,
    tolerances_px: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Iteratively reweighted `weighted_affine`: each tolerance is one Geman-McClure round, wide to narrow.

    Returns the affine (N, 2, 3), and the last robust weights (N, Q) in [0, 1]: 1 for a match on the affine, 1/4 for
    one that is the last tolerance away.
    """
    affine = weighted_affine(points, targets, weights, prior, scale_px)
    inlier = torch.ones_like(weights)
    for tolerance in tolerances_px:
        squared = (targets - apply(affine, points)).square().sum(dim=2)
        inlier = (1.0 + squared / tolerance**2).pow(-2)
        affine = weighted_affine(points, targets, weights * inlier, affine, scale_px)
    return affine, inlier
