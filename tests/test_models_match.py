"""The parts of the default network against independent arithmetic."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vr.models import affine_fit, coarse
from vr.models.match import MatchNet
from vr.models.oriented_gradients import OrientedGradients, OrientedStrength, _gradient_kernels, noise_floor
from vr.runtime import geometry


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_gradients_do_not_see_polarity_or_level() -> None:
    image = 0.2 + 0.5 * _noise(1, 1, 24, 32)
    features = OrientedGradients(8)(image)
    torch.testing.assert_close(OrientedGradients(8)(1.0 - image), features, atol=1e-5, rtol=0)
    torch.testing.assert_close(OrientedGradients(8)(image + 0.1), features, atol=1e-5, rtol=0)
    assert float(features.square().sum(dim=1).max()) < 1.0


@pytest.mark.parametrize(("angle_deg", "channel"), [(0.0, 0), (90.0, 4), (45.0, 2), (135.0, 6)])
def test_gradients_name_the_orientation(angle_deg: float, channel: int) -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    angle = np.deg2rad(angle_deg)
    ramp = (np.cos(angle) * x + np.sin(angle) * y)[None, None] / 40.0
    assert int(OrientedGradients(8)(ramp)[0, :, 8, 8].argmax()) == channel


def test_inverse_of_three_by_three() -> None:
    half = _noise(5, 3, 3) + 0.5 * torch.eye(3)
    matrix = half + half.transpose(1, 2)
    torch.testing.assert_close(affine_fit.inverse_symmetric_3x3(matrix), torch.linalg.inv(matrix), atol=1e-3, rtol=1e-3)


def test_the_affine_is_the_least_squares_solution() -> None:
    """Against numpy's solver on the same system: the weighted matches, and 0.05 matches that pull to the prior."""
    points, targets, weights = (
        200 * _noise(60, 2) - 100,
        200 * _noise(1, 60, 2, seed=1) - 100,
        9 * _noise(1, 60, seed=2),
    )
    design = affine_fit.design(points, 100.0)
    system = weights.unsqueeze(1) @ affine_fit.system_rows(design)
    right = (weights.unsqueeze(2) * targets).transpose(1, 2) @ design
    start = torch.eye(2, 3) * 100.0
    found = affine_fit.solve(system, right, start) / torch.tensor([100.0, 100.0, 1.0])
    p, t = points.double().numpy(), targets[0].double().numpy()
    root = np.sqrt(weights[0].double().numpy())[:, None]
    rows = np.vstack([root * np.column_stack([p / 100.0, np.ones(60)]), np.sqrt(0.05) * np.eye(3)])
    change = np.linalg.lstsq(rows, np.vstack([root * (t - p), np.zeros((3, 2))]), rcond=None)[0].T
    expected = np.eye(2, 3) + change / [100.0, 100.0, 1.0]
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4, rtol=1e-4)


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


def test_coarse_grid_is_in_centred_pixels() -> None:
    grid = coarse.centred_grid(3, 4, torch.zeros(1))
    assert grid[0].tolist() == [-12.0, -8.0]
    assert grid[1].tolist() == [-4.0, -8.0]
    assert grid[-1].tolist() == [12.0, 8.0]


def test_sums_around_a_place_are_those_under_a_gaussian() -> None:
    """The product by axes against the plain sums over all cells."""
    maps, points = _noise(1, 7, 6, 8), 40 * _noise(7, 2, seed=1) - 20
    design, affine = affine_fit.design(points, 10.0), torch.tensor([[[9.0, 1.0, 2.0], [-1.0, 11.0, 3.0]]])
    found = coarse._around(maps, design, affine, 12.0)[0]
    cells = coarse.centred_grid(6, 8, maps).reshape(6, 8, 2)
    offset = (design @ affine[0].T)[:, None, None] - cells
    weights = maps[0] * torch.exp(-offset.square().sum(dim=3) / (2 * 12.0**2))
    ones = torch.ones_like(offset[..., 0])
    x, y = offset.unbind(dim=3)
    expected = torch.stack([(weights * factor).sum(dim=(1, 2)) for factor in (ones, y, x, x * y)], dim=1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_the_search_listens_to_second_peaks() -> None:
    """Half of the points have a stronger peak at a random place; the true places still win, as they agree."""
    truth = torch.tensor([[[1.05, 0.08, 21.0], [-0.06, 0.97, -13.0]]])
    points, cells = coarse.centred_grid(30, 40, truth, 2), coarse.centred_grid(30, 40, truth)
    right = affine_fit.apply(truth, points)
    wrong = _noise(1, 300, 2) * torch.tensor([300.0, 220.0]) - torch.tensor([150.0, 110.0])
    strength = torch.where(_noise(1, 300, seed=5) < 0.5, 1.5, 0.0)[..., None]
    maps = _peak(right, cells) + strength * _peak(wrong, cells)
    # In any unit, as long as `scale` says which.
    total = maps.sum(dim=2, keepdim=True)
    found, sums, _ = coarse._fit(1e6 * maps, 1e-6 / total, (30, 40))
    torch.testing.assert_close(affine_fit.apply(found, points), right, atol=4.0, rtol=0.0)
    torch.testing.assert_close(sums, torch.ones(1, 1))


def _peak(places: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(places.unsqueeze(2) - cells).square().sum(dim=3) / (2 * 6.0**2))


@pytest.mark.parametrize("size_hw", [(96, 128), (240, 320)])
def test_queries_lie_on_a_grid_of_sixteen_pixels(size_hw: tuple[int, int]) -> None:
    net = MatchNet(size_hw, width=8, deep=16).eval()
    image = _noise(1, 1, *size_hw)
    with torch.no_grad():
        found = net.find(*net.features(image, image), size_hw)
    assert len(found.coarse.points) == size_hw[0] // 16 * (size_hw[1] // 16)


def test_information_leaves_with_the_answer() -> None:
    net = MatchNet((96, 128), width=8, deep=16).eval()
    with torch.no_grad():
        answer = net(_noise(2, 1, 96, 128), _noise(2, 1, 96, 128))
    assert answer.information is not None
    assert answer.information.shape == (2, 6, 6)
    torch.testing.assert_close(answer.information, answer.information.transpose(1, 2))
    assert float(torch.linalg.eigvalsh(answer.information.double()).min()) > -1e-3


def test_strength_is_what_the_front_end_normalises() -> None:
    """Inside the frame, with the floor of the sampled mean instead of the whole one."""
    image = _noise(1, 1, 48, 64)
    strength, expected = OrientedStrength()(image), OrientedGradients(4)(image)
    assert strength.shape == expected.shape
    found = strength / (strength.square().sum(dim=1, keepdim=True).sqrt() + noise_floor(strength))
    torch.testing.assert_close(found[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=0.02, rtol=0)


def test_front_end_is_the_smoothed_convolution() -> None:
    """Against the formula, plainly written: Sobel, magnitude, border repeated, binomial filter."""
    image = _noise(1, 1, 24, 32)
    kernels = _gradient_kernels(8)
    magnitude = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), kernels).abs()
    line = torch.tensor([0.25, 0.5, 0.25])
    binomial = torch.outer(line, line).expand(8, 1, 3, 3)
    smooth = F.conv2d(F.pad(magnitude, (1, 1, 1, 1), mode="replicate"), binomial, groups=8)
    length = smooth.square().sum(dim=1, keepdim=True).sqrt()
    expected = smooth / (length + 0.5 * length.mean() + 2e-3)
    torch.testing.assert_close(OrientedGradients(8)(image), expected, atol=1e-6, rtol=1e-5)


def test_two_images_at_once_are_each_by_itself() -> None:
    images = _noise(3, 2, 16, 24)
    found = OrientedGradients(8, images=2)(images)
    expected = OrientedGradients(8)(images.reshape(6, 1, 16, 24))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_strength_at_points_is_that_of_the_whole_image() -> None:
    """Values, slopes and floor of every fourth pixel against those taken from all pixels."""
    image, finest = _noise(2, 1, 32, 48), OrientedStrength()
    whole, points = finest(image), finest.at_points(image)
    values, right, left = (whole[:, :, 1:-1:4, start:stop:4] for start, stop in ((1, -1), (2, None), (0, -2)))
    torch.testing.assert_close(points.values, values.flatten(2).unsqueeze(2), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(points.slopes[:, :, 0], ((right - left) / 2.0).flatten(2), atol=1e-6, rtol=1e-5)
    down, up = whole[:, :, 2::4, 1:-1:4], whole[:, :, 0:-2:4, 1:-1:4]
    torch.testing.assert_close(points.slopes[:, :, 1], ((down - up) / 2.0).flatten(2), atol=1e-6, rtol=1e-5)
    assert points.floor is not None
    torch.testing.assert_close(points.floor, noise_floor(whole))
