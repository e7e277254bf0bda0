"""A transform of a rig as a file gives it: in pixels of frames whose sizes may not be known yet, or normalised."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, matrix_to_theta, theta_of_numbers, theta_to_matrix, to_3x3

Unit = Literal["normalised", "pixels"]
_LARGEST = 1e9


@dataclass(frozen=True, eq=False)
class RigTransform:
    """Where RGB points lie in the IR frame, (2, 3) or (3, 3) float64.

    matrix: a `theta` if `unit` is normalised, a `matrix_rgb_to_ir` if it is pixels; see `vr.runtime.geometry`.
    rgb_hw, ir_hw: sizes of the frames whose pixels are meant, as far as they are known. Frames of other sizes are taken
        for the same pictures, resized.
    source: for messages. warnings: sentences about what was left out.
    """

    matrix: Float64Array
    unit: Unit
    rgb_hw: SizeHw | None = None
    ir_hw: SizeHw | None = None
    source: str = "the transform"
    warnings: tuple[str, ...] = ()

    def theta(self, rgb_hw: SizeHw | None = None, ir_hw: SizeHw | None = None) -> Float64Array:
        """Normalised, (2, 3) or (3, 3).

        rgb_hw, ir_hw: sizes of the frames at hand; needed where the transform is in pixels and does not say of which
        sizes. Raises InputError without them, and for a transform that flattens the picture or is not finite.
        """
        if self.unit == "normalised":
            return self._checked(self.matrix)
        of_rgb, of_ir = self.rgb_hw or rgb_hw, self.ir_hw or ir_hw
        if of_rgb is None or of_ir is None:
            raise InputError(f"{self.source} is in pixels; expected the sizes of the frames (rgb_hw, ir_hw) beside it")
        with np.errstate(all="ignore"):  # a last entry of 0 is found below
            theta = matrix_to_theta(self.matrix, of_rgb, of_ir)
        return self._checked(theta)

    def matrix_rgb_to_ir(self, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
        """In pixels of frames of these sizes. Raises what `theta` raises."""
        return theta_to_matrix(self.theta(rgb_hw, ir_hw), rgb_hw, ir_hw)

    def _checked(self, theta: Float64Array) -> Float64Array:
        try:
            return theta_of_numbers(theta.ravel().tolist())
        except InputError as error:
            raise InputError(f"{self.source}: {error}") from error


def are_numbers(array: ArrayLike) -> bool:
    """Whether all are finite, and none so large that products of them are not."""
    return bool((np.abs(np.asarray(array, np.float64)) <= _LARGEST).all())


def matrix_of(numbers: ArrayLike, source: str) -> Float64Array:
    """(2, 3) or (3, 3) float64 with last entry 1 from an array of such a shape, (1, 2, 3) or six or nine numbers.

    A last row (0, 0, 1) is dropped: all there is is affine. Raises InputError for everything else.
    """
    try:
        matrix = np.asarray(numbers, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{source} holds no numbers; expected 2x3 (affine) or 3x3 (homography)") from error
    if matrix.shape not in {(6,), (9,), (2, 3), (3, 3), (1, 2, 3), (1, 3, 3)}:
        raise InputError(f"{source} has shape {matrix.shape}; expected 2x3 (affine) or 3x3 (homography)")
    matrix = matrix.reshape(-1, 3)
    if not are_numbers(matrix) or np.linalg.det(to_3x3(matrix)) == 0.0:
        raise InputError(f"{source} is not finite, or flattens the picture to a line; expected a transform")
    if matrix.shape == (2, 3):
        return matrix
    if matrix[2, 2] == 0.0:
        raise InputError(f"{source} sends the origin to infinity; expected a last entry other than 0")
    matrix = matrix / matrix[2, 2]
    return matrix[:2] if np.array_equal(matrix[2], (0.0, 0.0, 1.0)) else matrix
