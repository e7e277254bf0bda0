"""Moving the infrared picture by the window's keys, from whatever is shown."""

import numpy as np
import pytest

from vr.runtime.alignment import Alignment, State
from vr.runtime.by_hand import ByHand, shown_theta
from vr.runtime.controls import Controls
from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA, apply_matrix, theta_of_numbers, theta_to_matrix
from vr.runtime.keys import Actions, press
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import Stamped

RGB_HW, IR_HW = (240, 320), (120, 160)
MATRIX = np.array([[0.5, 0.03, 4.0], [-0.02, 0.52, -3.0]])


def output(state: State) -> Output:
    ir, rgb = np.zeros(IR_HW, np.uint8), np.zeros((*RGB_HW, 3), np.uint8)
    alignment = Alignment(state, None, None if state == "refused" else MATRIX, None, RGB_HW, ir)
    return Output(0, 0.0, Stamped(ir, 0.0, 0), Stamped(rgb, 0.0, 0), alignment, {}, None)


def test_arrows_move_the_shown_transform_by_pixels() -> None:
    """Three to the right, two down: what was seen at (x, y) is then seen at (x + 3, y + 2)."""
    controls = Controls()
    actions = Actions(nudge=ByHand(controls, lambda: output("estimated")).nudge)
    for key in ("Right", "Down", "Right", "Down", "Right"):
        press(key, controls, actions)
    assert controls.settings.follow == "hand"
    moved = theta_to_matrix(theta_of_numbers(controls.settings.theta), RGB_HW, IR_HW)
    points = np.array([[0.0, 0.0], [100.0, 40.0], [300.0, 200.0]])
    np.testing.assert_allclose(
        apply_matrix(moved, points + np.array([3.0, 2.0])), apply_matrix(MATRIX, points), atol=1e-4
    )


def test_opposite_keys_take_each_other_back() -> None:
    controls = Controls()
    actions = Actions(nudge=ByHand(controls, lambda: output("held")).nudge)
    for key in ("<", "}", "Left", "Right", "{", ">"):
        press(key, controls, actions)
    back = theta_to_matrix(theta_of_numbers(controls.settings.theta), RGB_HW, IR_HW)
    np.testing.assert_allclose(back, MATRIX, atol=1e-4)


def test_a_refused_pair_begins_with_the_plain_stretch() -> None:
    np.testing.assert_array_equal(shown_theta(output("refused").alignment), IDENTITY_THETA)
    np.testing.assert_array_equal(shown_theta(None), IDENTITY_THETA)


def test_without_a_picture_nothing_can_be_moved() -> None:
    controls = Controls()
    by_hand = ByHand(controls, lambda: None)
    with pytest.raises(InputError, match="no picture of the RGB camera yet"):
        by_hand.nudge((1.0, 0.0), 0.0, 1.0)
    said = press("Left", controls, Actions(nudge=by_hand.nudge))
    assert said is not None and "no picture" in said and controls.settings.follow == "estimate"
