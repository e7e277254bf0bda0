"""What the views of `vr.runtime.style` show of an alignment, before badge, notices and hottest spot are drawn on.

In all of them a pixel where the IR frame has no data is the RGB frame's alone, and so is the whole picture of a
refused alignment. `moved` is the IR frame on the RGB grid (`Alignment.moved_8bit`), `Y` the luma of the RGB frame, `ir`
the luma of `moved`, both 0 to 255.
"""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.badges import draw_caption
from vr.runtime.geometry import SizeHw
from vr.runtime.mixing import check_size, ir_has_data, mixed, shown, stretch, with_rgb_outside
from vr.runtime.preprocess import to_gray
from vr.runtime.style import Style, View

Uint8Array = NDArray[np.uint8]

FIELDS_PER_HEIGHT = 8
"""Fields of the checkerboard from top to bottom."""
INSET_OF_SIDE = 0.36
"""Each side of the picture in the picture, of the whole one's."""
OUTLINE_BGR = (60, 235, 255)
"""Yellow: it stands out from most scenes by hue and by brightness, on its dark rim also from bright ones."""
DETAIL_GAIN = 6.0
"""Strength of the colour picture's outlines at alpha 1."""
OUTLINE_SLOPE = 60.0
"""What Sobel's filter must give for an outline of infrared at alpha 1; 8 is a slope of one level per pixel."""
LEVELS_PER_STD = 32.0
"""Of the view `difference`, whose range is so four standard deviations to either side."""


def draw_view(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """The picture of a view, a new (H, W, 3) uint8 BGR; of `side-by-side` its right half, of `picture-in-picture` all
    but the inset (`draw_inset`).

    rgb_bgr: (H, W, 3) uint8 of the size that was aligned. Raises InputError.
    """
    check_size(alignment, rgb_bgr)
    if alignment.state == "refused":
        return rgb_bgr.copy()
    return _DRAW.get(style.view, _overlay)(style, alignment, rgb_bgr)


def caption(style: Style, state: State) -> str:
    """Which part of the picture comes from which camera."""
    if state == "refused":
        return "RGB alone"
    if style.view == "threshold":
        return f"IR from level {style.ir_above} up | RGB elsewhere"
    return _CAPTIONS[style.view]


_CAPTIONS: dict[View, str] = {
    "overlay": "IR over RGB",
    "rgb-edges": "IR | outlines RGB",
    "ir-edges": "RGB | outlines IR",
    "checkerboard": "RGB and IR in fields, top left RGB",
    "split": "left RGB | right IR",
    "side-by-side": "aligned",
    "difference": "IR minus RGB: grey same, white IR brighter",
    "picture-in-picture": "RGB | IR in the corner",
}


def _overlay(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    return mixed(alignment, rgb_bgr, style.alpha, style.palette)


def _rgb_edges(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """`moved + DETAIL_GAIN * alpha * (Y - blurred Y)`: alpha is the strength of the outlines, 0 none.

    Fine detail of a visible picture added to infrared, as FLIR's multi-spectral imaging does (US patent 8,520,970).
    """
    luma, strength = to_gray(rgb_bgr), DETAIL_GAIN * style.alpha
    soft = cv2.GaussianBlur(luma, (0, 0), detail_sigma_px(luma.shape[0]))
    detail = cv2.addWeighted(luma, strength, soft, -strength, 0.0, dtype=cv2.CV_16S)
    picture = cv2.add(_moved(alignment, style.palette), cv2.merge([detail] * 3), dtype=cv2.CV_8U)
    return with_rgb_outside(alignment, rgb_bgr, picture)  # type: ignore[arg-type]


def detail_sigma_px(height_px: int) -> float:
    """Width of the blur that detail is what is left of."""
    return max(0.8, height_px / 200.0)


def _ir_edges(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """Outlines of infrared in one bright colour with a dark rim, on the RGB frame; the palette is not used.

    alpha says how faint an edge may be to get one, see `ir_outlines`; 0 none.
    """
    outlines = ir_outlines(alignment, style.alpha)
    thick = max(1, round(rgb_bgr.shape[0] / 200.0))
    line = cv2.dilate(outlines, np.ones((thick, thick), np.uint8))
    picture = rgb_bgr.copy()
    for bgr, where in (((0, 0, 0), cv2.dilate(line, np.ones((3, 3), np.uint8))), (OUTLINE_BGR, line)):
        cv2.copyTo(_plain(alignment.rgb_hw, bgr), where, picture)
    return picture


@lru_cache(maxsize=4)
def _plain(size_hw: SizeHw, bgr: tuple[int, int, int]) -> Uint8Array:
    """(H, W, 3) of one colour."""
    return np.full((*size_hw, 3), bgr, np.uint8)


def ir_outlines(alignment: Alignment, alpha: float) -> Uint8Array:
    """(H, W): 255 on lines of one pixel along the edges of `ir`, 0 elsewhere, and near the border of the IR frame,
    which is no edge of the scene.

    Canny's (IEEE TPAMI 8, 1986) of a little blurred IR; an edge begins where Sobel's filter gives more than
    OUTLINE_SLOPE / alpha, and goes on down to half of it.
    """
    ir = to_gray(_moved_8bit(alignment))
    if alpha <= 0.0:
        return np.zeros_like(ir)
    sigma = max(1.0, ir.shape[0] / 320.0)
    slopes = cv2.spatialGradient(cv2.GaussianBlur(ir, (0, 0), sigma))
    edges = cv2.Canny(*slopes, 0.5 * OUTLINE_SLOPE / alpha, OUTLINE_SLOPE / alpha)
    reach = 2 * (int(np.ceil(3 * sigma)) + 3) + 1
    inside = cv2.erode(ir_has_data(alignment).view(np.uint8), np.ones((reach, reach), np.uint8))
    return cv2.copyTo(edges, inside)  # type: ignore[return-value]


def _checkerboard(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """Square fields, FIELDS_PER_HEIGHT in a column, RGB in the top left one; alpha is not used."""
    return _ir_where(style, alignment, rgb_bgr, _fields(alignment.rgb_hw))


@lru_cache(maxsize=4)
def _fields(size_hw: SizeHw) -> Uint8Array:
    """(H, W): 1 in every second field."""
    side = max(1, round(size_hw[0] / FIELDS_PER_HEIGHT))
    rows, columns = (np.arange(length) // side for length in size_hw)
    return ((rows[:, None] + columns) % 2).astype(np.uint8)


def _split(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """RGB left of column `split_column`, infrared from there on; the line lies around it; alpha is not used."""
    h, w = alignment.rgb_hw
    column = split_column(style.split, w)
    right = np.zeros((h, w), np.uint8)
    right[:, column:] = 1
    picture = _ir_where(style, alignment, rgb_bgr, right)
    for bgr, half_px in (((0, 0, 0), 1), ((255, 255, 255), 0)):
        picture[:, max(0, column - half_px) : column + half_px + 1] = bgr
    return picture


def split_column(split: float, width_px: int) -> int:
    """The first column of infrared, 0 to width."""
    return round(split * width_px)


def _difference(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """`127.5 + LEVELS_PER_STD * (z(ir) - z(Y))`, grey: 0 is mid grey, brighter where infrared is the brighter one.

    z: less its mean, over its standard deviation (at least 1 level), both where the IR frame has data, so that neither
    camera's brightness nor contrast counts. Alpha and palette are not used.
    """
    del style
    ir, luma = to_gray(_moved_8bit(alignment)), to_gray(rgb_bgr)
    (ir_mean, ir_gain), (luma_mean, luma_gain) = (_spread(one, ir_has_data(alignment)) for one in (ir, luma))
    zero = 127.5 - ir_gain * ir_mean + luma_gain * luma_mean
    difference = cv2.addWeighted(ir, ir_gain, luma, -luma_gain, zero)
    return with_rgb_outside(alignment, rgb_bgr, cv2.cvtColor(difference, cv2.COLOR_GRAY2BGR))  # type: ignore[arg-type]


def _spread(gray: Uint8Array, where: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean, and by what to multiply so that a standard deviation becomes LEVELS_PER_STD."""
    mean, std = cv2.meanStdDev(gray, mask=where.view(np.uint8))
    return float(mean[0, 0]), LEVELS_PER_STD / max(1.0, float(std[0, 0]))


def _threshold(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """Infrared alone where `ir >= ir_above`, the RGB frame elsewhere; alpha is not used."""
    ir = to_gray(_moved_8bit(alignment))
    return _ir_where(style, alignment, rgb_bgr, cv2.compare(ir, float(style.ir_above), cv2.CMP_GE))  # type: ignore[arg-type]


def _rgb_alone(style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    del style, alignment
    return rgb_bgr.copy()


def draw_inset(picture: Uint8Array, style: Style, alignment: Alignment, rgb_bgr: Uint8Array) -> Uint8Array:
    """Draws infrared alone, the whole view small, into the bottom right corner, with a rim; returns that part.

    Where the IR frame has no data it shows the RGB frame. Alpha is not used.
    """
    whole = _ir_where(style, alignment, rgb_bgr, np.ones(alignment.rgb_hw, np.uint8))
    left, top = inset_corner_xy(alignment.rgb_hw)
    inset = picture[top:, left:]
    inset[:] = stretch(whole, inset.shape[:2])
    draw_caption(inset, "IR")
    return inset


def draw_inset_rim(picture: Uint8Array) -> None:
    """White with black on both sides."""
    h, w = picture.shape[:2]
    left, top = inset_corner_xy((h, w))
    for bgr, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.rectangle(picture, (left, top), (w - 1, h - 1), bgr, thickness)


def inset_corner_xy(size_hw: SizeHw) -> tuple[int, int]:
    """Where the picture in the picture begins, x and y px; it ends in the bottom right corner."""
    h, w = size_hw
    return w - max(1, round(INSET_OF_SIDE * w)), h - max(1, round(INSET_OF_SIDE * h))


def _ir_where(style: Style, alignment: Alignment, rgb_bgr: Uint8Array, where: Uint8Array) -> Uint8Array:
    """Infrared where `where`, (H, W), is not 0 and the IR frame has data, the RGB frame elsewhere."""
    inside = cv2.copyTo(where, ir_has_data(alignment).view(np.uint8))
    picture = rgb_bgr.copy()
    cv2.copyTo(_moved(alignment, style.palette), inside, picture)
    return picture


def _moved(alignment: Alignment, palette: str) -> Uint8Array:
    return shown(_moved_8bit(alignment), palette)


def _moved_8bit(alignment: Alignment) -> Uint8Array:
    moved = alignment.moved_8bit
    assert moved is not None, "only a refused alignment has no transform"
    return moved


_DRAW: dict[View, Callable[[Style, Alignment, Uint8Array], Uint8Array]] = {
    "overlay": _overlay,
    "side-by-side": _overlay,
    "rgb-edges": _rgb_edges,
    "ir-edges": _ir_edges,
    "checkerboard": _checkerboard,
    "split": _split,
    "difference": _difference,
    "picture-in-picture": _rgb_alone,
    "threshold": _threshold,
}
