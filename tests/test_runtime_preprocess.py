"""Preprocessing against independent float64 references."""

import numpy as np
import pytest

from tests.helpers import smooth_scene
from vr.runtime import preprocess
from vr.runtime.errors import InputError


def area_reference(length_in: int, length_out: int) -> np.ndarray:
    """(length_out, length_in) shares, by explicit interval overlap."""
    step = length_in / length_out
    weights = np.zeros((length_out, length_in))
    for o in range(length_out):
        for i in range(length_in):
            weights[o, i] = max(0.0, min(i + 1, (o + 1) * step) - max(i, o * step)) / step
    return weights


def linear_reference(length_in: int, length_out: int) -> np.ndarray:
    """(length_out, length_in) weights: interpolation at the edge-aligned source point, border repeated."""
    weights = np.zeros((length_out, length_in))
    for o in range(length_out):
        source = min(max((o + 0.5) * length_in / length_out - 0.5, 0.0), length_in - 1.0)
        left = int(np.floor(source))
        weights[o, left] += 1.0 - (source - left)
        weights[o, min(left + 1, length_in - 1)] += source - left
    return weights


@pytest.mark.parametrize(
    ("in_hw", "out_hw", "limit"),
    [
        ((96, 128), (48, 64), 0.51),
        ((97, 131), (48, 64), 0.51),
        ((96, 128), (24, 64), 0.51),
        ((40, 50), (48, 64), 1.0),
        ((30, 128), (48, 64), 1.5),
    ],
    ids=["halved", "odd sizes", "quarter by half", "growing", "growing in y, shrinking in x"],
)
def test_resize_matches_the_float_reference(in_hw: tuple[int, int], out_hw: tuple[int, int], limit: float) -> None:
    """Averages to the rounding; linear within cv2's 11-bit weights; two passes round twice."""
    image = smooth_scene(3, in_hw)
    axes = [
        (area_reference if size_out <= size_in else linear_reference)(size_in, size_out)
        for size_in, size_out in zip(in_hw, out_hw, strict=True)
    ]
    expected = axes[0] @ image.astype(np.float64) @ axes[1].T
    assert np.abs(preprocess.resize(image, out_hw) - expected).max() <= limit


def test_resize_keeps_the_mean_of_noise_which_point_sampling_would_not() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    small = preprocess.resize(noise, (24, 32))
    assert small.std() < 5.0
    assert abs(float(small.mean()) - float(noise.mean())) < 0.5


@pytest.mark.parametrize(("bgr", "gray"), [((255, 0, 0), 29), ((0, 255, 0), 150), ((0, 0, 255), 76)])
def test_convention_three_channels_are_bgr(bgr: tuple[int, int, int], gray: int) -> None:
    frame = np.full((16, 16, 3), bgr, np.uint8)
    assert set(preprocess.to_gray(frame).ravel()) == {gray}


def test_one_channel_frames_of_two_and_three_axes_are_the_same() -> None:
    flat = smooth_scene(1, (32, 40))
    np.testing.assert_array_equal(preprocess.to_gray(flat[:, :, None]), flat)
    np.testing.assert_array_equal(preprocess.to_bgr(flat[:, :, None]), preprocess.to_bgr(flat))


def test_16_bit_is_stretched_between_percentiles_so_that_a_hot_spot_does_not_blind_it() -> None:
    ramp = np.linspace(7000, 9000, 64 * 80).reshape(64, 80).astype(np.uint16)
    ramp[0, 0] = 65535
    gray = preprocess.to_gray(ramp)
    assert gray[0, 0] == 255
    assert gray[1:].min() <= 5
    assert gray[1:].max() >= 250
    assert (np.diff(gray[1:].astype(int).ravel()) >= 0).all()


def test_flat_16_bit_frame_does_not_divide_by_zero() -> None:
    assert preprocess.to_gray(np.full((32, 32), 30000, np.uint16)).max() == 0


def test_network_input_is_one_channel_in_0_to_1() -> None:
    frame = np.full((32, 32, 3), 255, np.uint8)
    batch = preprocess.network_input(frame, (16, 24))
    assert batch.shape == (1, 1, 16, 24)
    assert batch.dtype == np.float32
    assert batch.min() == batch.max() == 1.0


@pytest.mark.parametrize("person", [1, 255])
def test_mask_mode_takes_any_non_zero_as_person(person: int) -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 4:12] = person
    batch = preprocess.network_input(mask, (32, 32), "mask")
    assert batch.sum() == 64.0
    assert set(batch.ravel()) == {0.0, 1.0}


def test_unknown_mode_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="gray, sobel, canny, adaptive, laplacian, mask"):
        preprocess.network_input(np.zeros((32, 32), np.uint8), (16, 16), "edges")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((32, 32), np.float32), "float32"),
        (np.zeros((32, 32, 4), np.uint8), "1 or 3"),
        (np.zeros((32,), np.uint8), "height, width"),
        (np.zeros((8, 32), np.uint8), "16"),
        (np.zeros((0, 0), np.uint8), "16"),
    ],
    ids=["dtype", "four channels", "flat", "too small", "empty"],
)
def test_check_frame_refuses(frame: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        preprocess.check_frame(frame, "IR")
