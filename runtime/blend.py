"""Pictures of an alignment: the overlay, the same without alignment for comparison, and what there is of a pair."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.badges import NOT_ALIGNED, draw_badge, draw_band, draw_caption, draw_hot_spot, draw_notices
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw, apply_matrix, to_3x3
from vr.runtime.mixing import check_alpha, mix, mixed, shown, stretch
from vr.runtime.notices import Notice
from vr.runtime.preprocess import Frame
from vr.runtime.style import Style
from vr.runtime.thermal.hot_spot import HotSpot
from vr.runtime.views import caption, draw_inset, draw_inset_rim, draw_view, inset_corner_xy

Uint8Array = NDArray[np.uint8]

_RAW_LABEL = "without alignment"
_NOTHING, _NOTHING_HW = 40, (480, 640)
"""Grey level, and size where nothing tells it, of a picture without any frame."""
_MAP_STEP = 4
_NEAR_PX = 1.5
"""A source point of a flow so far from the hot spot, in IR pixels, still is its place."""


def overlay(alignment: Alignment, rgb_bgr: Uint8Array, alpha: float, palette: str = "none") -> Uint8Array:
    """`mixed`, with the badge of its state. A refused alignment gives the RGB frame under a band that says so.

    rgb_bgr: (H, W, 3) uint8 of the size that was aligned. alpha: 0 (RGB alone) to 1 (IR alone). palette: one of
    `vr.runtime.thermal.palettes.DISPLAY`, for the IR part. Returns (H, W, 3) uint8 BGR. Raises InputError.
    """
    return _badged(mixed(alignment, rgb_bgr, alpha, palette), alignment.state)


def _badged(picture: Uint8Array, state: State) -> Uint8Array:
    if state == "refused":
        draw_band(picture)
    else:
        draw_badge(picture, state)
    return picture


def raw_overlay(ir: Frame, rgb_bgr: Uint8Array, alpha: float, palette: str = "none") -> Uint8Array:
    """The IR frame stretched to the RGB frame's size and blended without alignment, (H, W, 3) uint8 BGR."""
    check_alpha(alpha)
    return mix(stretch(shown(ir, palette), (rgb_bgr.shape[0], rgb_bgr.shape[1])), rgb_bgr, alpha)


def side_by_side(left: Uint8Array, right: Uint8Array, labels: tuple[str, str]) -> Uint8Array:
    """Two pictures of the same height, (H, W1 + W2, 3) uint8, each with its label in the bottom left
    corner.
    """
    if left.shape[0] != right.shape[0]:
        raise InputError(f"pictures of {left.shape[0]} and {right.shape[0]} px height do not fit side by side")
    pictures = [left.copy(), right.copy()]
    for picture, label in zip(pictures, labels, strict=True):
        draw_caption(picture, label)
    return np.hstack(pictures)


def render(
    style: Style,
    alignment: Alignment,
    rgb_bgr: Uint8Array,
    notices: Sequence[Notice] = (),
    hot_spot: HotSpot | None = None,
) -> Uint8Array:
    """The picture that is shown and recorded, by the view of `style` (`vr.runtime.views`), (H, W, 3) uint8 BGR; of
    `side-by-side` (H, 2 W, 3), with the overlay without alignment on the left.

    hot_spot: of the IR frame; drawn where it lies in the RGB frame, not if refused.
    """
    aligned = draw_view(style, alignment, rgb_bgr)
    xy = None if hot_spot is None else spot_in_rgb(alignment, hot_spot)
    if hot_spot is not None and xy is not None:
        draw_hot_spot(aligned, hot_spot, xy)
    if style.view == "picture-in-picture" and alignment.state != "refused":
        _draw_inset(aligned, style, alignment, rgb_bgr, hot_spot, xy)
    draw_notices(_badged(aligned, alignment.state), notices)
    if style.view != "side-by-side":
        left_of_inset = inset_corner_xy(alignment.rgb_hw)[0] if style.view == "picture-in-picture" else None
        draw_caption(aligned[:, :left_of_inset], caption(style, alignment.state))
        return aligned
    label = caption(style, alignment.state) if alignment.state != "refused" else NOT_ALIGNED.lower()
    return side_by_side(raw_overlay(alignment.ir, rgb_bgr, style.alpha, style.palette), aligned, (_RAW_LABEL, label))


def _draw_inset(
    picture: Uint8Array,
    style: Style,
    alignment: Alignment,
    rgb_bgr: Uint8Array,
    hot_spot: HotSpot | None,
    xy: tuple[float, float] | None,
) -> None:
    """After the hottest spot, which may lie below it and would then point to a wrong place of it; it has its own."""
    inset = draw_inset(picture, style, alignment, rgb_bgr)
    if hot_spot is not None and xy is not None:
        to_inset = inset.shape[1] / picture.shape[1], inset.shape[0] / picture.shape[0]
        x, y = ((place + 0.5) * share - 0.5 for place, share in zip(xy, to_inset, strict=True))
        draw_hot_spot(inset, hot_spot, (x, y))
    draw_inset_rim(picture)


def spot_in_rgb(alignment: Alignment, spot: HotSpot) -> tuple[float, float] | None:
    """Where a pixel of the IR frame lies in the RGB frame, (x, y) px; None if refused or outside.

    Of a flow: the RGB pixel of every fourth row and column with the nearest source point.
    """
    h, w = alignment.rgb_hw
    if alignment.matrix_rgb_to_ir is not None:
        x, y = apply_matrix(np.linalg.inv(to_3x3(alignment.matrix_rgb_to_ir)), np.array([[spot.x_ir, spot.y_ir]]))[0]
        inside = -0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5
        return (float(x), float(y)) if inside else None
    if alignment.flow is None:
        return None
    points = alignment.source_map_xy()[::_MAP_STEP, ::_MAP_STEP]
    distance = np.hypot(points[..., 0] - spot.x_ir, points[..., 1] - spot.y_ir)
    row, column = np.unravel_index(int(distance.argmin()), distance.shape)
    ir_px_per_step = _MAP_STEP * max(alignment.ir.shape[0] / h, alignment.ir.shape[1] / w)
    if float(distance[row, column]) > _NEAR_PX + ir_px_per_step:
        return None
    return float(column * _MAP_STEP), float(row * _MAP_STEP)


def lone_picture(
    rgb_bgr: Uint8Array | None,
    ir: Frame | None,
    size_hw: SizeHw | None,
    notices: Sequence[Notice] = (),
    palette: str = "none",
    hot_spot: HotSpot | None = None,
) -> Uint8Array:
    """The picture while a camera gives nothing, (H, W, 3) uint8 of `size_hw`: the other's frame alone, on black with
    its own aspect, under the band that says NOT ALIGNED; dark grey if both are missing.

    RGB is shown where both are given. size_hw: None takes the frame's own. hot_spot: of `ir`.
    """
    there = rgb_bgr if rgb_bgr is not None else ir
    size_hw = size_hw or (_NOTHING_HW if there is None else (there.shape[0], there.shape[1]))
    if rgb_bgr is not None:
        picture, _, _ = _fitted(rgb_bgr, size_hw)
    elif ir is not None:
        picture, scale, corner_xy = _fitted(shown(ir, palette), size_hw)
        if hot_spot is not None:
            x, y = (place + 0.5 for place in (hot_spot.x_ir, hot_spot.y_ir))
            draw_hot_spot(picture, hot_spot, (corner_xy[0] + scale * x - 0.5, corner_xy[1] + scale * y - 0.5))
    else:
        picture = np.full((*size_hw, 3), _NOTHING, np.uint8)
    draw_band(picture)
    draw_notices(picture, notices)
    return picture


def _fitted(bgr: Uint8Array, size_hw: SizeHw) -> tuple[Uint8Array, float, tuple[int, int]]:
    """As large as fits into the middle of black, by what factor it grew, and where its top left corner is, (x, y)."""
    scale = min(size_hw[0] / bgr.shape[0], size_hw[1] / bgr.shape[1])
    inner_hw = max(1, round(scale * bgr.shape[0])), max(1, round(scale * bgr.shape[1]))
    top, left = ((whole - part) // 2 for whole, part in zip(size_hw, inner_hw, strict=True))
    picture = np.zeros((*size_hw, 3), np.uint8)
    picture[top : top + inner_hw[0], left : left + inner_hw[1]] = stretch(bgr, inner_hw)
    return picture, scale, (left, top)
