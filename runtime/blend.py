"""Pictures of an alignment: the overlay, and the same without alignment for comparison."""

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.notices import Notice
from vr.runtime.preprocess import Frame, to_bgr

Uint8Array = NDArray[np.uint8]
View = Literal["overlay", "side-by-side"]
VIEWS: tuple[View, ...] = ("overlay", "side-by-side")

_REFUSED_TEXT = "NOT ALIGNED"
_HELD_TEXT = "HELD"
_RAW_LABEL, _ALIGNED_LABEL = "without alignment", "aligned"
_BLACK, _WHITE, _RED, _AMBER = (0, 0, 0), (255, 255, 255), (40, 40, 200), (0, 150, 230)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT_HEIGHT_OF_FRAME = 0.045
_FONT_HEIGHT_PX = 22.0


def overlay(alignment: Alignment, rgb_bgr: Uint8Array, alpha: float) -> Uint8Array:
    """`alpha * moved + (1 - alpha) * rgb`, rounded to the nearest, (H, W, 3) uint8 BGR.

    Only where the IR frame has data: where the source point lies among its pixel centres, so that no pixel
    is mixed with the black outside. Elsewhere the RGB frame alone. A refused alignment gives the RGB frame
    under a band that says so; a held one carries a small badge.

    rgb_bgr: (H, W, 3) uint8 of the size that was aligned. alpha: 0 (RGB alone) to 1 (IR alone). Raises
    InputError.
    """
    _check_alpha(alpha)
    if rgb_bgr.shape != (*alignment.rgb_hw, 3):
        raise InputError(f"RGB frame has shape {rgb_bgr.shape}; this alignment is for {(*alignment.rgb_hw, 3)}")
    if alignment.state == "refused":
        return draw_band(rgb_bgr, _REFUSED_TEXT)
    picture = alignment.blended(alpha)
    if picture is None:
        picture = _blend(alignment, rgb_bgr, alpha)
    if alignment.state == "held":
        draw_label(picture, _HELD_TEXT, "top right", _AMBER)
    return picture


def _blend(alignment: Alignment, rgb_bgr: Uint8Array, alpha: float) -> Uint8Array:
    assert alignment.moved_8bit is not None
    picture = _mix(to_bgr(alignment.moved_8bit), rgb_bgr, alpha)
    # Much faster than np.where with a mask of one channel.
    cv2.copyTo(rgb_bgr, (~ir_has_data(alignment)).view(np.uint8), picture)
    return picture


def ir_has_data(alignment: Alignment) -> NDArray[np.bool_]:
    """(H, W): whether the source point of an RGB pixel lies among the pixel centres of the IR frame."""
    return alignment.warper.has_data


def raw_overlay(ir: Frame, rgb_bgr: Uint8Array, alpha: float) -> Uint8Array:
    """The IR frame stretched to the RGB frame's size and blended without alignment, (H, W, 3) uint8 BGR."""
    _check_alpha(alpha)
    return _mix(_stretch(to_bgr(ir), (rgb_bgr.shape[0], rgb_bgr.shape[1])), rgb_bgr, alpha)


def side_by_side(left: Uint8Array, right: Uint8Array, labels: tuple[str, str]) -> Uint8Array:
    """Two pictures of the same height, (H, W1 + W2, 3) uint8, each with its label in the bottom left
    corner.
    """
    if left.shape[0] != right.shape[0]:
        raise InputError(f"pictures of {left.shape[0]} and {right.shape[0]} px height do not fit side by side")
    pictures = [left.copy(), right.copy()]
    for picture, label in zip(pictures, labels, strict=True):
        draw_label(picture, label, "bottom left", _BLACK)
    return np.hstack(pictures)


def render(
    view: View, alignment: Alignment, rgb_bgr: Uint8Array, alpha: float, notices: Sequence[Notice] = ()
) -> Uint8Array:
    """The picture that is shown and recorded: the overlay, or the overlay without alignment on its left."""
    aligned = overlay(alignment, rgb_bgr, alpha)
    if view != "overlay":
        label = _ALIGNED_LABEL if alignment.state != "refused" else _REFUSED_TEXT.lower()
        aligned = side_by_side(raw_overlay(alignment.ir, rgb_bgr, alpha), aligned, (_RAW_LABEL, label))
    return draw_notices(aligned, notices)


def draw_notices(picture: Uint8Array, notices: Sequence[Notice]) -> Uint8Array:
    """The picture with what is wrong written into it."""
    for notice in notices:
        draw_label(picture, notice.text, "bottom left", _RED)
    return picture


def lone_picture(
    rgb_bgr: Uint8Array | None, ir: Frame | None, size_hw: SizeHw | None, notices: Sequence[Notice]
) -> Uint8Array:
    """What is shown while a camera gives nothing: the other one's frame, or none, under the band of a refused one."""
    there = rgb_bgr if rgb_bgr is not None else None if ir is None else to_bgr(ir)
    height, width = size_hw or ((480, 640) if there is None else (there.shape[0], there.shape[1]))
    picture = np.full((height, width, 3), 40, np.uint8)
    if there is not None:
        scale = min(height / there.shape[0], width / there.shape[1])
        part = _stretch(there, (round(there.shape[0] * scale), round(there.shape[1] * scale)))
        y, x = (height - part.shape[0]) // 2, (width - part.shape[1]) // 2
        picture[y : y + part.shape[0], x : x + part.shape[1]] = part
    return draw_notices(draw_band(picture, _REFUSED_TEXT), notices)


def draw_band(picture: Uint8Array, text: str) -> Uint8Array:
    """A copy with a band across the top that carries `text`."""
    out = picture.copy()
    h, w = out.shape[:2]
    scale, thickness = _text_style(h)
    (text_w, text_h), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    if text_w > 0.9 * w:
        scale, text_w, text_h = scale * 0.9 * w / text_w, int(0.9 * w), int(text_h * 0.9 * w / text_w)
    band_h = min(h, 2 * text_h + 2)
    cv2.rectangle(out, (0, 0), (w - 1, band_h - 1), _RED, cv2.FILLED)
    origin = ((w - text_w) // 2, (band_h + text_h) // 2)
    cv2.putText(out, text, origin, _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
    return out


def draw_label(
    picture: Uint8Array, text: str, corner: Literal["top right", "bottom left"], colour: tuple[int, int, int]
) -> None:
    """Draws `text` on a small box into a corner of `picture`, in place."""
    h, w = picture.shape[:2]
    scale, thickness = _text_style(h)
    scale *= 0.8
    (text_w, text_h), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, text_h // 2)
    box_w, box_h = text_w + 2 * pad, text_h + 2 * pad
    x, y = (w - box_w, 0) if corner == "top right" else (0, h - box_h)
    cv2.rectangle(picture, (x, y), (x + box_w - 1, y + box_h - 1), colour, cv2.FILLED)
    cv2.putText(picture, text, (x + pad, y + pad + text_h), _FONT, scale, _WHITE, thickness, cv2.LINE_AA)


def _text_style(frame_height_px: int) -> tuple[float, int]:
    scale = max(0.3, frame_height_px * _TEXT_HEIGHT_OF_FRAME / _FONT_HEIGHT_PX)
    return scale, max(1, round(1.8 * scale))


def _mix(ir_bgr: Uint8Array, rgb_bgr: Uint8Array, alpha: float) -> Uint8Array:
    return cv2.addWeighted(ir_bgr, alpha, rgb_bgr, 1.0 - alpha, 0.0)  # type: ignore[return-value]


def _stretch(bgr: Uint8Array, size_hw: SizeHw) -> Uint8Array:
    h, w = size_hw
    shrinks = h <= bgr.shape[0] and w <= bgr.shape[1]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(bgr, (w, h), interpolation=mode)  # type: ignore[return-value]


def _check_alpha(alpha: float) -> None:
    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"alpha is {alpha:g}; expected 0 (RGB alone) to 1 (IR alone)")
