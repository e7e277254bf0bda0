"""What is drawn onto the picture: badges, the band, notices, a lone camera's frame, palettes, the hottest spot."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.thermal_scenes import scene
from vr.runtime.alignment import Alignment, State
from vr.runtime.badges import band_height_px, draw_badge, draw_band, draw_hot_spot, draw_notices, label_height_px
from vr.runtime.blend import lone_picture, raw_overlay, render, spot_in_rgb
from vr.runtime.geometry import apply_matrix
from vr.runtime.mixing import mixed
from vr.runtime.notices import Notice
from vr.runtime.report import STATES
from vr.runtime.style import VIEWS, Style
from vr.runtime.thermal import HotSpot

Uint8Array = NDArray[np.uint8]
SIZES = [(16, 16), (33, 47), (240, 320), (480, 640), (1080, 1920)]
NOTICES = (Notice("ir lost", 12.0), Notice("recording off", 40.0), Notice("ir frozen", 3.0))
AFFINE = np.array([[0.5, 0.06, 8.0], [-0.04, 0.52, 5.0]])
TILT = np.array([[0.5, 0.06, 8.0], [-0.04, 0.52, 5.0], [0.0003, -0.0002, 1.0]])


def plain(size_hw: tuple[int, int], level: int = 120) -> Uint8Array:
    return np.full((*size_hw, 3), level, np.uint8)


def badge(size_hw: tuple[int, int], state: State, level: int = 120) -> Uint8Array:
    """The changed part of a picture with a badge of `state`, everything else black."""
    picture = plain(size_hw, level)
    draw_badge(picture, state)
    return np.where((picture != level).any(axis=2)[..., None], picture, 0)


@pytest.mark.parametrize("size_hw", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_badge_is_always_there_in_its_corner_and_grows_with_the_picture(size_hw: tuple[int, int], state: State) -> None:
    for level in (0, 255):
        picture = plain(size_hw, level)
        draw_badge(picture, state)
        rows, columns = np.nonzero((picture != level).any(axis=2))
        height = label_height_px(size_hw[0])
        assert rows.max() < height <= max(16, 0.051 * size_hw[0]) and columns.min() >= size_hw[1] // 2
        assert len(rows) > 0.2 * height**2


@pytest.mark.parametrize("size_hw", SIZES)
def test_badges_differ_by_shape_without_colour(size_hw: tuple[int, int]) -> None:
    side = label_height_px(size_hw[0])
    signs: list[NDArray[np.bool_]] = []
    for state in STATES:
        whole = badge(size_hw, state).max(axis=2)
        left = np.nonzero(whole.any(axis=0))[0][0]
        signs.append(whole[1 : side - 1, left + 1 : left + side - 1] > 128)
    for one, other in combinations(signs, 2):
        assert (one != other).mean() > 0.04


def test_badges_say_a_word_where_there_is_room() -> None:
    widths = {state: np.count_nonzero(badge((480, 640), state).any(axis=(0, 2))) for state in STATES}
    assert widths["estimated"] > widths["refused"] > widths["held"] > 2 * label_height_px(480)
    tall = np.count_nonzero(badge((480, 60), "estimated").any(axis=(0, 2)))
    assert tall <= 30, "the sign alone"


@pytest.mark.parametrize("level", [0, 60, 120, 200, 255])
def test_badges_are_legible_on_any_ground(level: int) -> None:
    """A white rim around black: one of them stands out."""
    picture = plain((480, 640), level)
    draw_badge(picture, "estimated")
    patch = picture[: label_height_px(480), -60:].astype(int)
    assert patch.min() < 20 and patch.max() > 235
    edge = picture[label_height_px(480) // 2, :, 0].astype(int)
    assert max(abs(edge - level)) >= 120


@pytest.mark.parametrize("size_hw", SIZES)
def test_band_goes_across_and_carries_the_badge(size_hw: tuple[int, int]) -> None:
    picture = plain(size_hw)
    draw_band(picture)
    changed, band = (picture != 120).any(axis=2), band_height_px(size_hw[0])
    assert changed[:band].mean() > 0.95 and not changed[band:].any()
    red = (picture[:band] == (40, 40, 200)).all(axis=2)
    assert 0.2 < red.mean() < 0.97, "red, and something written on it"


@pytest.mark.parametrize("size_hw", SIZES)
def test_notices_stand_below_the_band_as_many_as_fit(size_hw: tuple[int, int]) -> None:
    picture = plain(size_hw)
    draw_notices(picture, NOTICES)
    rows = np.nonzero((picture != 120).any(axis=(1, 2)))[0]
    height, top = label_height_px(size_hw[0]), band_height_px(size_hw[0])
    lines = min(3, (size_hw[0] - top) // height)
    assert len(rows) == lines * height
    assert lines == 0 or (rows[0] == top and rows[-1] == top + lines * height - 1)


def test_every_notice_is_another_picture_and_none_is_none() -> None:
    pictures: list[Uint8Array] = []
    for notice in (*NOTICES, Notice("ir lost", 13.0)):
        picture = plain((240, 320))
        draw_notices(picture, [notice])
        pictures.append(picture)
    assert all((one != other).any() for one, other in combinations(pictures, 2))
    untouched = plain((240, 320))
    draw_notices(untouched, [])
    assert (untouched == 120).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(16, 90), st.integers(16, 400), st.sampled_from(STATES), st.text("AW g1", max_size=60))
def test_nothing_crashes_in_any_size(h: int, w: int, state: State, text: str) -> None:
    rgb, ir = plain((h, w)), plain((20, 24))[..., 0]
    matrix = None if state == "refused" else AFFINE
    one = Alignment(state, None, matrix, None, (h, w), ir)
    spot, notices = HotSpot(12, 10, 36.5), (Notice(text, 1.0), *NOTICES)
    for view in VIEWS:
        pictures = 2 if view == "side-by-side" else 1
        assert render(Style(view, 0.5, "jet"), one, rgb, notices, spot).shape == (h, pictures * w, 3)
    for lone in ((rgb, None), (None, ir), (None, None)):
        assert lone_picture(*lone, (h, w), notices, "jet", spot).shape == (h, w, 3)
    assert (rgb == 120).all() and (ir == 120).all()


def test_lone_colour_frame_is_shown_as_it_is_below_the_band() -> None:
    rgb = scene()[1]
    picture = lone_picture(rgb, None, (240, 320))
    band = band_height_px(240)
    np.testing.assert_array_equal(picture[band:], rgb[band:])
    expected = picture.copy()
    draw_band(expected)
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize(("size_hw", "inner_hw"), [((240, 480), (240, 320)), ((480, 320), (240, 320))])
def test_lone_infrared_keeps_its_aspect_on_black(size_hw: tuple[int, int], inner_hw: tuple[int, int]) -> None:
    """Half as large as it is shown; a palette is shown as on the overlay."""
    ir = np.maximum(cv2.resize(scene()[0], (160, 120)), 30)
    top, left = (size_hw[0] - inner_hw[0]) // 2, (size_hw[1] - inner_hw[1]) // 2
    picture = lone_picture(None, ir, size_hw)  # type: ignore[arg-type]
    inside = np.zeros(size_hw, np.bool_)
    inside[top : top + inner_hw[0], left : left + inner_hw[1]] = True
    inside[: band_height_px(size_hw[0])] = True
    assert (picture[~inside] == 0).all()
    below = max(top, band_height_px(size_hw[0]))
    expected = cv2.resize(ir, inner_hw[::-1])[below - top :].astype(int)
    shown = picture[below : top + inner_hw[0], left : left + inner_hw[1], 1].astype(int)
    assert np.abs(shown - expected).max() <= 1
    hot = lone_picture(None, ir, size_hw, palette="hot")  # type: ignore[arg-type]
    coloured = cv2.resize(cv2.applyColorMap(ir, cv2.COLORMAP_HOT), inner_hw[::-1])[below - top :].astype(int)
    assert np.abs(hot[below : top + inner_hw[0], left : left + inner_hw[1]] - coloured).max() <= 1


def test_nothing_at_all_is_dark_grey_with_what_is_wrong() -> None:
    picture = lone_picture(None, None, (240, 320), NOTICES)
    assert (picture[-60:] == 40).all() and (picture[:60] != 40).any()


@pytest.mark.parametrize("matrix", [AFFINE, TILT])
def test_palette_colours_the_infrared_part_alone(matrix: NDArray[np.float64]) -> None:
    ir, rgb = scene(2, (140, 180))[0], scene(3)[1]
    one = Alignment("estimated", None, matrix, None, (240, 320), ir)
    picture = mixed(one, rgb, 1.0, "inferno")
    moved = one.moved_8bit
    assert moved is not None
    seen = one.warper.has_data
    np.testing.assert_array_equal(picture[seen], cv2.applyColorMap(moved, cv2.COLORMAP_INFERNO)[seen])
    np.testing.assert_array_equal(picture[~seen], rgb[~seen])
    stretched = cv2.resize(cv2.applyColorMap(ir, cv2.COLORMAP_INFERNO), (320, 240))
    np.testing.assert_array_equal(raw_overlay(ir, rgb, 1.0, "inferno"), stretched)


def test_palette_none_is_the_picture_without_one_and_colours_of_a_camera_give_way_to_one() -> None:
    gray, rgb = scene(2)[0], scene(3)[1]
    identity = np.eye(3)[:2]
    one = Alignment("estimated", None, identity, None, (240, 320), gray)
    np.testing.assert_array_equal(mixed(one, rgb, 0.4, "none"), mixed(one, rgb, 0.4))
    np.testing.assert_array_equal(mixed(one, rgb, 1.0, "black-hot")[..., 0], 255 - gray)
    coloured = Alignment("estimated", None, identity, None, (240, 320), cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))  # type: ignore[arg-type]
    np.testing.assert_array_equal(mixed(coloured, rgb, 1.0, "jet"), cv2.applyColorMap(gray, cv2.COLORMAP_JET))


@pytest.mark.parametrize("matrix", [AFFINE, TILT])
def test_hot_spot_is_drawn_where_it_lies_in_the_colour_frame(matrix: NDArray[np.float64]) -> None:
    ir, rgb = plain((140, 180))[..., 0], plain((240, 320))
    one = Alignment("held", None, matrix, None, (240, 320), ir)
    spot = HotSpot(90, 70, 36.5)
    xy = spot_in_rgb(one, spot)
    assert xy is not None
    np.testing.assert_allclose(apply_matrix(matrix, np.array([xy]))[0], (90, 70), atol=1e-6)
    picture = render(Style(alpha=0.0), one, rgb, hot_spot=spot)
    changed = (picture != render(Style(alpha=0.0), one, rgb)).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (picture[round(xy[1]), round(xy[0])] == 255).all()
    assert rows.min() >= xy[1] - 12 and rows.max() <= xy[1] + 30 and abs(columns.mean() - xy[0]) < 40


def test_hot_spot_is_left_out_where_refused_or_outside() -> None:
    ir, rgb = plain((140, 180))[..., 0], plain((240, 320))
    spot = HotSpot(90, 70, 36.5)
    refused = Alignment("refused", None, None, None, (240, 320), ir)
    np.testing.assert_array_equal(
        render(Style(alpha=0.5), refused, rgb, hot_spot=spot), render(Style(alpha=0.5), refused, rgb)
    )
    away = Alignment("estimated", None, AFFINE + np.array([[0, 0, 500], [0, 0, 0]]), None, (240, 320), ir)
    assert spot_in_rgb(away, spot) is None


def test_hot_spot_of_a_flow_is_at_the_nearest_source_point() -> None:
    flow = np.zeros((2, 60, 80), np.float32)
    flow[0], flow[1] = 5.0, -3.0
    ir = plain((120, 160))[..., 0]
    one = Alignment("estimated", None, None, flow, (240, 320), ir)
    xy = spot_in_rgb(one, HotSpot(80, 60, 36.5))
    assert xy is not None
    # Flow of 5, -3 cells of 2x2 IR pixels; an RGB pixel is half an IR pixel.
    np.testing.assert_allclose(xy, (2 * (80 - 10), 2 * (60 + 6)), atol=3.0)
    assert spot_in_rgb(one, HotSpot(1, 118, 36.5)) is None


@pytest.mark.parametrize("xy", [(0.0, 0.0), (319.0, 239.0), (319.0, 0.0), (0.0, 239.0), (160.0, 120.0)])
def test_hot_spot_s_label_stays_in_the_picture(xy: tuple[float, float]) -> None:
    picture, wide = plain((240, 320)), plain((440, 520))
    draw_hot_spot(picture, HotSpot(0, 0, 36.5), xy)
    draw_hot_spot(wide, HotSpot(0, 0, 36.5), (xy[0] + 100, xy[1] + 100))
    white = [(one == 255).all(axis=2).sum() for one in (picture, wide)]
    assert white[0] > 0.6 * white[1]
