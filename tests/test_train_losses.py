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
from vr.train.mask_losses import mask_pyramid
from vr.train.multimodal_losses import MI_BINS, mind_ssc, mutual_information, self_similarity

SIZE_HW = (48, 64)
MULTIMODAL = ("ngf", "ncc", "mi", "mind")


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


@pytest.mark.parametrize("name", MULTIMODAL)
def test_correlation_losses_do_not_mind_inverted_contrast(name: str) -> None:
    a, b = tensor(scene(0)), tensor(scene(1))
    loss = SIMILARITY[name]
    torch.testing.assert_close(loss(1 - a, b, ones()), loss(a, b, ones()), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["mse", "dice"])
def test_level_losses_do_mind_inverted_contrast(name: str) -> None:
    """The failing twin: the test above can tell."""
    a = tensor(scene(0))
    assert float(SIMILARITY[name](1 - a, a, ones())) > float(SIMILARITY[name](a, a, ones())) + 0.02


@pytest.mark.parametrize("name", SIMILARITY)
def test_alike_is_better_than_unlike(name: str) -> None:
    a, b = tensor(scene(0)), tensor(scene(1))
    assert float(SIMILARITY[name](a, a, ones())) < 0.85 * float(SIMILARITY[name](a, b, ones()))


@pytest.mark.parametrize("name", [*MULTIMODAL, "dice"])
def test_an_image_pushed_out_of_sight_is_the_worst_case(name: str) -> None:
    a = tensor(scene(0))
    assert float(SIMILARITY[name](torch.zeros_like(a), a, torch.zeros_like(a))) == pytest.approx(1.0, abs=1e-4)


def slope_px(
    name: str,
    moving: NDArray[np.float64],
    fixed: NDArray[np.float64],
    shift_xy: tuple[float, float],
    levels: int = 2,
) -> float:
    """Of the loss along x if the shift lies along x, else along y; at this shift."""
    axis = 0 if shift_xy[0] or not shift_xy[1] else 1
    shift = torch.tensor(shift_xy, requires_grad=True)
    flow = shift.reshape(1, 2, 1, 1).expand(1, 2, *fixed.shape)
    Objective(name, levels, "l2", 0.0)(tensor(moving), tensor(fixed), Registration(flow))["loss"].backward()
    assert shift.grad is not None
    return float(shift.grad[axis])


@pytest.mark.parametrize(
    ("name", "inverted"), [*((name, False) for name in SIMILARITY), *((name, True) for name in MULTIMODAL)]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_points_to_the_true_shift(name: str, inverted: bool, axis: int) -> None:
    """The moving image lies 2 px away; from next to no shift, from a half and from too much, descent goes there."""
    true_px = 2.0
    matrix = np.array([[1.0, 0.0, true_px * (axis == 0)], [0.0, 1.0, true_px * (axis == 1)]])
    # Flat towards the border, so that what leaves the frame plays no part.
    window = np.outer(np.hanning(SIZE_HW[0]), np.hanning(SIZE_HW[1]))
    fixed = scene(0) * window
    moving = np.asarray(cv2.warpAffine(fixed, matrix, SIZE_HW[::-1]), np.float64)
    for start_px, sign in ((1e-3, -1), (1.0, -1), (3.5, 1)):
        start = (start_px, 0.0) if axis == 0 else (0.0, start_px)
        slope = slope_px(name, 1 - moving if inverted else moving, fixed, start)
        assert slope * sign > 1e-6, (start_px, slope)


def blob(centre_xy: tuple[int, int]) -> NDArray[np.float64]:
    """A person of 6 x 12 px."""
    mask = np.zeros(SIZE_HW, np.uint8)
    return cv2.ellipse(mask, centre_xy, (3, 6), 0.0, 0.0, 360.0, 1, -1).astype(np.float64)


@pytest.mark.parametrize("name", ["mse", "dice"])
@pytest.mark.parametrize("axis", [0, 1])
def test_only_dice_slopes_towards_a_mask_that_does_not_overlap(name: str, axis: int) -> None:
    """The masks lie 44 or 30 px apart, and are 6 x 12 px large. mse is flat there.

    At half a pixel, where the blur of the interpolation is the same to both sides.
    """
    moving, fixed = (blob((54, 24)), blob((10, 24))) if axis == 0 else (blob((32, 39)), blob((32, 9)))
    slope = slope_px(name, moving, fixed, (0.5, 0.0) if axis == 0 else (0.0, 0.5), levels=1)
    assert slope < -1e-4 if name == "dice" else abs(slope) < 1e-6


def test_no_loss_gives_a_gradient_that_is_not_a_number_on_flat_images() -> None:
    for name in SIMILARITY:
        flat = torch.full((1, 1, *SIZE_HW), 0.5, requires_grad=True)
        SIMILARITY[name](flat, torch.full_like(flat, 0.2), ones()).backward()
        assert flat.grad is not None and bool(flat.grad.isfinite().all())


def test_mutual_information_is_that_of_the_joint_histogram() -> None:
    """Pixel by pixel into the four bins of a cubic B-spline, and one of a box."""
    a, b = scene(0), scene(1)
    covered = (np.arange(SIZE_HW[1]) < 50) * np.ones(SIZE_HW)
    joint = np.zeros((MI_BINS, MI_BINS))
    for level_a, level_b, seen in zip(a.ravel(), b.ravel(), covered.ravel(), strict=True):
        place = 1 + level_a * (MI_BINS - 3)
        first = min(int(place), MI_BINS - 3) - 1
        t = place - first - 1
        spline = np.array([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
        joint[first : first + 4, round(1 + level_b * (MI_BINS - 3))] += seen * spline
    joint /= joint.sum()
    of_a, of_b, both = (-np.sum(p[p > 0] * np.log(p[p > 0])) for p in (joint.sum(1), joint.sum(0), joint))
    expected = 1 - covered.mean() * 2 * (of_a + of_b - both) / (of_a + of_b)
    assert float(mutual_information(tensor(a), tensor(b), tensor(covered))) == pytest.approx(expected, abs=1e-4)


def context(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """MIND-SSC (4, h - 6, w - 6), pixel by pixel, where nothing reaches the border."""
    h, w = image.shape
    around = [(0, -2), (-2, 0), (0, 2), (2, 0)]
    found = np.zeros((4, h, w))
    for y in range(3, h - 3):
        for x in range(3, w - 3):
            patches = [image[y + dy - 1 : y + dy + 2, x + dx - 1 : x + dx + 2] for dy, dx in around]
            found[:, y, x] = [np.mean((patches[k] - patches[(k + 1) % 4]) ** 2) for k in range(4)]
    found = (found - found.min(axis=0))[:, 3:-3, 3:-3]
    return np.exp(-found / found.mean(axis=0))


def test_self_similarity_context_is_that_of_the_four_neighbours() -> None:
    image = scene(0)
    found = self_similarity(tensor(image))[0, :, 3:-3, 3:-3].numpy()
    expected = context(image)
    # The variance is held within bounds in flat places; elsewhere it is the mean.
    assert np.median(np.abs(found - expected)) < 1e-4
    assert np.mean(np.abs(found - expected) < 1e-2) > 0.97


def test_mind_is_the_mean_difference_of_the_contexts() -> None:
    a, b = scene(0), scene(1)
    contexts = [self_similarity(tensor(image))[0, :].double().numpy() for image in (a, b)]
    difference = np.abs(contexts[0] - contexts[1]).mean(axis=0)
    assert float(mind_ssc(tensor(a), tensor(b), ones())) == pytest.approx(difference.mean(), abs=1e-4)
    covered = (np.arange(SIZE_HW[1]) < 50) * np.ones(SIZE_HW)
    # Context reaches 3 px far: column 46 is the last that sees nothing uncovered.
    expected = 1 - (1 - difference[:, :47]).sum() / difference.size
    assert float(mind_ssc(tensor(a * covered), tensor(b), tensor(covered))) == pytest.approx(expected, abs=1e-3)


def test_mask_pyramid_is_the_mean_soft_dice_of_the_blurred_masks() -> None:
    """Blurred at full size with a Gaussian of the whole width instead of on a halved grid."""
    a, b = (np.pad(blob(place), 96) for place in ((20, 20), (38, 26)))
    expected = []
    for sigma in (1.5, 3.0, 6.0, 12.0, 24.0):
        # Halving blurs too: by a box of 2, 4, 8 px, as seen from full size.
        box = ((sigma / 1.5) ** 2 - 1) / 12
        m, f = (cv2.GaussianBlur(mask, (0, 0), (sigma**2 + box) ** 0.5) for mask in (a, b))
        expected.append(1 - 2 * (m * f).sum() / (m * m + f * f).sum())
    inner = (slice(96, -96), slice(96, -96))
    found = float(mask_pyramid(tensor(a[inner]), tensor(b[inner]), ones()))
    assert found == pytest.approx(np.mean(expected), abs=0.01)


def test_mask_pyramid_takes_odd_sizes_and_empty_masks() -> None:
    empty, person = torch.zeros(1, 1, 37, 51), torch.zeros(1, 1, 37, 51)
    person[:, :, 10:20, 45:] = 1.0
    assert float(mask_pyramid(empty, empty, empty)) == pytest.approx(0.0, abs=1e-6)
    assert float(mask_pyramid(person, person, empty)) == pytest.approx(0.0, abs=1e-6)
    assert float(mask_pyramid(empty, person, empty)) == pytest.approx(1.0, abs=1e-3)


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
