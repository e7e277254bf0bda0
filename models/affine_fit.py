"""An affine through weighted point matches, in closed form, so that it exports to ONNX.

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


def inverse_symmetric_3x3(m: Tensor) -> Tensor:
    """Inverse of symmetric (N, 3, 3): cofactors over the determinant; `torch.linalg.inv` does not export.

    A constant matrix lays the four factors of all nine cofactors out at once: element by element they would be most
    of the nodes of an exported graph, and their overhead most of its time.
    """
    entries = m.reshape(-1, 9)
    first, second, third, fourth = (entries @ torch.tensor(_COFACTORS, device=m.device)).chunk(4, dim=1)
    cofactors = first * second - third * fourth
    determinant = (entries * cofactors) @ torch.full((9, 1), 1.0 / 3.0, device=m.device)
    return (cofactors / determinant).reshape(-1, 3, 3)


def _cofactor_layout() -> list[list[float]]:
    """(9, 36): entries of a 3x3 matrix to the factors of c_ij = m_(i+1)(j+1) m_(i+2)(j+2) - m_(i+1)(j+2) m_(i+2)(j+1),
    rows and columns counted modulo 3.
    """
    layout = [[0.0] * 36 for _ in range(9)]
    for factor, (down, right) in enumerate([(1, 1), (2, 2), (1, 2), (2, 1)]):
        for i in range(3):
            for j in range(3):
                layout[3 * ((i + down) % 3) + (j + right) % 3][9 * factor + 3 * i + j] = 1.0
    return layout


_COFACTORS = _cofactor_layout()


def weighted_affine(points: Tensor, targets: Tensor, weights: Tensor, prior: Tensor, scale_px: float) -> Tensor:
    """The affine (N, 2, 3) that minimises `sum w |A p - t|^2` plus a small pull to the prior.

    points (Q, 2), targets (N, Q, 2), weights (N, Q) >= 0, prior (N, 2, 3), all in centred px. `scale_px`, about half
    the image width, brings the unknowns to one order of magnitude.
    """
    design = torch.cat([points / scale_px, torch.ones_like(points[:, :1])], dim=1)
    unit = torch.tensor([scale_px, scale_px, 1.0], device=points.device)
    start = prior * unit
    weighted = (design * weights.unsqueeze(2)).transpose(1, 2)
    normal = weighted @ design + _PRIOR_MATCHES * torch.eye(3, device=design.device)
    change = inverse_symmetric_3x3(normal) @ (weighted @ (targets - design @ start.transpose(1, 2)))
    return (start + change.transpose(1, 2)) / unit
