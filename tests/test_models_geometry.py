"""Grids, flows and the spatial transformer against OpenCV and PyTorch's own affine grid."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tests.helpers import smooth_scene
from tests.torch_export import export_and_load, run_session
from vr.models.geometry import affine_flow, flow_to_grid, pixel_centres
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.geometry import apply_affine, matrix_to_theta

SIZES = [(48, 64), (61, 37), (16, 200)]
# OpenCV blends in fixed or single precision, PyTorch in single: grey levels of [0, 1].
TOLERANCE = 2e-4


def image(size_hw: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(smooth_scene(3, size_hw).astype(np.float32) / 255.0)[None, None]


def as_theta(matrix: NDArray[np.float64], size_hw: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(matrix_to_theta(matrix, size_hw, size_hw)).float()[None]


def about_centre(linear: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    centre = np.array([(size_hw[1] - 1) / 2.0, (size_hw[0] - 1) / 2.0])
    return np.column_stack([linear, centre - linear @ centre])


MATRICES = {
    "identity": np.array([[1.0, 0.0], [0.0, 1.0]]),
    "90 degrees": np.array([[0.0, -1.0], [1.0, 0.0]]),
    "anisotropic": np.array([[1.3, 0.0], [0.0, 0.7]]),
    "sheared": np.array([[0.9, 0.2], [-0.1, 1.1]]),
}


def test_pixel_centres_lie_half_a_pixel_inside_the_edges() -> None:
    assert pixel_centres(4, torch.zeros(1)).tolist() == [-0.75, -0.25, 0.25, 0.75]


@pytest.mark.parametrize("size_hw", SIZES)
def test_zero_flow_gives_the_image_back(size_hw: tuple[int, int]) -> None:
    moved = SpatialTransformer()(image(size_hw), torch.zeros(1, 2, *size_hw))
    torch.testing.assert_close(moved, image(size_hw), atol=1e-5, rtol=0)


def test_convention_flow_is_x_then_y_and_points_into_the_moving_image() -> None:
    moving = torch.zeros(1, 1, 20, 30)
    moving[0, 0, 7, 12] = 1.0
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0], flow[:, 1] = 5.0, -2.0
    moved = SpatialTransformer()(moving, flow)
    assert moved[0, 0, 9, 7] == pytest.approx(1.0, abs=1e-5)
    assert float(moved.sum()) == pytest.approx(1.0, abs=1e-4)


def test_shift_brings_zeros_in() -> None:
    flow = torch.zeros(1, 2, 20, 30)
    flow[:, 0] = 4.0
    moved = SpatialTransformer()(torch.ones(1, 1, 20, 30), flow)[0, 0]
    torch.testing.assert_close(moved[:, :26], torch.ones(20, 26))
    torch.testing.assert_close(moved[:, 26:], torch.zeros(20, 4))


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("size_hw", SIZES)
def test_affine_flow_warps_as_cv2_warp_affine(name: str, size_hw: tuple[int, int]) -> None:
    matrix = about_centre(MATRICES[name], size_hw)
    matrix[:, 2] += (2.25, -1.5)
    moving = image(size_hw)
    moved = SpatialTransformer()(moving, affine_flow(as_theta(matrix, size_hw), *size_hw))[0, 0].numpy()
    # remap with a float map is exact; warpAffine of OpenCV 4 rounds source points to 1/32 px.
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]]
    source = apply_affine(matrix, np.stack([xs, ys], axis=-1)).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    by_affine = cv2.warpAffine(moving[0, 0].numpy(), matrix, size_hw[::-1], flags=flags)
    by_map = cv2.remap(moving[0, 0].numpy(), source, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    assert np.abs(moved - by_map).max() < TOLERANCE
    assert np.abs(moved - by_affine).max() < 0.02
    assert np.abs(moved - by_affine).mean() < TOLERANCE


def test_a_quarter_turn_of_a_square_is_rot90() -> None:
    size_hw = (40, 40)
    moving = image(size_hw)
    theta = as_theta(about_centre(MATRICES["90 degrees"], size_hw), size_hw)
    moved = SpatialTransformer()(moving, affine_flow(theta, *size_hw))
    # x_ir = -y, y_ir = x about the centre: the fixed image's right edge shows the moving image's bottom edge.
    torch.testing.assert_close(moved, torch.rot90(moving, 1, (2, 3)), atol=1e-4, rtol=0)


def test_a_wrong_transform_is_noticed() -> None:
    """The failing twin of the comparisons above: half a pixel off is far outside the tolerance."""
    size_hw = (48, 64)
    flow = torch.full((1, 2, *size_hw), 0.5)
    assert float((SpatialTransformer()(image(size_hw), flow) - image(size_hw)).abs().max()) > 50 * TOLERANCE


@pytest.mark.parametrize("size_hw", SIZES)
def test_affine_flow_is_torchs_affine_grid(size_hw: tuple[int, int]) -> None:
    theta = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = F.affine_grid(theta, [3, 1, *size_hw], align_corners=False)
    torch.testing.assert_close(flow_to_grid(affine_flow(theta, *size_hw)), expected, atol=1e-5, rtol=1e-5)


def test_a_random_flow_warps_as_cv2_remap() -> None:
    size_hw = (48, 64)
    flow = 6.0 * torch.randn(1, 2, *size_hw, generator=torch.Generator().manual_seed(1))
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    source = np.stack([xs + flow[0, 0].numpy(), ys + flow[0, 1].numpy()], axis=-1)
    expected = cv2.remap(image(size_hw)[0, 0].numpy(), source, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    assert np.abs(SpatialTransformer()(image(size_hw), flow)[0, 0].numpy() - expected).max() < TOLERANCE


def test_identity_theta_has_no_flow() -> None:
    flow = affine_flow(torch.eye(3)[:2].expand(2, 2, 3), 20, 30)
    assert flow.shape == (2, 2, 20, 30)
    assert float(flow.abs().max()) < 1e-6


class Warp(torch.nn.Module):
    """theta and image to moved, the whole path."""

    def forward(self, theta: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
        return SpatialTransformer()(moving, affine_flow(theta, moving.shape[2], moving.shape[3]))


@pytest.mark.slow
def test_height_and_width_stay_dynamic_in_onnx() -> None:
    theta = torch.tensor([[[0.9, 0.1, 0.05], [-0.1, 1.1, -0.1]]])
    sizes = {2: torch.export.Dim("h", min=16, max=512), 3: torch.export.Dim("w", min=16, max=512)}
    session = export_and_load(Warp(), (theta, image((48, 64))), ({}, sizes))
    for size_hw in SIZES:
        moved = run_session(session, theta, image(size_hw))
        assert np.abs(moved - Warp()(theta, image(size_hw)).numpy()).max() < TOLERANCE
