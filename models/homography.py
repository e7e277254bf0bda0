"""Two more unknowns: Gauss-Newton for a homography, after the affine is found.

A plane seen from two places, or a camera tilted against the other, gives a homography. Its two projective unknowns are
weak in a single pair, so they are searched last, from the refined affine, again on the middle and then on the finer
features. The increment on the fixed side, in normalised coordinates, as in `vr.models.refinement` with two unknowns
more:

    x' = (x + a11 x + a12 y + tx) / (1 + g1 x + g2 y),  to first order  x' = x + a11 x + a12 y + tx - (g1 x + g2 y) x

and the same for y (Baker & Matthews, IJCV 2004, section 3.2, with the warp of their table for homographies).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import homography_flow, project
from vr.models.match import FINE, FINEST, MIDDLE, ROUNDS, MatchNet, Rounds
from vr.models.refinement import (
    Level,
    Settings,
    Template,
    damped_inverse,
    left_over,
    next_step,
    pull,
    slope_products,
)

# Rounds at each level. The affine that they start from is off by several pixels at the border, too far for the fine
# features alone.
_ROUNDS = {MIDDLE: 3, FINE: 2, FINEST: 2}
_FIRST_STEP = 2.0
# How firmly the projective unknowns are held at zero, relative to what determines them.
_PROJECTIVE_DAMPING = 0.05


class HomographyNet(RegistrationNet):
    """A `MatchNet` whose answer is a homography: theta (N, 3, 3), last entry 1. Needs no training of its own.

    The constructor takes what `MatchNet` takes; `match` holds its weights.
    """

    network = "match-homography"
    kind = "homography"
    dynamic = True
    size_multiple = 16
    has_confidence = True

    def __init__(self, size_hw: SizeHw = (240, 320), width: int = 32, deep: int = 96, rounds: Rounds = ROUNDS) -> None:
        super().__init__((int(size_hw[0]), int(size_hw[1])), width=width, deep=deep, rounds=tuple(rounds))
        self.match = MatchNet(size_hw, width, deep, rounds)

    @classmethod
    def around(cls, match: MatchNet) -> "HomographyNet":
        """The same network, its affine refined to a homography; shares no weights with `match`."""
        net = cls(**match.config)
        net.match.load_state_dict(match.state_dict())
        return net.train(match.training)

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta (N, 3, 3) and confidence."""
        height, width = fixed.shape[-2:]
        of_moving, of_fixed = self.match.features(moving, fixed)
        found = self.match.find(of_moving, of_fixed, (height, width))
        last_row = torch.tensor([[[0.0, 0.0, 1.0]]], device=fixed.device).expand(fixed.shape[0], 1, 3)
        theta = torch.cat([found.theta, last_row], dim=1)
        for level, rounds in _ROUNDS.items():
            of_level = self.match.template(of_fixed, level), self.match.level(of_moving, level)
            theta = refine_homography(*of_level, theta, self.match.settings(level), rounds)
        confidence = self.match.confidence(found, (height, width))
        return Registration(homography_flow(theta, height, width), theta, confidence)


def refine_homography(template: Template, moving: Level, matrix: Tensor, settings: Settings, rounds: int) -> Tensor:
    """One level: a homography (N, 3, 3) of normalised points, last entry 1, to a better one.

    settings: of the level's affine rounds; the step lengths follow the pair, as in `vr.models.refinement.refine`.
    """
    motions = _motions(template.grid)
    inverse = _damped_inverse(_normal(template, motions), settings.damping).unsqueeze(1)
    step: Tensor | float = _FIRST_STEP
    before: Tensor | None = None
    for _ in range(rounds):
        places = project(matrix, template.grid.transpose(0, 1)).transpose(1, 2).unsqueeze(1)
        found = pull(template, moving, places, settings.tolerance)
        right = found.force.flatten(1).unsqueeze(1) @ motions.flatten(0, 1)
        change = inverse @ right.reshape(-1, 1, 8, 1) * left_over(template, found)
        if before is not None:
            step = next_step(step, before, change)
        before = change
        matrix = matrix - matrix @ F.pad((step * change).reshape(-1, 8), (0, 1)).reshape(-1, 3, 3)
    return matrix / matrix[:, 2:, 2:]


def _motions(points: Tensor) -> Tensor:
    """(2, P, 8): how far each point (P, 3) moves along x and y by one unit of each unknown, a11 a12 tx a21 a22 ty g1
    g2.
    """
    none = torch.zeros_like(points)
    along_x = torch.cat([points, none, -points[:, :1] * points[:, :2]], dim=1)
    along_y = torch.cat([none, points, -points[:, 1:2] * points[:, :2]], dim=1)
    return torch.stack([along_x, along_y])


def _normal(template: Template, motions: Tensor) -> Tensor:
    """(N, 8, 8): the weighted sum over points and channels of the products of what each unknown does to a feature."""
    xx, yy, xy = slope_products(template.slopes, template.weight).squeeze(1).unsqueeze(3).unbind(dim=1)
    by_x, by_y = motions.unbind()
    return by_x.transpose(0, 1) @ (xx * by_x + xy * by_y) + by_y.transpose(0, 1) @ (xy * by_x + yy * by_y)


def _damped_inverse(normal: Tensor, damping: Tensor) -> Tensor:
    """Inverse of the damped normal matrix (N, 8, 8), through the Schur complement of the affine block."""
    affine_inverse = damped_inverse(normal[:, :6, :6], damping)
    mixed = affine_inverse @ normal[:, :6, 6:]
    own = normal[:, 6:, 6:]
    eye = torch.eye(2, device=own.device)
    held = own + (_PROJECTIVE_DAMPING * own + 1.0) * eye
    projective_inverse = _inverse_2x2(held - normal[:, 6:, :6] @ mixed)
    across = mixed @ projective_inverse
    upper = torch.cat([affine_inverse + across @ mixed.transpose(1, 2), -across], dim=2)
    return torch.cat([upper, torch.cat([-across.transpose(1, 2), projective_inverse], dim=2)], dim=1)


def _inverse_2x2(m: Tensor) -> Tensor:
    """Adjugate (trace I - M) over the determinant, (N, 2, 2)."""
    eye = torch.eye(2, device=m.device)
    adjugate = (m * eye).sum(dim=(1, 2), keepdim=True) * eye - m
    return 2.0 * adjugate / (m * adjugate.transpose(1, 2)).sum(dim=(1, 2), keepdim=True)
