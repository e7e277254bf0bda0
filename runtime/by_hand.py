"""The transform of a running pair, moved by somebody who looks at its picture."""

import threading
from collections.abc import Callable

import numpy as np

from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls, Settings
from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, matrix_to_theta, theta_of_numbers
from vr.runtime.nudge import fitted_affine, nudged
from vr.runtime.sinks.base import Output


class ByHand:
    """Moves what is shown of one pair, from any thread."""

    def __init__(self, controls: Controls, newest: Callable[[], Output | None]) -> None:
        """newest: the last output, None before the first."""
        self._controls, self._newest = controls, newest
        self._lock = threading.Lock()

    def nudge(
        self,
        move_xy: tuple[float, float],
        rotate_deg: float,
        scale: float,
        about_xy: tuple[float, float] | None = None,
    ) -> Settings:
        """See `vr.runtime.nudge.nudged`; from now on the pair follows the hand. Raises InputError before there is a
        picture of the RGB camera.
        """
        with self._lock:
            theta, rgb_hw = self._shown()
            moved = nudged(theta, rgb_hw, move_xy, rotate_deg, scale, about_xy)
            return self._controls.change({"follow": "hand", "theta": moved.ravel().tolist()})

    def _shown(self) -> tuple[Float64Array, SizeHw]:
        """The transform that is shown, or will be with the next picture, and the size of the RGB frame."""
        newest, settings = self._newest(), self._controls.settings
        if newest is None or newest.rgb is None:
            raise InputError("there is no picture of the RGB camera yet; expected one before the infrared is moved")
        rgb_hw = newest.rgb.frame.shape[0], newest.rgb.frame.shape[1]
        if settings.follow == "hand" and settings.theta is not None:
            return theta_of_numbers(settings.theta), rgb_hw
        return shown_theta(newest.alignment), rgb_hw


def shown_theta(alignment: Alignment | None) -> Float64Array:
    """(2, 3) or (3, 3): the transform that is shown, of a flow the nearest affine; the plain stretch if refused."""
    if alignment is None or alignment.state == "refused":
        return IDENTITY_THETA
    if alignment.theta is not None:
        return alignment.theta
    matrix = fitted_affine(np.asarray(alignment.source_map_xy(), np.float64))
    return matrix_to_theta(matrix, alignment.rgb_hw, alignment.warper.ir_hw)
