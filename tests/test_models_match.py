"""The parts of the default network against independent arithmetic."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vr.models import affine_fit, correlation
from vr.models.match import STAGES, MatchNet
from vr.models.oriented_gradients import OrientedGradients
from vr.runtime import geometry


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_gradients_do_not_see_polarity_or_level() -> None:
    image = 0.2 + 0.5 * _noise(1, 1, 24, 32)
    features = OrientedGradients()(image)
    torch.testing.assert_close(OrientedGradients()(1.0 - image), features, atol=1e-5, rtol=0)
    torch.testing.assert_close(OrientedGradients()(image + 0.1), features, atol=1e-5, rtol=0)
    assert float(features.square().sum(dim=1).max()) < 1.0


@pytest.mark.parametrize(("angle_deg", "channel"), [(0.0, 0), (90.0, 4), (45.0, 2), (135.0, 6)])
def test_gradients_name_the_orientation(angle_deg: float, channel: int) -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    angle = np.deg2rad(angle_deg)
    ramp = (np.cos(angle) * x + np.sin(angle) * y)[None, None] / 40.0
    assert int(OrientedGradients()(ramp)[0, :, 8, 8].argmax()) == channel


def test_inverse_of_three_by_three() -> None:
    matrix = _noise(5, 3, 3) + 0.5 * torch.eye(3)
    torch.testing.assert_close(affine_fit.inverse_3x3(matrix), torch.linalg.inv(matrix), atol=1e-3, rtol=1e-3)


def test_without_robust_rounds_it_is_the_least_squares_solution() -> None:
    """Against numpy's solver on the same system: the weighted matches, and 0.05 matches that pull to the prior."""
    points, targets, weights = (
        200 * _noise(60, 2) - 100,
        200 * _noise(1, 60, 2, seed=1) - 100,
        9 * _noise(1, 60, seed=2),
    )
    found, _ = affine_fit.robust_affine(points, targets, weights, torch.eye(3)[None, :2], 100.0, ())
    p, t = points.double().numpy(), targets[0].double().numpy()
    root = np.sqrt(weights[0].double().numpy())[:, None]
    rows = np.vstack([root * np.column_stack([p / 100.0, np.ones(60)]), np.sqrt(0.05) * np.eye(3)])
    change = np.linalg.lstsq(rows, np.vstack([root * (t - p), np.zeros((3, 2))]), rcond=None)[0].T
    expected = np.eye(2, 3) + change / [100.0, 100.0, 1.0]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4, rtol=1e-4)


def test_robust_affine_survives_forty_percent_outliers() -> None:
    truth = torch.tensor([[[1.1, 0.12, 14.0], [-0.08, 0.93, -9.0]]])
    points = 300 * _noise(300, 2) - 150
    targets = affine_fit.apply(truth, points)
    targets[:, :120] = 300 * _noise(1, 120, 2, seed=3) - 150
    prior = torch.eye(3)[None, :2]
    found, inliers = affine_fit.robust_affine(
        points, targets, torch.ones(1, 300), prior, 150.0, (64.0, 32.0, 16.0, 8.0, 4.0)
    )
    torch.testing.assert_close(found, truth, atol=0.05, rtol=0.0)
    assert float(inliers[0, 120:].mean()) > 0.99
    assert float(inliers[0, :120].mean()) < 0.1


def test_centred_pixels_agree_with_the_runtime_convention() -> None:
    matrix = np.array([[0.9, 0.1, 12.0], [-0.2, 1.1, -7.0]])
    theta = geometry.matrix_to_theta(matrix, (240, 320), (240, 320))
    centred = affine_fit.theta_to_centred(torch.from_numpy(theta)[None].float(), 240, 320)
    point_px = np.array([50.0, 200.0])
    from_centre = torch.tensor([[50.0 + 0.5 - 160.0, 200.0 + 0.5 - 120.0]])
    mapped = affine_fit.apply(centred, from_centre)[0, 0].numpy() + np.array([159.5, 119.5])
    np.testing.assert_allclose(mapped, geometry.apply_affine(matrix, point_px), atol=1e-3)
    back = affine_fit.centred_to_theta(centred, 240, 320)[0].numpy()
    np.testing.assert_allclose(back, theta, atol=1e-6)


@pytest.mark.parametrize(("radius", "step", "first"), [(4, 4, 2), (3, 4, 2), (3, 8, 4), (3, 8, 0), (1, 2, 1)])
def test_local_correlation_is_unfold_and_dot(radius: int, step: int, first: int) -> None:
    fixed, warped = _noise(2, 5, 24, 32), _noise(2, 5, 24, 32, seed=1)
    found = correlation.local_logits(fixed, warped, radius, step, first)
    padded = F.pad(warped, (radius,) * 4)[:, :, first:, first:]
    windows = F.unfold(padded, 2 * radius + 1, stride=step).reshape(2, 5, (2 * radius + 1) ** 2, -1)
    query = fixed[:, :, first::step, first::step].flatten(2)
    torch.testing.assert_close(found, torch.einsum("ncq,nckq->nqk", query, windows), atol=1e-5, rtol=1e-5)


def test_window_offsets_are_in_the_order_of_the_logits() -> None:
    """The best candidate of a shifted copy is the shift, in x and in y."""
    fixed = torch.randn(1, 16, 32, 40, generator=torch.Generator().manual_seed(0))
    warped = fixed.roll((1, -2), dims=(2, 3))  # content moves 1 cell down, 2 cells left
    logits = correlation.local_logits(fixed, warped, radius=3, step=8, first=4)
    best = correlation.window_offsets(3, 2, fixed)[logits[0].argmax(dim=1)]
    assert best.tolist() == [[-4.0, 2.0]] * len(best)


def test_coarse_grid_is_in_centred_pixels() -> None:
    grid = correlation.centred_grid(3, 4, 8, torch.zeros(1))
    assert grid[0].tolist() == [-12.0, -8.0]
    assert grid[1].tolist() == [-4.0, -8.0]
    assert grid[-1].tolist() == [12.0, 8.0]


@pytest.mark.parametrize("size_hw", [(96, 128), (240, 320)])
def test_queries_lie_on_one_grid_of_sixteen_pixels(size_hw: tuple[int, int]) -> None:
    net = MatchNet(size_hw, width=8).eval()
    image = _noise(1, 1, *size_hw)
    with torch.no_grad():
        matches = net.match(*net.features(image, image))
    expected = size_hw[0] // 16 * (size_hw[1] // 16)
    assert [len(match.points) for match in matches] == [expected] * (1 + len(STAGES))


@pytest.mark.parametrize("cells_xy", [(2, 0), (0, -1), (-1, 2)])
def test_a_local_stage_finds_a_shift_of_whole_cells(cells_xy: tuple[int, int]) -> None:
    stage = STAGES[0]
    fixed = F.normalize(torch.randn(1, 32, 60, 80, generator=torch.Generator().manual_seed(0)), dim=1)
    moving = fixed.roll((cells_xy[1], cells_xy[0]), dims=(2, 3))
    found = MatchNet((240, 320))._local(stage, 1, moving, fixed, torch.eye(3)[None, :2])
    expected = torch.tensor([[[1.0, 0.0, cells_xy[0] * 4.0], [0.0, 1.0, cells_xy[1] * 4.0]]])
    torch.testing.assert_close(found.affine, expected, atol=0.02, rtol=0.0)
