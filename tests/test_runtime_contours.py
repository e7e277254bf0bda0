"""Contour filters against float64 formulas, and what each is there for."""

import cv2
import numpy as np
import pytest

from tests.helpers import smooth_scene
from vr.runtime import contours
from vr.runtime.preprocess import network_input

SHAPE = (48, 64)


def correlated(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Explicit sum in float64, borders reflected without the last pixel."""
    reach_y, reach_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(image, ((reach_y, reach_y), (reach_x, reach_x)), mode="reflect")
    total = np.zeros_like(image)
    for y in range(kernel.shape[0]):
        for x in range(kernel.shape[1]):
            total += kernel[y, x] * padded[y : y + image.shape[0], x : x + image.shape[1]]
    return total


def smoothed(gray: np.ndarray) -> np.ndarray:
    weights = np.exp(-np.square(np.arange(-2.0, 3.0)) / (2.0 * 1.1**2))
    weights /= weights.sum()
    return correlated(gray.astype(np.float64) / 255.0, np.outer(weights, weights))


def busy_scene(seed: int) -> np.ndarray:
    """Structure, and some noise so that no two pixels are alike."""
    noise = np.random.default_rng(seed).normal(0.0, 12.0, SHAPE)
    return np.clip(smooth_scene(seed, SHAPE) + noise, 0, 255).astype(np.uint8)


def test_sobel_is_the_length_of_the_gradient() -> None:
    gray = busy_scene(1)
    smooth = smoothed(gray)
    kernel = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    expected = np.minimum(np.hypot(correlated(smooth, kernel), correlated(smooth, kernel.T)) / 4.0, 1.0)
    found = contours.sobel(gray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_laplacian_is_the_amount_of_the_second_derivative() -> None:
    gray = busy_scene(2)
    kernel = np.array([[2.0, 0.0, 2.0], [0.0, -8.0, 0.0], [2.0, 0.0, 2.0]])
    expected = np.minimum(np.abs(correlated(smoothed(gray), kernel)) / 2.0, 1.0)
    np.testing.assert_allclose(contours.laplacian(gray), expected, atol=1e-5)


def test_adaptive_marks_what_is_darker_than_its_surroundings() -> None:
    """Against the formula in float64; cv2 rounds twice, so pixels within a grey level of the threshold may differ."""
    gray = busy_scene(3)
    smooth = np.rint(smoothed(gray) * 255.0)
    sigma = 0.3 * ((11 - 1) * 0.5 - 1.0) + 0.8
    weights = np.exp(-np.square(np.arange(-5.0, 6.0)) / (2.0 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(smooth, 5, mode="edge")
    mean = correlated(padded, np.outer(weights, weights))[5:-5, 5:-5]
    found, below = contours.adaptive(gray), mean - smooth
    assert (found[below > 4.0] == 1.0).all()
    assert (found[below < 1.0] == 0.0).all()
    assert 0.1 < found.mean() < 0.9


@pytest.mark.parametrize("brightness", [1.0, 0.15], ids=["day", "night"])
def test_canny_finds_the_border_of_a_square_and_nothing_else_however_dark(brightness: float) -> None:
    gray = np.full(SHAPE, 120.0 * brightness)
    gray[12:36, 16:48] = 250.0 * brightness
    found = contours.canny(gray.astype(np.uint8))
    border = np.zeros(SHAPE, np.uint8)
    cv2.rectangle(border, (16, 12), (47, 35), 1, 5)
    assert set(np.unique(found)) == {0.0, 1.0}
    assert found[border == 0].sum() == 0.0
    assert found.sum() >= 0.8 * 2 * (24 + 32)


def test_canny_draws_nothing_from_the_noise_of_a_dark_image() -> None:
    noise = np.clip(np.random.default_rng(0).normal(4.0, 2.0, SHAPE), 0, 255).astype(np.uint8)
    assert contours.canny(noise).mean() < 0.01


@pytest.mark.parametrize("mode", contours.FILTERS)
def test_contours_are_taken_at_the_network_s_size(mode: str) -> None:
    frame = cv2.resize(busy_scene(4), (SHAPE[1] * 4, SHAPE[0] * 4), interpolation=cv2.INTER_CUBIC)
    batch = network_input(frame, SHAPE, mode)  # type: ignore[arg-type]
    assert batch.shape == (1, 1, *SHAPE)
    assert batch.dtype == np.float32
    assert batch.min() >= 0.0
    assert batch.max() <= 1.0
    small = (network_input(frame, SHAPE)[0, 0] * 255.0).round().astype(np.uint8)  # type: ignore[arg-type]
    np.testing.assert_allclose(batch[0, 0], contours.FILTERS[mode](small), atol=1e-6)


@pytest.mark.parametrize("mode", contours.FILTERS)
def test_a_flat_image_has_no_contours(mode: str) -> None:
    assert network_input(np.full((64, 64), 77, np.uint8), SHAPE, mode).max() == 0.0
