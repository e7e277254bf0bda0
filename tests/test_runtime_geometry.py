"""Conversions between normalised and pixel transforms, as properties and on hand-computed numbers."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vr.runtime import geometry
from vr.runtime.geometry import SizeHw

sides = st.integers(16, 4000)
sizes = st.tuples(sides, sides)


def small(limit: float) -> st.SearchStrategy[float]:
    return st.floats(-limit, limit)


@st.composite
def thetas(draw: st.DrawFn) -> np.ndarray:
    """Invertible affines: identity plus bounded changes."""
    limits = (0.4, 0.4, 1.0, 0.4, 0.4, 1.0)
    changes = [draw(small(limit)) for limit in limits]
    return geometry.IDENTITY_THETA + np.array(changes).reshape(2, 3)


@st.composite
def homographies(draw: st.DrawFn) -> np.ndarray:
    """Homographies with every point of the frame in front of the camera, last entry 1."""
    tilt = [draw(small(0.4)), draw(small(0.4)), 1.0]
    return np.vstack([draw(thetas()), tilt])


either = st.one_of(thetas(), homographies())


@settings(deadline=None)
@given(either, sizes, sizes)
def test_theta_to_matrix_and_back_is_the_same(theta: np.ndarray, rgb_hw: SizeHw, ir_hw: SizeHw) -> None:
    matrix = geometry.theta_to_matrix(theta, rgb_hw, ir_hw)
    assert matrix.shape == theta.shape
    np.testing.assert_allclose(geometry.matrix_to_theta(matrix, rgb_hw, ir_hw), theta, atol=1e-8)


@settings(deadline=None)
@given(either, sizes, sizes, st.integers(2, 5))
def test_theta_does_not_change_when_a_frame_is_resized(
    theta: np.ndarray, rgb_hw: SizeHw, ir_hw: SizeHw, factor: int
) -> None:
    """A point at the same fraction of the RGB frame lands at the same fraction of the IR frame."""
    large_rgb_hw = (rgb_hw[0] * factor, rgb_hw[1] * factor)
    small_matrix = geometry.theta_to_matrix(theta, rgb_hw, ir_hw)
    large_matrix = geometry.theta_to_matrix(theta, large_rgb_hw, ir_hw)
    point = np.array([rgb_hw[1] * 0.3, rgb_hw[0] * 0.6])
    same_place = (point + 0.5) * factor - 0.5
    large, little = geometry.apply_matrix(large_matrix, same_place), geometry.apply_matrix(small_matrix, point)
    np.testing.assert_allclose(large, little, atol=1e-6, rtol=1e-9)


@settings(deadline=None)
@given(either, thetas(), st.tuples(small(0.5), small(0.5)))
def test_compose_applies_the_inner_first(outer: np.ndarray, inner: np.ndarray, point: tuple[float, float]) -> None:
    middle = geometry.apply_affine(inner, point)
    assume(abs(geometry.to_3x3(outer)[2] @ [*middle, 1.0]) > 0.1)
    composed = geometry.compose(outer, inner)
    assert composed.shape == outer.shape
    np.testing.assert_allclose(geometry.apply_matrix(composed, point), geometry.apply_matrix(outer, middle), atol=1e-7)


@settings(deadline=None)
@given(either)
def test_invert_undoes(theta: np.ndarray) -> None:
    full = geometry.to_3x3(theta)
    assume(abs(np.linalg.det(full)) > 0.05 and abs(np.linalg.inv(full)[2, 2]) > 0.05)
    both = geometry.compose(geometry.invert(theta), theta)
    np.testing.assert_allclose(both, np.eye(3)[: len(theta)], atol=1e-7)


@settings(deadline=None)
@given(homographies(), st.tuples(small(1.0), small(1.0)))
def test_homography_maps_points_as_cv2(matrix: np.ndarray, point: tuple[float, float]) -> None:
    expected = cv2.perspectiveTransform(np.array([[point]]), matrix)[0, 0]
    np.testing.assert_allclose(geometry.apply_matrix(matrix, point), expected, atol=1e-9)


def test_convention_identity_theta_stretches_frame_onto_frame() -> None:
    """The first pixel's centre of a 2x larger IR frame lies at 0.5, not at 0: edges coincide, centres do not."""
    matrix = geometry.theta_to_matrix(geometry.IDENTITY_THETA, (100, 200), (200, 400))
    np.testing.assert_allclose(matrix, [[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]])


def test_convention_shift_is_x_then_y_towards_the_source() -> None:
    """theta's last column is half frames: 0.1 of a 200 px wide IR frame is 10 px to the right."""
    matrix = geometry.theta_to_matrix([[1, 0, 0.1], [0, 1, -0.5]], (80, 200), (80, 200))
    np.testing.assert_allclose(geometry.apply_affine(matrix, [3.0, 50.0]), [13.0, 30.0])


def test_convention_quarter_turn_mixes_the_sides_of_the_frame() -> None:
    """Source of the RGB frame's right edge middle is the IR frame's bottom edge middle."""
    matrix = geometry.theta_to_matrix([[0, -1, 0], [1, 0, 0]], (100, 200), (60, 90))
    np.testing.assert_allclose(geometry.apply_affine(matrix, [199.5, 49.5]), [44.5, 59.5], atol=1e-9)


def test_grid_error_is_the_distance_of_a_shift() -> None:
    truth = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    shifted = [[1.0, 0.0, 3.0], [0.0, 1.0, -4.0]]
    assert geometry.grid_error_px(shifted, truth, (240, 320)) == pytest.approx(5.0)


def test_grid_error_averages_over_the_whole_frame() -> None:
    """A stretch of 1 % in x errs by 0 to 3.19 px, 1.595 on the mean."""
    assert geometry.grid_error_px([[1.01, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]], (240, 320)) == pytest.approx(1.595)


def test_grid_error_of_a_tilt_is_the_mean_over_the_points() -> None:
    """A denominator of 1 + 0.001 x moves the point (x, y) towards the origin by its distance times 0.001 x / w."""
    tilted = [[1, 0, 0], [0, 1, 0], [0.001, 0, 1]]
    points = [(x, y) for x in (0.0, 100.0, 200.0) for y in (0.0, 50.0, 100.0)]
    expected = np.mean([np.hypot(x, y) * 0.001 * x / (1.0 + 0.001 * x) for x, y in points])
    assert geometry.grid_error_px(tilted, np.eye(2, 3), (101, 201), count=3) == pytest.approx(expected)


def test_grid_points_reach_all_corners() -> None:
    points = {tuple(point) for point in geometry.grid_points((30, 50), count=3).tolist()}
    assert {(0.0, 0.0), (49.0, 0.0), (0.0, 29.0), (49.0, 29.0)} <= points
    assert len(points) == 9
