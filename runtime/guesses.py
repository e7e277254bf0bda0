"""Guesses of how two cameras stand to each other, and which transforms two cameras of one scene can have at all."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.evidence import Transform
from vr.runtime.geometry import CORNERS, Float64Array, SizeHw, apply_matrix, grid_points, matrix_to_theta, to_3x3

SHIFT = 0.25
"""Step of the guesses aside, in sides of the frame that sees less."""
MAX_DIAGONAL_RARITY = 5.0
"""Rarer guesses are shifted along one axis only."""
SCALE_RANGE = (0.33, 3.0)
MAX_STRETCH = 1.5
"""How much longer a circle may become than wide; square pixels would give 1."""
MIN_OVERLAP = 0.25
"""Share of the frame that sees less which the other one has to see too."""


@dataclass(frozen=True)
class Hypothesis:
    """A guess: the IR picture turned (positive turns x towards y) and `scale` times as large (2: half the field of
    view), its centre shifted by `shift_xy` sides of the frame that sees less.
    """

    rotation_deg: float
    scale: float
    shift_xy: tuple[float, float] = (0.0, 0.0)

    @property
    def rarity(self) -> float:
        """Smaller is likelier: cameras upright or upside down, then on their side, then with another lens or askew."""
        turn = {0.0: 0, 180.0: 1, 90.0: 2, 270.0: 2, 30.0: 3, 330.0: 3}.get(self.rotation_deg, 5)
        return turn + 3 * abs(math.log2(self.scale)) + 8 * math.hypot(*self.shift_xy)

    def theta(self, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
        """(2, 3), of frames with square pixels."""
        size = self.scale * math.sqrt(ir_hw[0] * ir_hw[1] / (rgb_hw[0] * rgb_hw[1]))
        c, s = (size * f(math.radians(self.rotation_deg)) for f in (math.cos, math.sin))
        turn = matrix_to_theta([[c, -s, 0.0], [s, c, 0.0]], rgb_hw, ir_hw)[:, :2]
        return np.column_stack([turn, 2.0 * min(self.scale, 1.0) * np.asarray(self.shift_xy)])


def affine_of(theta: Float64Array) -> Float64Array:
    """(2, 3): what is nearest to a theta (2, 3) or (3, 3), by least squares over the RGB frame."""
    if theta.shape == (2, 3):
        return theta
    points = np.column_stack([_SPREAD, np.ones(len(_SPREAD))])
    return np.linalg.lstsq(points, apply_matrix(theta, _SPREAD), rcond=None)[0].T.astype(np.float64)


def is_sane(theta: Transform, rgb_hw: SizeHw, ir_hw: SizeHw) -> bool:
    """Whether a whole transform, (2, 3) or (3, 3), is one of two cameras that see the same: no horizon in the RGB
    frame; scale, stretch and overlap within the limits of this module.
    """
    if not overlaps(theta):
        return False
    longest, shortest = np.linalg.svd(_linear_px(theta, rgb_hw, ir_hw), compute_uv=False)
    return bool(longest <= MAX_STRETCH * shortest)


def overlaps(theta: Transform) -> bool:
    """`is_sane` but for the stretch, which is one of pixels."""
    matrix = to_3x3(theta)
    if (CORNERS @ matrix[2, :2] + matrix[2, 2]).min() <= 0.0:
        return False
    scale = scale_of(theta)
    if not SCALE_RANGE[0] <= scale <= SCALE_RANGE[1]:
        return False
    seen = np.abs(apply_matrix(theta, _SPREAD)).max(axis=1) <= 1.0
    return float(seen.mean()) * max(1.0, scale**2) >= MIN_OVERLAP


def scale_of(theta: ArrayLike) -> float:
    """IR frame sides per RGB frame side in the middle of the RGB frame: 2 where IR sees half the field of view."""
    return math.sqrt(abs(float(np.linalg.det(_linear(theta)))))


def turn_and_scale(theta: Transform, rgb_hw: SizeHw, ir_hw: SizeHw) -> tuple[float, float]:
    """Rotation (degrees from -180 to 180, positive turns x towards y) and scale of a theta."""
    (a, b), (c, d) = _linear_px(theta, rgb_hw, ir_hw)
    return math.degrees(math.atan2(c - b, a + d)), scale_of(theta)


def _linear(matrix: ArrayLike) -> Float64Array:
    """(2, 2): how a (2, 3) or (3, 3) maps small steps from the origin."""
    m = to_3x3(matrix)
    return m[:2, :2] - np.outer(m[:2, 2], m[2, :2])


def _linear_px(theta: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """(2, 2): the same of a theta in pixels."""
    return np.diag(ir_hw[::-1]) @ _linear(theta) @ np.diag(1.0 / np.array(rgb_hw[::-1]))


def _hypotheses() -> tuple[Hypothesis, ...]:
    """From likely to unlikely."""
    turns, scales = (float(turn) for turn in range(0, 360, 30)), (1.0, 0.5, 2.0)
    shifts = [(x, y) for x in (0.0, -SHIFT, SHIFT) for y in (0.0, -SHIFT, SHIFT)]
    everything = sorted((Hypothesis(*one) for one in product(turns, scales, shifts)), key=lambda one: one.rarity)
    return tuple(one for one in everything if 0.0 in one.shift_xy or one.rarity <= MAX_DIAGONAL_RARITY)


HYPOTHESES = _hypotheses()
NEAR_TURN_DEG, NEAR_SCALES = 10.0, (0.8, 1.25)
NEAR = (
    *(Hypothesis(0.0, scale) for scale in NEAR_SCALES),
    *(Hypothesis(turn, scale) for scale in (1.0, *NEAR_SCALES) for turn in (NEAR_TURN_DEG, -NEAR_TURN_DEG)),
)
_SPREAD = 2.0 * (grid_points((17, 17), 17) + 0.5) / 17.0 - 1.0
"""(289, 2): points all over a frame, normalised."""
