"""Points, boxes and masks from frame to frame."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.geometry import theta_to_matrix

RGB_HW, IR_HW = (96, 128), (60, 80)
CORNERS = np.array([[0.0, 0.0], [127.0, 0.0], [0.0, 95.0], [127.0, 95.0]])


def alignment(matrix: np.ndarray | None = None, flow: np.ndarray | None = None) -> Alignment:
    state = "refused" if matrix is None and flow is None else "estimated"
    return Alignment(state, 0.9, matrix, flow, RGB_HW, np.zeros(IR_HW, np.uint8))


def smooth_flow(seed: int, size_px: float = 3.0) -> np.ndarray:
    """(2, 24, 32) float32, without folds: neighbouring vectors differ by less than a pixel."""
    coarse = np.random.default_rng(seed).uniform(-size_px, size_px, (2, 4, 5)).astype(np.float32)
    return np.stack([cv2.resize(one, (32, 24), interpolation=cv2.INTER_CUBIC) for one in coarse]).astype(np.float32)


changes = st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8)
points = st.lists(st.tuples(st.floats(0, 127), st.floats(0, 95)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(changes, points, st.booleans())
def test_there_and_back_by_a_matrix_is_the_same_point(
    change: list[float], xy: list[tuple[float, float]], tilt: bool
) -> None:
    theta = np.eye(3) + np.array([*change, 0.0]).reshape(3, 3)
    matrix = theta_to_matrix(theta if tilt else theta[:2], RGB_HW, IR_HW)
    one = alignment(matrix)
    np.testing.assert_allclose(one.ir_to_rgb(one.rgb_to_ir(xy)), xy, atol=1e-5)
    expected = cv2.perspectiveTransform(np.array([xy]), matrix if tilt else np.vstack([matrix, [0, 0, 1]]))[0]
    np.testing.assert_allclose(one.rgb_to_ir(xy), expected, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), points)
def test_there_and_back_by_a_dense_flow_is_the_same_point(seed: int, xy: list[tuple[float, float]]) -> None:
    one = alignment(flow=smooth_flow(seed, 1.5))
    there = one.rgb_to_ir(xy)
    back = one.ir_to_rgb(there)
    assert not np.isnan(back).any()
    # 0.01 px in the IR frame; a pixel of it may be a few of the RGB frame where the flow shrinks.
    np.testing.assert_allclose(one.rgb_to_ir(back), there, atol=0.01)
    np.testing.assert_allclose(back, xy, atol=0.2)


def test_a_dense_flow_is_looked_up_where_the_picture_is_taken_from() -> None:
    one = alignment(flow=smooth_flow(1))
    pixels = np.array([[0, 0], [127, 95], [40, 31]])
    np.testing.assert_allclose(one.rgb_to_ir(pixels), one.source_map_xy()[pixels[:, 1], pixels[:, 0]], atol=1e-5)
    between = one.rgb_to_ir([[40.25, 31.5]])[0]
    corners = one.source_map_xy()[31:33, 40:42].astype(float)
    np.testing.assert_allclose(
        between, (corners * np.outer([0.5, 0.5], [0.75, 0.25])[..., None]).sum((0, 1)), atol=1e-5
    )


def test_convention_points_are_x_then_y_from_rgb_to_ir() -> None:
    one = alignment(np.array([[0.5, 0.0, 3.0], [0.0, 0.5, -4.0]]))
    np.testing.assert_allclose(one.rgb_to_ir([[10.0, 20.0]]), [[8.0, 6.0]])
    np.testing.assert_allclose(one.ir_to_rgb([[8.0, 6.0]]), [[10.0, 20.0]])


def test_a_matrix_goes_on_outside_the_frame_and_a_flow_ends_there() -> None:
    outside = [[-50.0, 10.0], [300.0, 200.0]]
    assert not np.isnan(alignment(np.eye(2, 3)).rgb_to_ir(outside)).any()
    assert np.isnan(alignment(flow=smooth_flow(0)).rgb_to_ir(outside)).all()
    assert np.isnan(alignment(flow=smooth_flow(0)).ir_to_rgb([[500.0, 3.0], [np.nan, 1.0]])).all()


def test_what_a_homography_sends_behind_the_camera_is_nan() -> None:
    one = alignment(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.005, 0.0, 1.0]]))  # horizon at x = 200
    found = one.rgb_to_ir([[100.0, 5.0], [300.0, 5.0]])
    np.testing.assert_allclose(found[0], [200.0, 10.0])
    assert np.isnan(found[1]).all()


def test_the_inverse_of_a_homography_knows_front_from_behind() -> None:
    """The inverse of this one has a negative last entry."""
    matrix = np.array([[0.2, 0.0, -30.0], [0.0, 1.0, 0.0], [0.01, 0.0, 1.0]])
    matrix[:, 0] *= -1.0
    one = alignment(np.linalg.inv(matrix) / np.linalg.inv(matrix)[2, 2])
    there = one.rgb_to_ir([[5.0, 5.0]])
    np.testing.assert_allclose(one.ir_to_rgb(there), [[5.0, 5.0]], atol=1e-9)


def test_refused_means_nan_and_empty_masks() -> None:
    one = alignment()
    assert np.isnan(one.rgb_to_ir(CORNERS)).all()
    assert np.isnan(one.ir_to_rgb(CORNERS)).all()
    assert np.isnan(one.boxes_ir_to_rgb([[0, 0, 5, 5]])).all()
    assert not one.mask_ir_to_rgb(np.ones(IR_HW, np.bool_)).any()
    assert not one.mask_rgb_to_ir(np.ones(RGB_HW, np.bool_)).any()


def test_a_box_becomes_the_upright_box_around_it() -> None:
    quarter_turn = np.array([[0.0, -1.0, 60.0], [1.0, 0.0, 0.0]])
    one = alignment(quarter_turn)
    np.testing.assert_allclose(one.boxes_rgb_to_ir([[10.0, 20.0, 40.0, 30.0]]), [[30.0, 10.0, 40.0, 40.0]], atol=1e-9)
    np.testing.assert_allclose(one.boxes_ir_to_rgb([[30.0, 10.0, 40.0, 40.0]]), [[10.0, 20.0, 40.0, 30.0]], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(changes, st.booleans(), st.integers(0, 1000))
def test_a_box_holds_what_it_held(change: list[float], dense: bool, seed: int) -> None:
    theta = np.eye(3) + np.array([*change, 0.0]).reshape(3, 3) * 0.5
    one = alignment(flow=smooth_flow(seed, 1.0)) if dense else alignment(theta_to_matrix(theta, RGB_HW, IR_HW))
    rng = np.random.default_rng(seed)
    inside = rng.uniform((20.0, 15.0), (80.0, 60.0), (50, 2))
    x0, y0, x1, y1 = one.boxes_rgb_to_ir([[20.0, 15.0, 80.0, 60.0]])[0]
    slack = 0.5 if dense else 1e-6  # sides are sampled where they bend
    there = one.rgb_to_ir(inside)
    assert (there >= np.array([x0, y0]) - slack).all()
    assert (there <= np.array([x1, y1]) + slack).all()


def test_nothing_in_nothing_out() -> None:
    one = alignment(np.eye(2, 3))
    assert one.rgb_to_ir([]).shape == (0, 2)
    assert one.boxes_ir_to_rgb(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("dense", [False, True])
def test_masks_move_with_the_picture(dense: bool) -> None:
    flow = np.zeros((2, 24, 32), np.float32)
    flow[0] += 2.0  # 2 of 32 cells are 8 RGB pixels
    matrix = theta_to_matrix([[1.0, 0.0, 2.0 / 16.0], [0.0, 1.0, 0.0]], RGB_HW, IR_HW)
    one = alignment(flow=flow) if dense else alignment(matrix)
    rgb_mask = np.zeros(RGB_HW, np.bool_)
    rgb_mask[32:64, 48:80] = True
    ir_mask = np.zeros(IR_HW, np.bool_)
    ir_mask[20:40, 35:55] = True  # stretched by 0.625, and 5 px further right
    assert (one.mask_rgb_to_ir(rgb_mask) != ir_mask).mean() < 0.01
    assert (one.mask_ir_to_rgb(ir_mask) != rgb_mask).mean() < 0.01


@pytest.mark.parametrize("wrong", [np.zeros((3, 3)), np.zeros(4), np.zeros((2, 2, 2))])
def test_other_shapes_are_refused(wrong: np.ndarray) -> None:
    one = alignment(np.eye(2, 3))
    with pytest.raises(InputError, match=r"expected \(N, 2\)"):
        one.rgb_to_ir(wrong)
    with pytest.raises(InputError, match=r"expected \(N, 4\)"):
        one.boxes_ir_to_rgb(wrong)
    with pytest.raises(InputError, match="expected that of the IR frame"):
        one.mask_ir_to_rgb(wrong.astype(np.bool_))
