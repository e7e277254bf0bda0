"""Warps against an independent float64 sampler, and against torch's affine_grid, on asymmetric numbers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers import smooth_scene
from vr.runtime import geometry, warp

RGB_HW, IR_HW = (90, 140), (70, 130)
MATRIX = np.array([[0.9, 0.05, 3.25], [-0.08, 0.8, 5.5]])
TILTED = np.vstack([MATRIX, [0.0012, -0.0009, 1.0]])


def sample_reference(image: np.ndarray, x: float, y: float) -> float:
    """Bilinear value at (x, y), pixel centres at integers, 0 outside."""
    left, top = int(np.floor(x)), int(np.floor(y))
    value = 0.0
    for i, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for j, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                value += weight_y * weight_x * float(image[i, j])
    return value


def warp_reference(image: np.ndarray, matrix: np.ndarray, rgb_hw: tuple[int, int]) -> np.ndarray:
    out = np.zeros(rgb_hw)
    for y in range(rgb_hw[0]):
        for x in range(rgb_hw[1]):
            source = matrix @ (x, y, 1)
            out[y, x] = sample_reference(image, *(source[:2] / (source[2] if len(source) == 3 else 1.0)))
    return out


@pytest.mark.parametrize("matrix", [MATRIX, TILTED], ids=["affine", "homography"])
def test_warp_matrix_matches_the_reference(matrix: np.ndarray) -> None:
    ir = smooth_scene(5, IR_HW)
    difference = np.abs(warp.warp_matrix(ir, matrix, RGB_HW) - warp_reference(ir, matrix, RGB_HW))
    assert difference.max() <= 1.5
    assert difference.mean() <= 0.5


def test_warp_matrix_samples_where_the_matrix_points() -> None:
    """A single bright IR pixel appears at the RGB pixel whose source it is, and nowhere else."""
    ir = np.zeros(IR_HW, np.uint8)
    ir[20, 31] = 255
    moved = warp.warp_matrix(ir, [[1, 0, 11], [0, 1, -4]], RGB_HW)
    assert moved[24, 20] == 255
    assert moved.sum() == 255


@pytest.mark.parametrize("matrix", [MATRIX, TILTED], ids=["affine", "homography"])
def test_warp_map_through_the_source_map_is_warp_matrix(matrix: np.ndarray) -> None:
    ir = smooth_scene(6, IR_HW)
    through_map = warp.warp_map(ir, warp.matrix_source_map(matrix, RGB_HW))
    difference = np.abs(through_map.astype(int) - warp.warp_matrix(ir, matrix, RGB_HW))
    assert difference.max() <= 2


def test_affine_source_map_is_x_then_y_in_ir_pixels() -> None:
    source = warp.affine_source_map(MATRIX, RGB_HW)
    assert source.shape == (*RGB_HW, 2)
    np.testing.assert_allclose(source[17, 101], MATRIX @ (101, 17, 1), rtol=1e-6)


def test_source_map_of_a_homography_divides() -> None:
    source = warp.matrix_source_map(TILTED, RGB_HW)
    assert source.dtype == np.float32
    (x, y), w = MATRIX @ (101, 17, 1), 1.0 + 0.0012 * 101 - 0.0009 * 17
    np.testing.assert_allclose(source[17, 101], (x / w, y / w), rtol=1e-6)


def test_theta_means_what_affine_grid_takes() -> None:
    theta = np.array([[0.9, 0.1, 0.05], [-0.07, 1.05, -0.1]])
    ir = smooth_scene(7, IR_HW)
    grid = F.affine_grid(torch.tensor(theta, dtype=torch.float32)[None], [1, 1, *RGB_HW], align_corners=False)
    by_torch = F.grid_sample(torch.from_numpy(ir)[None, None].float(), grid, align_corners=False)[0, 0].numpy()
    by_cv2 = warp.warp_matrix(ir, geometry.theta_to_matrix(theta, RGB_HW, IR_HW), RGB_HW)
    assert np.abs(by_torch - by_cv2).max() <= 1.5


def test_flow_source_map_scales_a_constant_flow_to_native_pixels() -> None:
    """2 network pixels of 32 are 10 IR pixels of 160; -1 of 24 are -4 of 96."""
    flow = np.broadcast_to(np.array([2.0, -1.0], np.float32)[:, None, None], (2, 24, 32))
    source = warp.flow_source_map(np.ascontiguousarray(flow), rgb_hw=(48, 64), ir_hw=(96, 160))
    at_x, at_y = 40, 7
    np.testing.assert_allclose(source[at_y, at_x], [(40.5 / 64) * 160 - 0.5 + 10, (7.5 / 48) * 96 - 0.5 - 4], rtol=1e-5)


def test_flow_source_map_of_an_affine_flow_is_the_affine() -> None:
    """An affine flow is linear, so bringing it to the RGB grid loses nothing away from the border."""
    theta = np.array([[1.1, 0.05, 0.02], [-0.03, 0.95, 0.04]])
    net_hw = (48, 64)
    net_map = warp.affine_source_map(geometry.theta_to_matrix(theta, net_hw, net_hw), net_hw)
    ys, xs = np.mgrid[: net_hw[0], : net_hw[1]]
    flow = np.moveaxis(net_map - np.stack([xs, ys], axis=-1), -1, 0).astype(np.float32)
    source = warp.flow_source_map(np.ascontiguousarray(flow), RGB_HW, IR_HW)
    expected = warp.affine_source_map(geometry.theta_to_matrix(theta, RGB_HW, IR_HW), RGB_HW)
    np.testing.assert_allclose(source[4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.01)
