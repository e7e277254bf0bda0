"""Affine transforms and homographies between the two frames: conversions, and the error measure.

Conventions of the whole project:

- `theta`, (2, 3) of an affine or (3, 3) of a homography: maps a point of the fixed (RGB) frame to its source point
  in the moving (IR) frame; both in normalised coordinates, -1 and +1 at the outer edges of the border pixels
  (`align_corners=False`), so it does not change when either frame is resized.
- `matrix_rgb_to_ir`, float64 of the same shape: the same map in pixels of the two native frames, pixel centres at
  integers. Affine: `x_ir, y_ir = M @ (x_rgb, y_rgb, 1)`. Homography: `u, v, w = M @ (x_rgb, y_rgb, 1)`, then
  `x_ir, y_ir = u / w, v / w`; its last entry is 1.
- a function that takes both shapes gives (2, 3) where all it takes is affine, else (3, 3).
- sizes are (height, width), points are (x, y).
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.errors import InputError

Float64Array = NDArray[np.float64]
SizeHw = tuple[int, int]

IDENTITY_THETA: Float64Array = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_SMALLEST_DETERMINANT = 1e-6
CORNERS: Float64Array = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
"""(4, 2): of every frame, in normalised coordinates."""


def to_3x3(matrix: ArrayLike) -> Float64Array:
    """(3, 3) float64 of a homography, or of an affine (2, 3) with the last row (0, 0, 1)."""
    m = np.asarray(matrix, dtype=np.float64)
    return m if m.shape == (3, 3) else np.vstack([m.reshape(2, 3), [0.0, 0.0, 1.0]])


def theta_of_numbers(numbers: Any) -> Float64Array:
    """Six numbers as a `theta` (2, 3), nine as one of (3, 3), row by row, from whatever JSON or TOML may hold.

    Raises InputError unless they are finite and the transform can be inverted.
    """
    wrong = "a transform has six numbers (affine), or nine (homography), row by row"
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or len(cast(Sequence[Any], numbers)) not in (6, 9):
        raise InputError(f"{wrong}; got {numbers!r:.80}")
    listed = list(cast(Sequence[Any], numbers))
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in listed):
        raise InputError(f"{wrong}; got {numbers!r:.80}")
    theta = np.array(listed, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(theta).all() or abs(float(np.linalg.det(to_3x3(theta)))) < _SMALLEST_DETERMINANT:
        raise InputError(f"the transform {numbers!r:.80} is not finite, or flattens the picture to a line")
    return theta if theta.shape[0] == 2 else theta / theta[2, 2]


def compose(outer: ArrayLike, inner: ArrayLike) -> Float64Array:
    """The transform that applies `inner` first, then `outer`."""
    return _in_shape_of(to_3x3(outer) @ to_3x3(inner), outer, inner)


def invert(matrix: ArrayLike) -> Float64Array:
    """The inverse transform. Raises numpy.linalg.LinAlgError if it is singular."""
    return _in_shape_of(np.linalg.inv(to_3x3(matrix)).astype(np.float64), matrix)


def _in_shape_of(matrix: Float64Array, *sources: ArrayLike) -> Float64Array:
    """(3, 3) as (2, 3) if all that it was made of are affine, else with last entry 1."""
    if all(np.shape(source)[0] == 2 for source in sources):
        return matrix[:2]
    return matrix / matrix[2, 2]


def pixel_to_normalised(size_hw: SizeHw) -> Float64Array:
    """(3, 3): pixel (x, y) of a frame of `size_hw` to normalised coordinates, `(2 x + 1) / W - 1`."""
    h, w = size_hw
    return np.array([[2.0 / w, 0.0, 1.0 / w - 1.0], [0.0, 2.0 / h, 1.0 / h - 1.0], [0.0, 0.0, 1.0]])


def theta_to_matrix(theta: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """Normalised `theta` to `matrix_rgb_to_ir` in pixels of frames of `rgb_hw` and `ir_hw`."""
    full = np.linalg.inv(pixel_to_normalised(ir_hw)) @ to_3x3(theta) @ pixel_to_normalised(rgb_hw)
    return _in_shape_of(full, theta)


def matrix_to_theta(matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """Inverse of `theta_to_matrix`."""
    full = pixel_to_normalised(ir_hw) @ to_3x3(matrix_rgb_to_ir) @ np.linalg.inv(pixel_to_normalised(rgb_hw))
    return _in_shape_of(full, matrix_rgb_to_ir)


def apply_affine(matrix: ArrayLike, points_xy: ArrayLike) -> Float64Array:
    """Applies a (2, 3) affine to points (..., 2) in the units of the matrix."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(points_xy, dtype=np.float64) @ m[:, :2].T + m[:, 2]


def apply_matrix(matrix: ArrayLike, points_xy: ArrayLike) -> Float64Array:
    """Applies an affine (2, 3) or a homography (3, 3) to points (..., 2) in the units of the matrix."""
    mapped = apply_affine(matrix, points_xy)
    return mapped if mapped.shape[-1] == 2 else mapped[..., :2] / mapped[..., 2:]


def grid_points(size_hw: SizeHw, count: int = 9) -> Float64Array:
    """(count * count, 2) pixel points spread evenly over a frame, border pixels included."""
    h, w = size_hw
    xs, ys = np.meshgrid(np.linspace(0, w - 1, count), np.linspace(0, h - 1, count))
    return np.stack([xs.ravel(), ys.ravel()], axis=1)


def grid_error_px(estimated: ArrayLike, truth: ArrayLike, rgb_hw: SizeHw, count: int = 9) -> float:
    """Mean distance, in IR pixels, between the source points that two `matrix_rgb_to_ir` give.

    Measured over a `count` x `count` grid of the RGB frame; the project's accuracy figure.
    """
    points = grid_points(rgb_hw, count)
    distance = np.linalg.norm(apply_matrix(estimated, points) - apply_matrix(truth, points), axis=1)
    return float(distance.mean())
