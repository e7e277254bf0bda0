"""What lies under a point, of every kind of transform and infrared frame."""

from dataclasses import replace

import numpy as np
import pytest

from tests.web_rig import IR_HW, RGB_HW, make_output
from vr.runtime.alignment import Alignment
from vr.runtime.by_hand import shown_theta
from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA, theta_to_matrix
from vr.runtime.sources.base import Stamped
from vr.runtime.thermal import ThermalConditioner, ThermalOptions
from vr.runtime.thermal.hot_spot import Celsius
from vr.runtime.thermal.step import conditioning
from vr.runtime.web.inspection import inspect

CELSIUS = Celsius.parse("tlinear")
OUTPUT = make_output(0)
assert OUTPUT.ir is not None and OUTPUT.rgb is not None
LEVELS, RGB = OUTPUT.ir.frame, OUTPUT.rgb.frame


def aligned(**transform: np.ndarray) -> Alignment:
    given = {"matrix_rgb_to_ir": None, "flow": None, **transform}
    return Alignment("estimated", 0.9, given["matrix_rgb_to_ir"], given["flow"], RGB_HW, LEVELS)


def test_raw_frames_keep_their_temperatures() -> None:
    """Through the step of the source as in a run: what the camera sent is what is told."""
    raw = np.full(IR_HW, 30000, np.uint16)
    raw[26, 37] = 31000
    step = conditioning(ThermalConditioner(ThermalOptions(ir_celsius="tlinear")))
    output = replace(OUTPUT, ir=step(Stamped(raw, 0.0, 0)))
    assert inspect(output, 60, 40, CELSIUS)["celsius"] == 36.85
    assert inspect(output, 62, 40, CELSIUS)["celsius"] == 26.85
    without = conditioning(ThermalConditioner(ThermalOptions()))(Stamped(raw, 0.0, 0))
    assert without.raw is None and inspect(replace(OUTPUT, ir=without), 60, 40, CELSIUS)["celsius"] is None


def test_a_homography() -> None:
    matrix = np.array([[0.6, 0.0, 1.0], [0.0, 0.6, 2.0], [0.001, 0.0, 1.0]])
    found = inspect(replace(OUTPUT, alignment=aligned(matrix_rgb_to_ir=matrix)), 60, 40, CELSIUS)
    assert found["ir_xy"] == [round(37 / 1.06, 2), round(26 / 1.06, 2)] and found["ir"] == round(37 / 1.06)


def test_a_flow() -> None:
    """The plain stretch, moved by 2 of the network's 32 columns: 5 of the 80 columns of the infrared frame."""
    flow = np.zeros((2, 24, 32), np.float32)
    flow[0] = 2.0
    alignment = aligned(flow=flow)
    found = inspect(replace(OUTPUT, alignment=alignment), 60, 40, CELSIUS)
    x, y = theta_to_matrix(IDENTITY_THETA, RGB_HW, IR_HW) @ (60, 40, 1)
    assert found["ir_xy"] == pytest.approx([x + 5, y], abs=0.02) and found["has_data"]
    expected = IDENTITY_THETA + np.array([[0, 0, 2 * 5 / IR_HW[1]], [0, 0, 0]])
    assert np.allclose(shown_theta(alignment), expected, atol=1e-3)


def test_outside_the_infrared_frame() -> None:
    matrix = np.array([[1.0, 0.0, 50.0], [0.0, 1.0, 0.0]])
    found = inspect(replace(OUTPUT, alignment=aligned(matrix_rgb_to_ir=matrix)), 100, 10, CELSIUS)
    assert found == {"rgb": [100, 0, 7], "ir_xy": [150.0, 10.0], "ir": None, "celsius": None, "has_data": False}


@pytest.mark.parametrize("alignment", [None, Alignment("refused", 0.1, None, None, RGB_HW, LEVELS)])
def test_without_a_transform(alignment: Alignment | None) -> None:
    found = inspect(replace(OUTPUT, alignment=alignment), 5, 5, CELSIUS)
    assert found == {"rgb": [5, 0, 7], "ir_xy": None, "ir": None, "celsius": None, "has_data": False}
    assert np.array_equal(shown_theta(alignment), IDENTITY_THETA)


def test_the_corners_are_inside_and_what_lies_beyond_is_not() -> None:
    h, w = RGB_HW
    assert inspect(OUTPUT, w - 0.5, h - 0.5, None)["rgb"] == [w - 1, 0, 7]
    assert inspect(OUTPUT, -0.5, -0.5, None)["rgb"] == [0, 0, 7]
    with pytest.raises(InputError):
        inspect(OUTPUT, w - 0.4, 0, None)
    with pytest.raises(InputError):
        inspect(replace(OUTPUT, rgb=None), 1, 1, None)
