"""A `matrix_rgb_to_ir` as OpenCV and torch take it, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, invert, matrix_to_theta, theta_to_matrix, to_3x3
from vr.runtime.interchange.rig_transform import RigTransform, matrix_of


def to_opencv(matrix_rgb_to_ir: ArrayLike, inverse_map: bool = True) -> Float64Array:
    """What `cv2.warpAffine(ir, M, (W, H), flags=...)` takes, or `cv2.warpPerspective` where M is (3, 3).

    direction: with inverse_map, for `flags=INTER_LINEAR | WARP_INVERSE_MAP`, RGB (output) to IR (input): the matrix
        itself. Without, for `flags=INTER_LINEAR`, IR to RGB: its inverse, which OpenCV inverts again.
    unit: native pixels, (x, y), 0 at the centre of the first pixel.
    """
    matrix = matrix_of(matrix_rgb_to_ir, "matrix_rgb_to_ir")
    return matrix if inverse_map else invert(matrix)


def from_opencv(matrix: ArrayLike, inverse_map: bool = True) -> Float64Array:
    """Inverse of `to_opencv`: from `cv2.findHomography(rgb_points, ir_points)` with inverse_map, from
    `cv2.findHomography(ir_points, rgb_points)` without.

    Raises InputError for what is no transform.
    """
    found = matrix_of(matrix, "the matrix")
    return found if inverse_map else matrix_of(invert(found), "the matrix")


def to_torch(
    matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw, align_corners: bool = False
) -> NDArray[np.float32]:
    """(1, 2, 3) float32 theta for `F.affine_grid(theta, (1, C, *rgb_hw), align_corners)`, whose grid
    `F.grid_sample(ir, grid, align_corners=align_corners)` takes; (1, 3, 3) of a homography, which affine_grid does not
    take.

    direction: RGB (output) to IR (input). unit: normalised by either frame's own size, (x, y); -1 and +1 at the outer
    edges of the border pixels, or at their centres with align_corners, then for frames of at least 2x2 px.
    """
    matrix = matrix_of(matrix_rgb_to_ir, "matrix_rgb_to_ir")
    if not align_corners:
        return matrix_to_theta(matrix, rgb_hw, ir_hw)[None].astype(np.float32)
    theta = _to_corners(ir_hw) @ to_3x3(matrix) @ np.linalg.inv(_to_corners(rgb_hw))
    return (theta[:2] if matrix.shape == (2, 3) else theta / theta[2, 2])[None].astype(np.float32)


def from_torch(theta: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw, align_corners: bool = False) -> Float64Array:
    """Inverse of `to_torch`; takes (2, 3), (3, 3), or one of these in a batch of 1. Raises InputError."""
    found = matrix_of(theta, "theta")
    if not align_corners:
        return theta_to_matrix(found, rgb_hw, ir_hw)
    full = np.linalg.inv(_to_corners(ir_hw)) @ to_3x3(found) @ _to_corners(rgb_hw)
    return full[:2] if found.shape == (2, 3) else full / full[2, 2]


def from_record(record: Mapping[str, Any], rgb_hw: SizeHw | None = None, ir_hw: SizeHw | None = None) -> RigTransform:
    """The transform of one line of `vr-live --transforms`, parsed as JSON; sizes of the frames that it was written for.

    Raises InputError where the line has none: refused frames and those of dense models.
    """
    matrix = record.get("matrix_rgb_to_ir")
    if matrix is None:
        raise InputError(
            f"frame {record.get('index')} has no matrix_rgb_to_ir (state {record.get('state')}); choose a line that has"
        )
    return RigTransform(matrix_of(matrix, "matrix_rgb_to_ir"), "pixels", rgb_hw, ir_hw, "matrix_rgb_to_ir")


def _to_corners(size_hw: SizeHw) -> Float64Array:
    """(3, 3): pixel (x, y) to normalised coordinates with -1 and +1 at the centres of the border pixels."""
    height, width = size_hw
    if min(size_hw) < 2:
        raise InputError(f"a frame of {width}x{height} has no two pixel centres; align_corners needs 2x2 px")
    return np.array([[2.0 / (width - 1), 0.0, -1.0], [0.0, 2.0 / (height - 1), -1.0], [0.0, 0.0, 1.0]])
