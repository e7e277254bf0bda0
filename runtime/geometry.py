"""Affine transforms between the two frames: conversions, and the error measure.

Conventions of the whole project:

- `theta`, (2, 3) or (N, 2, 3): maps a point of the fixed (RGB) frame to its source point in the moving (IR)
  frame; both in normalised coordinates, -1 and +1 at the outer edges of the border pixels
  (`align_corners=False`), so it does not change when either frame is resized.
- `matrix_rgb_to_ir`, (2, 3) float64: the same map in pixels of the two native frames, pixel centres at
  integers: `x_ir, y_ir = M @ (x_rgb, y_rgb, 1)`.
- sizes are (height, width), points are (x, y).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64Array = NDArray[np.float64]
SizeHw = tuple[int, int]

IDENTITY_THETA: Float64Array = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def to_3x3(matrix: ArrayLike) -> Float64Array:
    """(2, 3) affine to (3, 3) float64, last row (0, 0, 1)."""
    return np.vstack([np.asarray(matrix, dtype=np.float64).reshape(2, 3), [0.0, 0.0, 1.0]])


def compose(outer: ArrayLike, inner: ArrayLike) -> Float64Array:
    """The (2, 3) affine that applies `inner` first, then `outer`."""
    return (to_3x3(outer) @ to_3x3(inner))[:2]


def invert(matrix: ArrayLike) -> Float64Array:
    """The inverse (2, 3) affine. Raises numpy.linalg.LinAlgError if it is singular."""
    return np.linalg.inv(to_3x3(matrix))[:2].astype(np.float64)


def pixel_to_normalised(size_hw: SizeHw) -> Float64Array:
    """(3, 3): pixel (x, y) of a frame of `size_hw` to normalised coordinates, `(2 x + 1) / W - 1`."""
    h, w = size_hw
    return np.array([[2.0 / w, 0.0, 1.0 / w - 1.0], [0.0, 2.0 / h, 1.0 / h - 1.0], [0.0, 0.0, 1.0]])


def theta_to_matrix(theta: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """Normalised `theta` (2, 3) to `matrix_rgb_to_ir` (2, 3) in pixels of frames of `rgb_hw` and `ir_hw`."""
    return (np.linalg.inv(pixel_to_normalised(ir_hw)) @ to_3x3(theta) @ pixel_to_normalised(rgb_hw))[:2]


def matrix_to_theta(matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """Inverse of `theta_to_matrix`."""
    return (pixel_to_normalised(ir_hw) @ to_3x3(matrix_rgb_to_ir) @ np.linalg.inv(pixel_to_normalised(rgb_hw)))[:2]


def apply_affine(matrix: ArrayLike, points_xy: ArrayLike) -> Float64Array:
    """Applies a (2, 3) affine to points (..., 2) in the units of the matrix."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(points_xy, dtype=np.float64) @ m[:, :2].T + m[:, 2]


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
    distance = np.linalg.norm(apply_affine(estimated, points) - apply_affine(truth, points), axis=1)
    return float(distance.mean())
