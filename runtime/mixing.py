"""The plain blend of an alignment, and what every view is made of: infrared as it is shown, and where there is any."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import Frame, to_8bit, to_bgr
from vr.runtime.thermal.palettes import in_colour

Uint8Array = NDArray[np.uint8]


def mixed(alignment: Alignment, rgb_bgr: Uint8Array, alpha: float, palette: str = "none") -> Uint8Array:
    """`alpha * moved + (1 - alpha) * rgb`, rounded to the nearest, (H, W, 3) uint8 BGR; as `overlay`, nothing drawn on.

    Only where the IR frame has data: where the source point lies among its pixel centres, so that no pixel
    is mixed with the black outside. Elsewhere, and everywhere if refused, the RGB frame alone.
    """
    check_alpha(alpha)
    check_size(alignment, rgb_bgr)
    if alignment.state == "refused":
        return rgb_bgr.copy()
    drawn = alignment.blended(alpha) if palette == "none" else None
    return _blend(alignment, rgb_bgr, alpha, palette) if drawn is None else drawn


def _blend(alignment: Alignment, rgb_bgr: Uint8Array, alpha: float, palette: str) -> Uint8Array:
    assert alignment.moved_8bit is not None
    picture = mix(shown(alignment.moved_8bit, palette), rgb_bgr, alpha)
    return with_rgb_outside(alignment, rgb_bgr, picture)


def with_rgb_outside(alignment: Alignment, rgb_bgr: Uint8Array, picture: Uint8Array) -> Uint8Array:
    """`picture`, changed in place: the RGB frame wherever the IR frame has no data."""
    # Much faster than np.where with a mask of one channel.
    cv2.copyTo(rgb_bgr, (~ir_has_data(alignment)).view(np.uint8), picture)
    return picture


def shown(ir: Frame, palette: str) -> Uint8Array:
    """IR as it is shown, (h, w, 3) BGR."""
    return to_bgr(ir) if palette == "none" else in_colour(to_8bit(ir), palette)


def ir_has_data(alignment: Alignment) -> NDArray[np.bool_]:
    """(H, W): whether the source point of an RGB pixel lies among the pixel centres of the IR frame."""
    return alignment.warper.has_data


def mix(ir_bgr: Uint8Array, rgb_bgr: Uint8Array, alpha: float) -> Uint8Array:
    """`alpha * ir + (1 - alpha) * rgb` of two pictures of one size."""
    return cv2.addWeighted(ir_bgr, alpha, rgb_bgr, 1.0 - alpha, 0.0)  # type: ignore[return-value]


def stretch(bgr: Uint8Array, size_hw: SizeHw) -> Uint8Array:
    """Resized, averaging where it shrinks in both directions."""
    h, w = size_hw
    shrinks = h <= bgr.shape[0] and w <= bgr.shape[1]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(bgr, (w, h), interpolation=mode)  # type: ignore[return-value]


def check_alpha(alpha: float) -> None:
    """Raises InputError unless it is 0 to 1."""
    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"alpha is {alpha:g}; expected 0 (RGB alone) to 1 (IR alone)")


def check_size(alignment: Alignment, rgb_bgr: Uint8Array) -> None:
    """Raises InputError unless the RGB frame is of the size that was aligned, (H, W, 3)."""
    if rgb_bgr.shape != (*alignment.rgb_hw, 3):
        raise InputError(f"RGB frame has shape {rgb_bgr.shape}; this alignment is for {(*alignment.rgb_hw, 3)}")
