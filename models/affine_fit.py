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
    return affine * _unit_change(height, width, affine)


def theta_to_centred(theta: Tensor, height: int, width: int) -> Tensor:
    """Inverse of `centred_to_theta`."""
    return theta / _unit_change(height, width, theta)


def _unit_change(height: int, width: int, like: Tensor) -> Tensor:
    """(2, 3): x in half widths and y in half heights instead of px, for what goes in and for what comes out.

    A sum of constant masks, because the sizes may be symbols of an exported graph.
    """
    masks = torch.tensor(
        [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
            [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],
            [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
            [[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]],
            [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]],
        ],
        device=like.device,
    )
    in_width, in_height = masks[3] * (1.0 / width), masks[4] * (1.0 / height)
    return masks[0] + masks[1] * (height / width) + masks[2] * (width / height) + in_width + in_height


def apply(affine: Tensor, points: Tensor) -> Tensor:
    """Affine (N, 2, 3) on points (Q, 2) or (N, Q, 2) -> (N, Q, 2)."""
    return points @ affine[:, :, :2].transpose(1, 2) + affine[:, :, 2].unsqueeze(1)


def inverse_3x3(m: Tensor) -> Tensor:
    """Inverse of (N, 3, 3) by cross products of its rows; `torch.linalg.inv` does not export.

    The columns of the inverse are r1 x r2, r2 x r0 and r0 x r1 over the determinant. The cross products are written
    with permutations of whole matrices: element by element they would be most of the nodes of an exported graph.
    """
    left, right = (torch.tensor(p, device=m.device) for p in _CYCLES)
    ahead, behind = left @ m, right @ m
    crosses = (ahead @ right) * (behind @ left) - (ahead @ left) * (behind @ right)
    determinant = (m * crosses).sum(dim=(1, 2), keepdim=True) / 3.0
    return crosses.transpose(1, 2) / determinant


# Permutations (0, 1, 2) -> (1, 2, 0) and (2, 0, 1): of rows from the left; of columns, the other way, from the right.
_CYCLES = (
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
)


def robust_affine(
    points: Tensor, targets: Tensor, weights: Tensor, prior: Tensor, scale_px: float, tolerances_px: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """The affine (N, 2, 3) that minimises `sum w |A p - t|^2` plus a small pull to the prior, then reweighted.

    points (Q, 2), targets (N, Q, 2), weights (N, Q) >= 0, prior (N, 2, 3), all in centred px. Each tolerance is one
    Geman-McClure round, wide to narrow. `scale_px`, about half the image width, brings the unknowns to one order of
    magnitude. Returns the affine, and the last robust weights (N, Q): 1 for a match on the affine, 1/4 for one that
    is the last tolerance away.
    """
    design = torch.cat([points / scale_px, torch.ones_like(points[:, :1])], dim=1)
    unit = torch.tensor([scale_px, scale_px, 1.0], device=points.device)
    affine, residual = _weighted_step(design, targets, weights, prior * unit)
    inlier = torch.ones_like(weights)
    for tolerance in tolerances_px:
        inlier = (1.0 + residual.square().sum(dim=2) / tolerance**2).pow(-2)
        affine, residual = _weighted_step(design, targets, weights * inlier, affine)
    return affine / unit, inlier


def _weighted_step(design: Tensor, targets: Tensor, weights: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    """The least-squares affine (N, 2, 3) on `design` (Q, 3), pulled to `affine`; and its residuals (N, Q, 2)."""
    weighted = (design * weights.unsqueeze(2)).transpose(1, 2)
    normal = weighted @ design + _PRIOR_MATCHES * torch.eye(3, device=design.device)
    change = inverse_3x3(normal) @ (weighted @ (targets - design @ affine.transpose(1, 2)))
    affine = affine + change.transpose(1, 2)
    return affine, targets - design @ affine.transpose(1, 2)
