"""Moving the infrared picture by hand: where a point is seen afterwards."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vr.runtime.geometry import IDENTITY_THETA, Float64Array, apply_matrix, matrix_to_theta, theta_to_matrix
from vr.runtime.nudge import fitted_affine, nudged

RGB_HW, IR_HW = (480, 640), (120, 200)
px = st.floats(-300, 300)
affine = st.tuples(*[st.floats(-0.2, 0.2)] * 6).map(lambda n: IDENTITY_THETA + np.array(n).reshape(2, 3))
homography = st.tuples(affine, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)).map(
    lambda n: np.vstack([n[0], [n[1], n[2], 1.0]])
)
moves = st.fixed_dictionaries(
    {
        "move_xy": st.tuples(px, px),
        "rotate_deg": st.floats(-180, 180),
        "scale": st.floats(0.25, 4),
        "about_xy": st.none() | st.tuples(px, px),
    }
)


def moved_by_hand(x: float, y: float, move: dict[str, Any]) -> tuple[float, float]:
    """Step by step with complex numbers: turned and enlarged about a point, then moved. y points down in both."""
    about = complex(*(move["about_xy"] or ((RGB_HW[1] - 1) / 2, (RGB_HW[0] - 1) / 2)))
    turned = (
        (complex(x, y) - about)
        * move["scale"]
        * complex(math.cos(math.radians(move["rotate_deg"])), math.sin(math.radians(move["rotate_deg"])))
    )
    end = turned + about + complex(*move["move_xy"])
    return end.real, end.imag


@given(affine | homography, moves, px, px)
def test_what_was_seen_at_a_point_is_seen_where_the_point_went(
    theta: Float64Array, move: dict[str, Any], x: float, y: float
) -> None:
    before = theta_to_matrix(theta, RGB_HW, IR_HW)
    after = theta_to_matrix(nudged(theta, RGB_HW, **move), RGB_HW, IR_HW)
    assert after.shape == before.shape
    seen, seen_after = apply_matrix(before, [x, y]), apply_matrix(after, moved_by_hand(x, y, move))
    assert np.allclose(seen, seen_after, rtol=1e-6, atol=1e-5)


@given(affine, st.tuples(px, px))
def test_there_and_back(theta: Float64Array, move_xy: tuple[float, float]) -> None:
    back = nudged(nudged(theta, RGB_HW, move_xy), RGB_HW, (-move_xy[0], -move_xy[1]))
    assert np.allclose(back, theta, atol=1e-9)


def test_no_move_changes_nothing() -> None:
    theta = np.array([[1.1, 0.02, 0.3], [-0.01, 0.9, -0.2]])
    assert np.allclose(nudged(theta, RGB_HW), theta, atol=1e-12)


def test_a_move_to_the_right_shifts_the_source_to_the_left() -> None:
    matrix = np.array([[0.5, 0.0, 3.0], [0.0, 0.5, 4.0]])
    theta = nudged(matrix_to_theta(matrix, RGB_HW, IR_HW), RGB_HW, (10.0, 0.0))
    assert np.allclose(theta_to_matrix(theta, RGB_HW, IR_HW), [[0.5, 0.0, -2.0], [0.0, 0.5, 4.0]])


def test_the_affine_of_a_map_is_found_again() -> None:
    matrix = np.array([[0.5, 0.1, 3.0], [-0.05, 0.6, 4.0]])
    ys, xs = np.mgrid[:48, :64]
    points = apply_matrix(matrix, np.stack([xs, ys], axis=-1))
    points[::16, ::16] = np.nan
    assert np.allclose(fitted_affine(points), matrix, atol=1e-9)
