"""What OpenCV's window says of a pressed key, and the list of keys on its picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.badges import draw_caption
from vr.runtime.keys import KEY_HELP

Uint8Array = NDArray[np.uint8]

_NAMED = {
    # X11's key symbols, which GTK and Qt pass on; then those of macOS and of Windows.
    **dict(zip((65361, 65362, 65363, 65364), ("Left", "Up", "Right", "Down"), strict=True)),
    **dict(zip((63234, 63232, 63235, 63233), ("Left", "Up", "Right", "Down"), strict=True)),
    **dict(zip((2424832, 2490368, 2555904, 2621440), ("Left", "Up", "Right", "Down"), strict=True)),
    27: "Esc",
    32: "Space",
}
_KEY_BITS, _PRINTABLE = 0xFFFF, range(33, 127)
_LEAST_HEIGHT_PX = 480
_DIMMED = 0.25
_MARGIN_OF_HEIGHT = 0.06


def key_name(code: int) -> str | None:
    """Of a code of `cv2.waitKeyEx`, as `vr.runtime.keys` names it; None for none (-1), and for others."""
    if code < 0:
        return None
    # Above them GTK adds bits for Shift, Num Lock and the like.
    name = _NAMED.get(code) or _NAMED.get(code & _KEY_BITS)
    low = code & _KEY_BITS
    return name or (chr(low) if low in _PRINTABLE else None)


def with_help(picture: Uint8Array) -> Uint8Array:
    """A copy, dimmed, with all keys and what they do; enlarged where it would be too small to read them."""
    scale = max(1.0, _LEAST_HEIGHT_PX / picture.shape[0])
    size_wh = round(scale * picture.shape[1]), round(scale * picture.shape[0])
    shown = cv2.convertScaleAbs(cv2.resize(picture, size_wh), alpha=_DIMMED)
    margin, row_px = _MARGIN_OF_HEIGHT * size_wh[1], (1.0 - 2.0 * _MARGIN_OF_HEIGHT) * size_wh[1] / len(KEY_HELP)
    font = _font_scale(row_px, size_wh[0] - 2.0 * margin)
    second = margin + font * _widest([key for key, _ in KEY_HELP]) + row_px
    for number, (key, text) in enumerate(KEY_HELP):
        y = round(margin + (number + 0.75) * row_px)
        for x, word, colour in ((margin, key, (90, 235, 255)), (second, text, (255, 255, 255))):
            cv2.putText(shown, word, (round(x), y), _FONT, font, colour, max(1, round(2 * font)), cv2.LINE_AA)
    return shown  # type: ignore[return-value]


def with_message(picture: Uint8Array, text: str) -> Uint8Array:
    """A copy with a line in the middle of the bottom, above the caption."""
    shown = picture.copy()
    draw_caption(shown[: round(0.9 * shown.shape[0])], text)
    return shown


_FONT = cv2.FONT_HERSHEY_SIMPLEX


def _font_scale(row_px: float, room_px: float) -> float:
    """As high as the rows allow, and narrow enough for the longest one."""
    by_height = 0.6 * row_px / cv2.getTextSize("H", _FONT, 1.0, 1)[0][1]
    longest = _widest([key for key, _ in KEY_HELP]) + _widest([text for _, text in KEY_HELP])
    return min(by_height, (room_px - row_px) / longest)


def _widest(texts: list[str]) -> int:
    """px at scale 1."""
    return max(cv2.getTextSize(text, _FONT, 1.0, 2)[0][0] for text in texts)
