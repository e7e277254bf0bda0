"""The pinhole view that composes a scene: metres of a street or room to canvas pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.geometry import Float64Array

_NEAREST_M = 0.6


@dataclass(frozen=True)
class View:
    """World points (x right, y up from the ground, z forward; metres) to canvas pixels.

    `vanishing_xy` is the image of the point straight ahead, `focal_px` the focal length, `height_m` that of the eye.
    `left_px`, `top_px`, `width_px`, `height_px` is the part of the canvas that the RGB camera sees.
    """

    vanishing_xy: tuple[float, float]
    focal_px: float
    height_m: float
    left_px: float
    top_px: float
    width_px: float
    height_px: float

    def project(self, points_xyz: ArrayLike) -> Float64Array:
        """Points (..., 3) m to (..., 2) px; what is nearer than 0.6 m is pushed out to there."""
        points = np.asarray(points_xyz, dtype=np.float64)
        per_m = self.focal_px / np.maximum(points[..., 2], _NEAREST_M)
        seen = np.empty((*points.shape[:-1], 2))
        seen[..., 0] = self.vanishing_xy[0] + per_m * points[..., 0]
        seen[..., 1] = self.vanishing_xy[1] + per_m * (self.height_m - points[..., 1])
        return seen

    def px_per_m(self, z_m: float) -> float:
        """Size of a metre at a distance."""
        return self.focal_px / max(z_m, _NEAREST_M)

    def x_at(self, x_px: float, z_m: float) -> float:
        """Lateral position, m, of what is seen at column `x_px` at a distance."""
        return (x_px - self.vanishing_xy[0]) / self.px_per_m(z_m)


def quad_facing(x0: float, x1: float, y0: float, y1: float, z: float) -> Float64Array:
    """Corners (4, 3) of an upright rectangle that faces the viewer."""
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def quad_side(x: float, y0: float, y1: float, z0: float, z1: float) -> Float64Array:
    """Corners (4, 3) of an upright rectangle along the view, at a lateral position."""
    return np.array([[x, y0, z0], [x, y0, z1], [x, y1, z1], [x, y1, z0]])


def quad_flat(x0: float, x1: float, y: float, z0: float, z1: float) -> Float64Array:
    """Corners (4, 3) of a level rectangle at a height."""
    return np.array([[x0, y, z0], [x1, y, z0], [x1, y, z1], [x0, y, z1]])


def ground_shadow(
    x: float, z: float, half_width_m: float, height_m: float, sun_xz: tuple[float, float]
) -> Float64Array:
    """Outline (4, 3) m on the ground of the shadow of an upright thing at (x, z)."""
    tip_x, tip_z = x + sun_xz[0] * height_m, max(z + sun_xz[1] * height_m, 0.8)
    left, right = -half_width_m, half_width_m
    return np.array([[x + left, 0, z], [x + right, 0, z], [tip_x + right, 0, tip_z], [tip_x + left, 0, tip_z]])
