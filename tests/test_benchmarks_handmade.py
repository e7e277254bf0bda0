"""The hand-made opponent is a fair one: it finds what can be found."""

import cv2
import numpy as np
import pytest

from benchmarks import handmade
from benchmarks.protocols import FRAME_HW, Draw, cut_frames, random_affine
from tests.helpers import smooth_scene
from vr.runtime.geometry import Float64Array, grid_error_px, matrix_to_theta
from vr.runtime.preprocess import Frame, to_gray


def known_pair(seed: int) -> tuple[Frame, Frame, Float64Array]:
    """A scene against its own warped negative."""
    scene = smooth_scene(seed, (400, 534))
    affine = random_affine(np.random.default_rng(seed))
    return cut_frames(255 - scene, cv2.cvtColor(scene, cv2.COLOR_GRAY2BGR).astype(np.uint8), affine)


@pytest.mark.parametrize("seed", [3, 4])
def test_a_known_warp_of_a_negative_is_found_to_a_third_of_a_pixel(seed: int) -> None:
    ir, rgb, truth = known_pair(seed)
    assert grid_error_px(np.eye(2, 3), truth, FRAME_HW) > 5.0
    assert grid_error_px(handmade.align(ir, rgb), truth, FRAME_HW) < 0.3


def test_scale_beyond_protocol_s_is_found() -> None:
    scene = smooth_scene(5, (600, 800))
    affine = random_affine(np.random.default_rng(0), Draw(0.05, 5.0, (1.36, 1.361), 1.0), (600, 800))
    ir, rgb, truth = cut_frames(scene, cv2.cvtColor(scene, cv2.COLOR_GRAY2BGR).astype(np.uint8), affine)
    assert grid_error_px(handmade.align(ir, rgb), truth, FRAME_HW) < 0.3


def test_frames_of_another_size_are_answered_in_their_own_pixels() -> None:
    ir, rgb, truth = known_pair(3)
    larger = cv2.resize(ir, (640, 480), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    doubled = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]])
    expected = doubled[:, :2] @ truth
    expected[:, 2] += doubled[:, 2]
    assert grid_error_px(handmade.align(larger, rgb), expected, FRAME_HW) < 0.8


def test_features_do_not_see_the_sign_of_an_edge() -> None:
    scene = smooth_scene(1)
    features = handmade.cfog(scene)
    assert features.shape == (*scene.shape, handmade.ORIENTATIONS)
    np.testing.assert_allclose(handmade.cfog(255 - scene), features, atol=1e-5)
    assert np.abs(features - handmade.cfog(np.ascontiguousarray(scene[:, ::-1]))).max() > 0.1


def test_similarity_is_highest_at_the_truth_and_refinement_climbs_to_it() -> None:
    ir, rgb, truth = known_pair(4)
    level = handmade.make_level(to_gray(ir), to_gray(rgb), FRAME_HW)
    theta = matrix_to_theta(truth, FRAME_HW, FRAME_HW)
    start = theta + np.array([[0.0, 0.01, 0.02], [-0.01, 0.0, 0.01]])
    assert handmade.similarity(level, theta) > handmade.similarity(level, start) + 0.1
    np.testing.assert_allclose(handmade.refine(level, start, 15), theta, atol=2e-3)


def test_frames_that_hardly_overlap_are_never_similar() -> None:
    level = handmade.make_level(smooth_scene(1), smooth_scene(1), (60, 80))
    assert handmade.similarity(level, np.array([[1.0, 0.0, 1.6], [0.0, 1.0, 0.0]])) == -1.0
