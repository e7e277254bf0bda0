"""The pictures: the blend against float64, where it applies, and what a frame that is not aligned shows."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.badges import band_height_px
from vr.runtime.blend import overlay, raw_overlay, render, side_by_side
from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, theta_to_matrix
from vr.runtime.mixing import ir_has_data, mixed
from vr.runtime.style import VIEWS, Style

RGB_HW, IR_HW = (60, 90), (40, 70)
MATRICES = {
    "identity": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "shift": np.array([[1.0, 0.0, -7.0], [0.0, 1.0, 5.0]]),
    "stretch": theta_to_matrix(IDENTITY_THETA, RGB_HW, IR_HW),
    "everything": np.array([[0.71, 0.09, -4.3], [-0.06, 0.62, 3.7]]),
    "tilt": np.array([[0.71, 0.09, -4.3], [-0.06, 0.62, 3.7], [0.002, -0.003, 1.0]]),
}


def random_frame(size_hw: tuple[int, int], seed: int, channels: int = 3) -> NDArray[np.uint8]:
    """Smooth, so that the interpolation's own rounding stays small."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size_hw, channels), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), noise, 0, 255, cv2.NORM_MINMAX)  # type: ignore[return-value]


def alignment(
    matrix: Float64Array | None,
    ir: NDArray[np.uint8],
    state: State = "estimated",
    flow: NDArray | None = None,
) -> Alignment:
    return Alignment(state, 0.9, matrix, flow, RGB_HW, ir)


def blend_in_float64(
    ir: NDArray[np.uint8], rgb: NDArray[np.uint8], source_xy: Float64Array, alpha: float
) -> tuple[Float64Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Bilinear sampling and blend in float64; also where a source point is well inside and well outside."""
    h, w = ir.shape[:2]
    x, y = source_xy[..., 0], source_xy[..., 1]
    margin = np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))
    x0, y0 = np.clip(np.floor(x), 0, w - 2).astype(int), np.clip(np.floor(y), 0, h - 2).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    values = ir.astype(np.float64)
    top = values[y0, x0] * (1 - fx) + values[y0, x0 + 1] * fx
    bottom = values[y0 + 1, x0] * (1 - fx) + values[y0 + 1, x0 + 1] * fx
    moved = top * (1 - fy) + bottom * fy
    return alpha * moved + (1 - alpha) * rgb, margin >= 0, margin < -0.01


def source_points(matrix: Float64Array) -> Float64Array:
    ys, xs = np.mgrid[: RGB_HW[0], : RGB_HW[1]]
    x, y, *w = (row[0] * xs + row[1] * ys + row[2] for row in matrix)
    return np.stack([x, y], axis=-1) / (w[0][..., None] if w else 1.0)


@pytest.mark.parametrize("alpha", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("name", MATRICES)
def test_overlay_is_the_documented_formula(name: str, alpha: float) -> None:
    ir, rgb = random_frame(IR_HW, 1), random_frame(RGB_HW, 2)
    picture = mixed(alignment(MATRICES[name], ir), rgb, alpha)
    expected, inside, outside = blend_in_float64(ir, rgb, source_points(MATRICES[name]), alpha)
    assert picture.dtype == np.uint8 and picture.shape == rgb.shape
    # The warp rounds the grey level to 8 bit, and OpenCV 4 the coordinates to 1/32 px; then the blend.
    np.testing.assert_allclose(picture[inside], expected[inside], atol=0.51 + alpha * 1.0)
    np.testing.assert_array_equal(picture[outside], rgb[outside])
    assert inside.sum() > 500


def test_blend_of_exact_grey_levels_is_rounded_to_the_nearest() -> None:
    ir, rgb = random_frame(RGB_HW, 1), random_frame(RGB_HW, 2)
    picture = mixed(alignment(MATRICES["identity"], ir), rgb, 0.35)
    exact = 0.35 * ir.astype(np.float64) + 0.65 * rgb.astype(np.float64)
    assert np.abs(picture - exact).max() <= 0.5 + 1e-4


def test_dense_overlay_is_the_documented_formula() -> None:
    flow = np.zeros((2, *RGB_HW), np.float32)
    flow[0], flow[1] = 3.0, -2.0
    ir, rgb = random_frame(RGB_HW, 1), random_frame(RGB_HW, 2)
    picture = mixed(alignment(None, ir, flow=flow), rgb, 0.5)
    source = source_points(MATRICES["identity"]) + np.array([3.0, -2.0])
    expected, inside, outside = blend_in_float64(ir, rgb, source, 0.5)
    sure = inside & (source[..., 0] <= RGB_HW[1] - 1.01) & (source[..., 1] >= 0.01)
    np.testing.assert_allclose(picture[sure], expected[sure], atol=1.01)
    np.testing.assert_array_equal(picture[outside], rgb[outside])


@pytest.mark.parametrize("name", ["everything", "tilt"])
def test_nothing_is_mixed_with_the_black_outside(name: str) -> None:
    white = np.full((*IR_HW, 3), 255, np.uint8)
    rgb = np.full((*RGB_HW, 3), 200, np.uint8)
    picture = mixed(alignment(MATRICES[name], white), rgb, 0.5)
    assert set(np.unique(picture)) == {200, 228}


def test_black_infrared_darkens_where_it_has_data() -> None:
    """Validity comes from geometry, not from grey level 0."""
    black = np.zeros((*IR_HW, 3), np.uint8)
    one = alignment(MATRICES["shift"], black)
    picture = mixed(one, np.full((*RGB_HW, 3), 200, np.uint8), 0.5)
    np.testing.assert_array_equal(picture[..., 0] == 100, ir_has_data(one))


def test_refused_shows_the_colour_frame_and_says_so() -> None:
    rgb = random_frame(RGB_HW, 2)
    one = alignment(None, random_frame(IR_HW, 1), "refused")
    picture = overlay(one, rgb, 1.0)
    changed = (picture != rgb).any(axis=2)
    band = band_height_px(RGB_HW[0])
    assert band < RGB_HW[0] / 2 and changed[:band].mean() > 0.9, "a band across the top"
    assert not changed[band:].any(), "and nothing of the infrared anywhere"
    assert not ir_has_data(one).any()


@pytest.mark.parametrize("state", ["estimated", "held"])
def test_overlay_is_the_mixed_picture_with_a_badge_in_one_corner_only(state: State) -> None:
    ir, rgb = random_frame(IR_HW, 1), random_frame(RGB_HW, 2)
    one = alignment(MATRICES["stretch"], ir, state)
    changed = (overlay(one, rgb, 0.35) != mixed(one, rgb, 0.35)).any(axis=2)
    assert changed.any()
    assert not changed[30:].any() and not changed[:, :45].any()


@pytest.mark.parametrize("size_hw", [(16, 16), (33, 47), (480, 640), (1080, 1920)])
def test_notices_fit_every_size(size_hw: tuple[int, int]) -> None:
    ir, rgb = random_frame((32, 32), 1), np.full((*size_hw, 3), 60, np.uint8)
    refused = Alignment("refused", None, None, None, size_hw, ir)
    for view in VIEWS:
        picture = render(Style(view), refused, rgb)
        assert picture.shape[0] == size_hw[0]
    share = (overlay(refused, rgb, 0.35) != rgb).any(axis=2).mean()
    assert 0.05 < share < 0.9


def test_inputs_are_left_alone() -> None:
    ir, rgb = random_frame(IR_HW, 1), random_frame(RGB_HW, 2)
    ir_before, rgb_before = ir.copy(), rgb.copy()
    states: list[State] = ["estimated", "held", "refused"]
    for state in states:
        matrix = None if state == "refused" else MATRICES["stretch"]
        render(Style("side-by-side"), alignment(matrix, ir, state), rgb)
    np.testing.assert_array_equal(ir, ir_before)
    np.testing.assert_array_equal(rgb, rgb_before)


def test_raw_overlay_stretches_the_infrared_frame() -> None:
    ir = random_frame(IR_HW, 1, channels=1)
    rgb = random_frame(RGB_HW, 2)
    picture = raw_overlay(ir, rgb, 0.35)
    stretched = cv2.resize(cv2.cvtColor(ir, cv2.COLOR_GRAY2BGR), (90, 60)).astype(np.float64)
    np.testing.assert_allclose(picture, 0.35 * stretched + 0.65 * rgb, atol=0.51)


def test_16_bit_infrared_is_shown() -> None:
    ir = (np.arange(40 * 70, dtype=np.uint16) * 11 + 5000).reshape(IR_HW)
    picture = overlay(Alignment("estimated", None, MATRICES["stretch"], None, RGB_HW, ir), random_frame(RGB_HW, 2), 1.0)
    assert picture[50:58, 5:80].mean() > picture[3:12, 5:80].mean() + 100


def test_side_by_side_keeps_both_pictures_apart_from_the_labels() -> None:
    left, right = np.full((200, 300, 3), 10, np.uint8), np.full((200, 260, 3), 250, np.uint8)
    picture = side_by_side(left, right, ("before", "after"))
    assert picture.shape == (200, 560, 3)
    assert (picture[:150, :300] == 10).all() and (picture[:150, 300:] == 250).all()
    assert (picture[150:, :300] != 10).any() and (picture[150:, 300:] != 250).any()


def test_wrong_arguments_are_refused() -> None:
    ir, rgb = random_frame(IR_HW, 1), random_frame(RGB_HW, 2)
    one = alignment(MATRICES["stretch"], ir)
    for alpha in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="alpha"):
            overlay(one, rgb, alpha)
    with pytest.raises(InputError, match="shape"):
        overlay(one, rgb[:-1], 0.35)
    with pytest.raises(InputError, match="side by side"):
        side_by_side(rgb, rgb[:-1], ("a", "b"))
