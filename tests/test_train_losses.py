"""Each loss against an independent formula, and downhill towards the true shift."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers import smooth_scene
from vr.models.base import Registration
from vr.models.geometry import affine_flow
from vr.train.losses import NCC_WINDOW_PX, SIMILARITY, Objective, local_ncc, mse, multi_scale, ngf, smoothness

SIZE_HW = (48, 64)


def scene(seed: int) -> NDArray[np.float64]:
    return smooth_scene(seed, SIZE_HW) / 255.0


def tensor(image: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32))[None, None]


def ones() -> torch.Tensor:
    return torch.ones(1, 1, *SIZE_HW)


def test_mse_is_the_mean_squared_difference() -> None:
    a, b = scene(0), scene(1)
    assert float(mse(tensor(a), tensor(b), ones())) == pytest.approx(np.mean((a - b) ** 2), rel=1e-5)


def test_local_ncc_is_one_minus_the_mean_squared_correlation_of_the_windows() -> None:
    a, b = scene(0), scene(1)
    size = NCC_WINDOW_PX
    windows_a = np.lib.stride_tricks.sliding_window_view(a, (size, size)).reshape(-1, size * size)
    windows_b = np.lib.stride_tricks.sliding_window_view(b, (size, size)).reshape(-1, size * size)
    covariance = np.array([np.cov(x, y, bias=True) for x, y in zip(windows_a, windows_b, strict=True)])
    squared = covariance[:, 0, 1] ** 2 / (covariance[:, 0, 0] * covariance[:, 1, 1] + 1e-6)
    assert float(local_ncc(tensor(a), tensor(b), ones())) == pytest.approx(1 - squared.mean(), abs=2e-3)


def test_ngf_is_one_minus_the_mean_squared_cosine_of_the_gradients() -> None:
    a, b = scene(0), scene(1)
    gradients = []
    for image in (a, b):
        dy, dx = np.gradient(image)
        gradients.append(np.stack([dx, dy])[:, 1:-1, 1:-1])
    lengths = [np.sqrt((g**2).sum(axis=0)) for g in gradients]
    edges = [length.mean() + 1e-4 for length in lengths]
    dot = (gradients[0] * gradients[1]).sum(axis=0)
    squared = dot**2 / ((lengths[0] ** 2 + edges[0] ** 2) * (lengths[1] ** 2 + edges[1] ** 2))
    assert float(ngf(tensor(a), tensor(b), ones())) == pytest.approx(1 - squared.mean(), abs=1e-4)


@pytest.mark.parametrize("name", ["ncc", "ngf"])
def test_correlation_losses_do_not_mind_inverted_contrast(name: str) -> None:
    a, b = tensor(scene(0)), tensor(scene(1))
    loss = SIMILARITY[name]
    torch.testing.assert_close(loss(1 - a, b, ones()), loss(a, b, ones()), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", SIMILARITY)
def test_alike_is_better_than_unlike(name: str) -> None:
    a, b = tensor(scene(0)), tensor(scene(1))
    assert float(SIMILARITY[name](a, a, ones())) < 0.85 * float(SIMILARITY[name](a, b, ones()))


@pytest.mark.parametrize("name", ["ncc", "ngf"])
def test_an_image_pushed_out_of_sight_is_the_worst_case(name: str) -> None:
    a = tensor(scene(0))
    assert float(SIMILARITY[name](torch.zeros_like(a), a, torch.zeros_like(a))) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SIMILARITY)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_points_to_the_true_shift(name: str, axis: int) -> None:
    """The moving image lies 2 px away; from no shift, from a half and from too much, descent goes there."""
    true_px = 2.0
    matrix = np.array([[1.0, 0.0, true_px * (axis == 0)], [0.0, 1.0, true_px * (axis == 1)]])
    # Dark towards the border, so that what leaves the frame plays no part.
    window = np.outer(np.hanning(SIZE_HW[0]), np.hanning(SIZE_HW[1]))
    fixed = scene(0) * window
    moving = cv2.warpAffine(fixed, matrix, SIZE_HW[::-1])
    objective = Objective(name, 2, "l2", 0.0)
    for start_px, sign in ((0.0, -1), (1.0, -1), (3.5, 1)):
        shift = torch.tensor(start_px, requires_grad=True)
        planes = [shift * (axis == channel) * torch.ones(1, *SIZE_HW) for channel in (0, 1)]
        parts = objective(tensor(np.asarray(moving, np.float64)), tensor(fixed), Registration(torch.stack(planes, 1)))
        parts["loss"].backward()
        assert shift.grad is not None
        assert float(shift.grad) * sign > 1e-6, (start_px, float(shift.grad))


def test_no_loss_gives_a_gradient_that_is_not_a_number_on_flat_images() -> None:
    for name in SIMILARITY:
        flat = torch.full((1, 1, *SIZE_HW), 0.5, requires_grad=True)
        SIMILARITY[name](flat, torch.full_like(flat, 0.2), ones()).backward()
        assert flat.grad is not None and bool(flat.grad.isfinite().all())


def test_multi_scale_is_the_mean_over_the_pyramid() -> None:
    a, b = tensor(scene(0)), tensor(scene(1))

    def halved(image: torch.Tensor) -> torch.Tensor:
        half = cv2.resize(image[0, 0].numpy(), (SIZE_HW[1] // 2, SIZE_HW[0] // 2), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(half)[None, None]

    expected = (float(ngf(a, b, ones())) + float(ngf(halved(a), halved(b), halved(ones())))) / 2
    assert float(multi_scale(ngf, a, b, ones(), 2)) == pytest.approx(expected, rel=1e-4)
    # 48 px may be halved once: 12 px would be below 16.
    assert float(multi_scale(ngf, a, b, ones(), 6)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("norm", "expected"), [("l1", (0.3 + 0.2 + 0.1 + 0.4) / 4), ("l2", (0.09 + 0.04 + 0.01 + 0.16) / 4)]
)
def test_smoothness_is_the_mean_slope(norm: str, expected: float) -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    flow = torch.stack([0.3 * x - 0.2 * y, 0.1 * x + 0.4 * y])[None]
    assert float(smoothness(flow, norm)) == pytest.approx(expected, rel=1e-4)
    assert float(smoothness(torch.full((1, 2, 8, 8), 7.0), norm)) == 0.0


def test_the_loss_adds_smoothness_for_dense_networks_only() -> None:
    theta = torch.tensor([[[1.1, 0.1, 0.0], [0.0, 0.9, 0.1]]])
    flow = affine_flow(theta, *SIZE_HW)
    objective = Objective("mse", 1, "l2", 3.0)
    moving, fixed = tensor(scene(0)), tensor(scene(1))
    dense, affine = objective(moving, fixed, Registration(flow)), objective(moving, fixed, Registration(flow, theta))
    assert float(affine["loss"]) == pytest.approx(float(affine["similarity"]))
    assert float(dense["loss"]) == pytest.approx(float(dense["similarity"] + 3.0 * dense["smoothness"]))
    assert float(dense["smoothness"]) > 0
