"""The views against plain formulas in float64, and what holds for all of them: no infrared where there is none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.gallery import gallery
from vr.runtime.alignment import Alignment
from vr.runtime.badges import band_height_px, label_height_px
from vr.runtime.blend import render
from vr.runtime.device_aligner import DeviceAlignment
from vr.runtime.geometry import Float64Array
from vr.runtime.notices import Notice
from vr.runtime.sim import Simulator
from vr.runtime.style import VIEWS, Style, View
from vr.runtime.thermal import HotSpot
from vr.runtime.thermal.palettes import colour_table
from vr.runtime.views import caption, draw_view, ir_outlines

Uint8Array = NDArray[np.uint8]
RGB_HW, IR_HW = (96, 128), (60, 88)
AFFINE = np.array([[0.71, 0.05, -4.3], [-0.04, 0.66, 3.7]])
TILT = np.array([[0.71, 0.05, -4.3], [-0.04, 0.66, 3.7], [0.0008, -0.0006, 1.0]])
WHOLE_VIEWS: tuple[View, ...] = tuple(view for view in VIEWS if view != "side-by-side")
VIEW = st.sampled_from(WHOLE_VIEWS)


def frames(seed: int, rgb_hw: tuple[int, int] = RGB_HW) -> tuple[Uint8Array, Uint8Array]:
    """Smooth random IR (h, w) of levels 30 to 200, and RGB (H, W, 3) of levels 20 to 235."""
    draw = np.random.default_rng(seed)
    noise = [draw.integers(0, 256, (*IR_HW, 1)), draw.integers(0, 256, (*rgb_hw, 3))]
    ir, rgb = (cv2.GaussianBlur(one.astype(np.uint8), (0, 0), 1.5) for one in noise)
    ir, rgb = (cv2.normalize(one, None, *ends, cv2.NORM_MINMAX) for one, ends in ((ir, (30, 200)), (rgb, (20, 235))))  # type: ignore[call-overload]
    return ir, rgb


def aligned(ir: Uint8Array, matrix: Float64Array = AFFINE, rgb_hw: tuple[int, int] = RGB_HW) -> Alignment:
    return Alignment("estimated", 0.9, matrix, None, rgb_hw, ir)


def moved(ir: Uint8Array, matrix: Float64Array = AFFINE, rgb_hw: tuple[int, int] = RGB_HW) -> Uint8Array:
    warp = cv2.warpAffine if matrix.shape == (2, 3) else cv2.warpPerspective
    return warp(ir, matrix, rgb_hw[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)  # type: ignore[return-value]


def with_data(
    matrix: Float64Array = AFFINE, rgb_hw: tuple[int, int] = RGB_HW, margin: float = 0.0
) -> NDArray[np.bool_]:
    """Where the source point lies at least `margin` px inside the IR frame's pixel centres."""
    ys, xs = np.mgrid[: rgb_hw[0], : rgb_hw[1]]
    x, y, *w = (row[0] * xs + row[1] * ys + row[2] for row in matrix)
    x, y = (one / w[0] if w else one for one in (x, y))
    return (np.minimum(x, IR_HW[1] - 1 - x) >= margin) & (np.minimum(y, IR_HW[0] - 1 - y) >= margin)


def luma(bgr: Uint8Array) -> Float64Array:
    """ITU-R BT.601, as OpenCV has it."""
    return bgr.astype(np.float64) @ (0.114, 0.587, 0.299)


@pytest.mark.parametrize("matrix", [AFFINE, TILT], ids=["affine", "tilt"])
@pytest.mark.parametrize("view", WHOLE_VIEWS)
def test_no_infrared_where_there_is_none(view: View, matrix: Float64Array) -> None:
    """Outside, the RGB frame bit by bit, but for the line of the split."""
    ir, rgb = frames(1)
    picture = draw_view(Style(view, 0.8, "jet", 0.2, 0), aligned(ir, matrix), rgb)
    outside = ~with_data(matrix, margin=-0.01)
    outside[:, round(0.2 * RGB_HW[1]) - 1 : round(0.2 * RGB_HW[1]) + 2] &= view != "split"
    assert 500 < outside.sum() < 0.8 * outside.size
    np.testing.assert_array_equal(picture[outside], rgb[outside])


@settings(max_examples=40, deadline=None)
@given(VIEW, st.floats(0, 1), st.sampled_from(["none", "hot"]), st.floats(0, 1), st.integers(0, 255))
def test_a_refused_pair_shows_no_infrared_in_any_view(
    view: View, alpha: float, palette: str, split: float, ir_above: int
) -> None:
    """Not even a pixel depends on it, and below the band all is the RGB frame but the caption."""
    (ir, rgb), spot = frames(2), HotSpot(40, 30, 36.5)
    style = Style(view, alpha, palette, split, ir_above)
    pictures = [
        render(style, Alignment("refused", 0.1, None, None, RGB_HW, one), rgb, (), spot) for one in (ir, 255 - ir)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    below, above = band_height_px(RGB_HW[0]), RGB_HW[0] - label_height_px(RGB_HW[0])
    np.testing.assert_array_equal(pictures[0][below:above], rgb[below:above])
    assert caption(style, "refused") == "RGB alone"


@settings(max_examples=30, deadline=None)
@given(VIEW, st.floats(0, 1), st.sampled_from(["none", "hot"]), st.floats(0, 1), st.integers(0, 255))
def test_frames_stay_as_they_were(view: View, alpha: float, palette: str, split: float, ir_above: int) -> None:
    ir, rgb = frames(3)
    before = ir.copy(), rgb.copy()
    notices = (Notice("ir lost", 1.0),)
    picture = render(Style(view, alpha, palette, split, ir_above), aligned(ir), rgb, notices, HotSpot(40, 30, 36.5))
    assert picture.shape == rgb.shape and not np.shares_memory(picture, rgb)
    np.testing.assert_array_equal(ir, before[0])
    np.testing.assert_array_equal(rgb, before[1])


@pytest.mark.parametrize("alpha", [0.0, 0.35, 1.0])
def test_rgb_edges_are_detail_of_the_luma_added_to_infrared(alpha: float) -> None:
    ir, rgb = frames(4)
    picture = draw_view(Style("rgb-edges", alpha), aligned(ir), rgb)
    detail = luma(rgb) - cv2.GaussianBlur(luma(rgb), (0, 0), 0.8)
    expected = np.clip(moved(ir) + 6.0 * alpha * detail, 0, 255)
    inside = with_data(margin=0.01)
    apart = np.abs(picture[inside].astype(float) - expected[inside][:, None])
    assert apart.max() <= 0.5 + 6.0 * alpha, "rounded luma and blur, at most one level, times the strength"
    assert alpha == 1.0 or apart.mean() < 1.0


def test_rgb_edges_keep_the_palette() -> None:
    ir, rgb = frames(4)
    picture = draw_view(Style("rgb-edges", 0.0, "jet"), aligned(ir), rgb)
    inside = with_data(margin=0.01)
    np.testing.assert_array_equal(picture[inside], colour_table("jet")[moved(ir)][inside])


@pytest.mark.parametrize("ground", [0, 60, 128, 200, 255])
def test_ir_edges_stand_out_from_dark_and_from_bright(ground: int) -> None:
    """A warm square: yellow on its outline, a black rim beside it, everything else the colour picture."""
    ir = np.full(IR_HW, 80, np.uint8)
    ir[20:40, 30:60] = 180
    rgb = np.full((*RGB_HW, 3), ground, np.uint8)
    picture = draw_view(Style("ir-edges", 0.35), aligned(ir), rgb)
    line, rim = ((picture == bgr).all(axis=2) for bgr in ((60, 235, 255), (0, 0, 0)))
    slope = np.hypot(*(cv2.Sobel(moved(ir), cv2.CV_64F, *order) for order in ((1, 0), (0, 1))))
    edge = (slope > 100) & with_data(margin=6)
    near = cv2.dilate(edge.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert line.sum() > 60 and not (line & ~near).any(), "only at the square"
    assert (cv2.dilate(line.astype(np.uint8), np.ones((5, 5), np.uint8))[edge] > 0).mean() > 0.97, "all around it"
    around = (cv2.dilate(line.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~line
    assert rim[around].all()
    np.testing.assert_array_equal(picture[~(line | around)], rgb[~(line | around)])


def test_more_alpha_means_fainter_outlines_of_infrared_and_none_means_none() -> None:
    ir, rgb = frames(5)
    counts = [np.count_nonzero(ir_outlines(aligned(ir), alpha)) for alpha in (0.0, 0.2, 0.5, 1.0)]
    assert counts[0] == 0 and counts[1] < counts[2] < counts[3]
    np.testing.assert_array_equal(draw_view(Style("ir-edges", 0.0), aligned(ir), rgb), rgb)


def test_the_border_of_the_infrared_frame_is_no_outline() -> None:
    ir = np.full(IR_HW, 255, np.uint8)
    assert not ir_outlines(aligned(ir), 1.0).any()


def test_checkerboard_alternates() -> None:
    """Fields of 12 px in a picture of 96: RGB where the sum of both numbers is even."""
    ir, rgb = frames(6)
    picture = draw_view(Style("checkerboard", 0.3, "hot"), aligned(ir), rgb)
    ys, xs = np.mgrid[: RGB_HW[0], : RGB_HW[1]]
    is_ir, inside = (ys // 12 + xs // 12) % 2 == 1, with_data(margin=0.01)
    np.testing.assert_array_equal(picture[~is_ir], rgb[~is_ir])
    np.testing.assert_array_equal(picture[is_ir & inside], colour_table("hot")[moved(ir)][is_ir & inside])


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.integers(4, 70), st.integers(4, 90))
def test_split_has_colour_left_of_its_line_and_infrared_right_of_it(split: float, h: int, w: int) -> None:
    ir, rgb = frames(7, (h, w))
    picture = draw_view(Style("split", split=split), aligned(ir, rgb_hw=(h, w)), rgb)
    column = round(split * w)
    left, right = slice(0, max(0, column - 1)), slice(column + 2, None)
    np.testing.assert_array_equal(picture[:, left], rgb[:, left])
    inside = with_data(rgb_hw=(h, w), margin=0.01)[:, right]
    moved_bgr = np.dstack([moved(ir, rgb_hw=(h, w))] * 3)[:, right]
    np.testing.assert_array_equal(picture[:, right][inside], moved_bgr[inside])
    if column < w:
        assert (picture[:, column] == 255).all()
    for beside in (column - 1, column + 1):
        assert not 0 <= beside < w or (picture[:, beside] == 0).all()


def test_difference_is_of_contrasts_and_its_zero_is_grey() -> None:
    ir, rgb = frames(8)
    picture = draw_view(Style("difference", 0.9, "hot"), aligned(ir), rgb)
    inside, exact = with_data(), with_data(margin=0.01)
    z = [(one - one[inside].mean()) / one[inside].std() for one in (moved(ir).astype(float), luma(rgb))]
    expected = np.clip(127.5 + 32.0 * (z[0] - z[1]), 0, 255)
    assert np.abs(picture[exact].astype(float) - expected[exact][:, None]).max() < 2.0
    assert abs(float(picture[exact].mean()) - 127.5) < 3.0


def test_difference_of_the_same_picture_is_grey_whatever_its_gain() -> None:
    ir = frames(9)[0]
    half = cv2.convertScaleAbs(moved(ir), alpha=0.5, beta=60)
    picture = draw_view(Style("difference"), aligned(ir), cv2.merge([half] * 3))  # type: ignore[arg-type]
    assert np.abs(picture[with_data(margin=0.01)].astype(float) - 127.5).max() < 2.5


def test_difference_of_pictures_without_contrast_is_grey() -> None:
    ir, rgb = np.full(IR_HW, 200, np.uint8), np.full((*RGB_HW, 3), 20, np.uint8)
    picture = draw_view(Style("difference"), aligned(ir), rgb)
    assert set(np.unique(picture[with_data(margin=0.01)])) <= {127, 128}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 255), st.sampled_from(["none", "hot"]))
def test_threshold_is_exact_at_the_level(level: int, palette: str) -> None:
    """Under the identity every pixel is a pixel of IR; alpha changes nothing."""
    ir = np.arange(256, dtype=np.uint8).repeat(4).reshape(32, 32)
    rgb = np.full((32, 32, 3), (9, 77, 131), np.uint8)
    one = Alignment("held", None, np.eye(3)[:2], None, (32, 32), ir)
    picture = draw_view(Style("threshold", 0.1, palette, ir_above=level), one, rgb)
    table = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1) if palette == "none" else colour_table(palette)
    np.testing.assert_array_equal(picture, np.where((ir >= level)[..., None], table[ir], rgb))


def test_the_picture_in_the_picture_is_infrared_alone_in_the_bottom_right_corner() -> None:
    """Against a shrunk picture by another way of averaging; its rim and its caption cover some of it."""
    scene = Simulator(43, (240, 320), (240, 320))
    (ir, rgb), matrix = scene.frames(30), scene.matrix_rgb_to_ir(30)
    one = Alignment("estimated", None, matrix, None, (240, 320), ir)
    picture = render(Style("picture-in-picture", 0.2, "ironbow"), one, rgb)
    coloured = colour_table("ironbow")[one.moved_8bit]
    whole = np.where(one.warper.has_data[..., None], coloured, rgb).astype(np.float32)
    h, w = round(0.36 * 240), round(0.36 * 320)
    expected = cv2.resize(cv2.blur(whole, (3, 3)), (w, h), interpolation=cv2.INTER_LINEAR)[3:-20, 3:-3]
    inset = picture[-h:, -w:]
    assert np.abs(inset[3:-20, 3:-3].astype(float) - expected).mean() < 6.0
    assert (inset[0] == 255).all() and (inset[:, 0] == 255).all() and (picture[-h - 1, -w:] == 0).all()
    above = slice(label_height_px(240), 240 - h - 2)
    np.testing.assert_array_equal(picture[above], rgb[above])


def test_hot_spot_below_the_inset_is_shown_in_the_inset_alone() -> None:
    """A cross on the inset at the spot's place in the colour picture would point to another place."""
    ir, rgb = np.full((200, 300), 90, np.uint8), np.full((200, 300, 3), 120, np.uint8)
    one = Alignment("estimated", None, np.eye(3)[:2], None, (200, 300), ir)
    style, spot = Style("picture-in-picture"), HotSpot(280, 185, 36.5)
    changed = (render(style, one, rgb, (), spot) != render(style, one, rgb)).any(axis=2)
    corner = 300 - 108, 200 - 72
    rows, columns = np.nonzero(changed)
    assert len(rows) > 20 and columns.min() >= corner[0] and rows.min() >= corner[1]
    x, y = (round(first + (at + 0.5) * 0.36 - 0.5) for first, at in zip(corner, (280, 185), strict=True))
    assert (render(style, one, rgb, (), spot)[y, x] == 255).all()


@pytest.mark.parametrize("view", VIEWS)
def test_what_the_device_has_drawn_is_for_the_overlay_at_its_alpha_alone(view: View) -> None:
    """A picture that says who has drawn it: nothing of it in another view, at another alpha, or in a palette."""
    ir, rgb = frames(10)
    device = DeviceAlignment(
        "estimated", 0.9, AFFINE, None, RGB_HW, ir, picture=np.full((*RGB_HW, 3), (7, 201, 3), np.uint8), alpha=0.4
    )
    for style in (Style(view, 0.4), Style(view, 0.5), Style(view, 0.4, "hot")):
        picture = draw_view(style, device, rgb)
        if style == Style(view, 0.4) and view in ("overlay", "side-by-side"):
            assert (picture == (7, 201, 3)).all()
            assert device.picture is not None and not np.shares_memory(picture, device.picture)
        else:
            np.testing.assert_array_equal(picture, draw_view(style, aligned(ir), rgb))


def test_every_view_has_its_own_caption_and_it_is_drawn() -> None:
    ir, rgb = frames(11, (240, 320))
    one = aligned(ir, rgb_hw=(240, 320))
    captions: dict[View, str] = {view: caption(Style(view), "estimated") for view in VIEWS}
    assert len(set(captions.values())) == len(VIEWS)
    for view in WHOLE_VIEWS:
        assert "RGB" in captions[view] and "IR" in captions[view]
        corner = render(Style(view), one, rgb)[-label_height_px(240) :, :40]
        assert (corner == 255).all(axis=2).sum() > 60 and (corner == 0).all(axis=2).sum() > 60
    assert "level 201" in caption(Style("threshold", ir_above=201), "held")


def test_the_gallery_in_the_docs_is_what_is_drawn() -> None:
    """Rounding of other processors aside."""
    stored = cv2.imread(str(Path(__file__).parents[1] / "docs" / "views.png"))
    drawn = gallery()
    assert stored is not None and stored.shape == drawn.shape
    assert (np.abs(stored.astype(int) - drawn) > 8).mean() < 0.01, "run: python -m benchmarks.gallery"
