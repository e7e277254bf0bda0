"""An affine through weighted point matches, in closed form, so that it exports to ONNX.

Points are in pixels of the network's input with the origin in the image centre: `p = (x + 0.5 - W / 2,
y + 0.5 - H / 2)`, where a normalised theta is only a change of units (`centred_to_theta`). An affine (N, 2, 3)
maps fixed points to moving points.
"""

from collections.abc import Sequence

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
    factors = (entries @ torch.tensor(COFACTORS, device=m.device)).chunk(4, dim=1)
    return cofactor_inverse([*factors, entries]).reshape(-1, 3, 3)


def cofactor_inverse(parts: Sequence[Tensor]) -> Tensor:
    """Entries (..., 9) of the inverse of a symmetric matrix, from four factors, see COFACTORS, and its entries."""
    first, second, third, fourth, entries = parts
    cofactors = first * second - third * fourth
    determinant = (entries * cofactors) @ torch.full((9, 1), 1.0 / 3.0, device=entries.device)
    return cofactors / determinant


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


COFACTORS = _cofactor_layout()
"""(9, 36): entries of a symmetric 3x3 matrix to four factors of its cofactors, `first * second - third * fourth`."""


def design(points: Tensor, scale_px: float) -> Tensor:
    """(Q, 3): x, y, 1 of points (Q, 2) in centred px, x and y in units of `scale_px`, about half the image's width.

    In these units all unknowns of an affine are of one order of magnitude.
    """
    return torch.cat([points / scale_px, torch.ones_like(points[:, :1])], dim=1)


def system_rows(design: Tensor) -> Tensor:
    """(Q, 45): what a unit of weight of each point of the design (Q, 3) adds to the system of `solve`.

    The last nine columns are the products of the design's row with itself; so the last three are the row.
    """
    products = (design.unsqueeze(2) * design.unsqueeze(1)).flatten(1)
    return products @ _with_factors(products)


def solve(system: Tensor, right: Tensor, prior: Tensor | None = None) -> Tensor:
    """The affine (N, 2, 3) on a design d that minimises `sum w |A d - t|^2` plus a small pull to the prior (2, 3).

    system (N, 1, 45): the weighted sum of `system_rows`; right (N, 2, 3): the weighted sum of the products of t and d;
    without a prior, of changes to an affine, the pull is to none.
    """
    pull = _PRIOR_MATCHES * torch.eye(3, device=system.device).reshape(1, 9)
    parts = (system + pull @ _with_factors(system)).split(9, dim=2)
    if prior is not None:
        right = right + _PRIOR_MATCHES * prior
    return right @ cofactor_inverse(parts).reshape(-1, 3, 3)


def _with_factors(like: Tensor) -> Tensor:
    """(9, 45): COFACTORS, then the entries themselves."""
    return torch.cat([torch.tensor(COFACTORS, device=like.device), torch.eye(9, device=like.device)], dim=1)
