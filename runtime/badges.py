"""What is drawn onto a picture so that nobody takes it for more than it is: badge, band, notices, hottest spot.

Everything is drawn in place, grows with the picture's height, and is legible on bright and on dark: white on black with
a white rim. States differ by shape and word, not by colour alone.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import State
from vr.runtime.notices import Notice
from vr.runtime.thermal.hot_spot import HotSpot

Uint8Array = NDArray[np.uint8]
Colour = tuple[int, int, int]
Icon = Literal["", "estimated", "held", "refused", "notice"]

NOT_ALIGNED = "NOT ALIGNED"
_BLACK, _WHITE, _RED, _AMBER, _GREEN = (0, 0, 0), (255, 255, 255), (40, 40, 200), (0, 165, 245), (80, 205, 70)
_CROSS_RED = (90, 90, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LABEL_OF_HEIGHT = 0.05
_LABEL_AT_LEAST_PX, _LABEL_OF_SMALL = 16, 0.5
_CAPITALS_OF_LABEL = 0.5
_CAPITALS_AT_LEAST_PX = 5.0
_BAND_OF_LABEL = 1.6
_CAPITALS_OF_BAND = 0.42


def label_height_px(frame_height_px: int) -> int:
    """Height of badges and notices in a picture: a twentieth of it, more in small ones."""
    small = min(_LABEL_AT_LEAST_PX, round(_LABEL_OF_SMALL * frame_height_px))
    return max(round(_LABEL_OF_HEIGHT * frame_height_px), small)


def band_height_px(frame_height_px: int) -> int:
    """Height of the band across a picture that is not aligned."""
    return min(frame_height_px, round(_BAND_OF_LABEL * label_height_px(frame_height_px)))


def draw_badge(picture: Uint8Array, state: State) -> None:
    """The state in the top right corner: disc ESTIMATED, two bars HELD, cross REFUSED; the sign alone where there is
    no room for the word.
    """
    h, w = picture.shape[:2]
    _paste(picture, _label(state, state.upper(), label_height_px(h), w // 2), w, 0)


def draw_band(picture: Uint8Array) -> None:
    """A band across the top that says NOT ALIGNED, with the badge of a refused frame on it."""
    h, w = picture.shape[:2]
    height, band_h = label_height_px(h), band_height_px(h)
    cv2.rectangle(picture, (0, 0), (w - 1, band_h - 1), _RED, cv2.FILLED)
    capitals = _CAPITALS_OF_BAND * band_h
    word_px = _text_size(NOT_ALIGNED, capitals)[0]
    badge = _label("refused", "REFUSED", height, max(0, (w - word_px) // 2 - height // 2))
    _paste(picture, badge, w, 0)
    room = w - badge.shape[1]
    middle = w // 2 if word_px < w - 2 * badge.shape[1] else room // 2
    _write(picture, NOT_ALIGNED, (middle, band_h // 2), capitals, room)


def draw_notices(picture: Uint8Array, notices: Sequence[Notice]) -> None:
    """What is wrong, a line each from the left, below the band; as many as fit."""
    h, w = picture.shape[:2]
    height = label_height_px(h)
    for number, notice in enumerate(notices):
        top = band_height_px(h) + number * height
        if top + height > h:
            return
        _paste(picture, _label("notice", notice.text, height, w), 0, top)


def draw_hot_spot(picture: Uint8Array, spot: HotSpot, xy: tuple[float, float]) -> None:
    """A cross at `xy`, pixels of the picture, with the temperature beside it; nothing where that is outside."""
    h, w = picture.shape[:2]
    x, y = round(xy[0]), round(xy[1])
    if not (0 <= x < w and 0 <= y < h):
        return
    height = label_height_px(h)
    arm = max(3, height // 3)
    for colour, thickness in ((_BLACK, 3), (_WHITE, 1)):
        cv2.drawMarker(picture, (x, y), colour, cv2.MARKER_CROSS, 2 * arm + thickness // 2, thickness)
    label = _label("", spot.text, height, w)
    left = x + arm if x + arm + label.shape[1] <= w else max(0, x - arm - label.shape[1])
    _paste(picture, label, left, min(max(0, y + arm // 2), max(0, h - height)))


def draw_caption(picture: Uint8Array, text: str) -> None:
    """`text` in the bottom left corner."""
    h, w = picture.shape[:2]
    height = label_height_px(h)
    _paste(picture, _label("", text, height, w), 0, h - height)


def _paste(picture: Uint8Array, label: Uint8Array, x: int, y: int) -> None:
    """With its top left corner at (x, y), or further left where it would stick out."""
    height, width = min(label.shape[0], picture.shape[0] - y), min(label.shape[1], picture.shape[1])
    x = min(x, picture.shape[1] - width)
    picture[y : y + height, x : x + width] = label[:height, :width]


@lru_cache(maxsize=128)
def _label(icon: Icon, text: str, height_px: int, room_px: int) -> Uint8Array:
    """(height_px, <= room_px or height_px, 3): a sign and a text on black with a white rim; the text shrinks to fit."""
    pad, capitals = max(1, height_px // 5), _capitals_px(height_px)
    sign_px = height_px if icon else pad
    room = room_px - sign_px - pad
    wide = _text_size(text, capitals)[0]
    shrunk = capitals * min(1.0, room / wide)
    if shrunk < min(_CAPITALS_AT_LEAST_PX, capitals):
        text, wide, pad = "", 0, 0
    out = np.zeros((height_px, sign_px + min(wide, max(room, 0)) + pad, 3), np.uint8)
    h, w = out.shape[:2]
    if icon:
        _ICONS[icon](out, height_px / 2.0)
    if text:
        _write(out, text, (sign_px + (w - sign_px - pad) // 2, h // 2), shrunk, w - sign_px)
    cv2.rectangle(out, (0, 0), (w - 1, h - 1), _WHITE, max(1, height_px // 24))
    out.flags.writeable = False
    return out


def _capitals_px(label_px: int) -> float:
    return _CAPITALS_OF_LABEL * label_px


def _text_style(capitals_px: float) -> tuple[float, int]:
    """Scale and thickness of OpenCV's font for capitals of that height."""
    scale = capitals_px / _capitals_at_scale_1()
    return scale, max(1, round(1.8 * scale))


@lru_cache(maxsize=1)
def _capitals_at_scale_1() -> int:
    return cv2.getTextSize("H", _FONT, 1.0, 1)[0][1]


def _text_size(text: str, capitals_px: float) -> tuple[int, int]:
    """Width and height, px."""
    width, height = cv2.getTextSize(text, _FONT, *_text_style(capitals_px))[0]
    return max(1, int(width)), int(height)


def _write(picture: Uint8Array, text: str, middle_xy: tuple[int, int], capitals_px: float, room_px: int) -> None:
    """White, around `middle_xy`, smaller if it would be wider than `room_px`."""
    wide = _text_size(text, capitals_px)[0]
    capitals_px *= min(1.0, max(room_px, 1) / wide)
    (wide, high), style = _text_size(text, capitals_px), _text_style(capitals_px)
    origin = max(0, middle_xy[0] - wide // 2), middle_xy[1] + high // 2
    cv2.putText(picture, text, origin, _FONT, style[0], _WHITE, style[1], cv2.LINE_AA)


def _disc(label: Uint8Array, middle: float) -> None:
    cv2.circle(label, (round(middle), round(middle)), max(2, round(0.5 * middle)), _GREEN, cv2.FILLED, cv2.LINE_AA)


def _bars(label: Uint8Array, middle: float) -> None:
    for x in (middle - 0.38 * middle, middle + 0.38 * middle):
        half_w, half_h = max(0.5, 0.18 * middle), 0.5 * middle
        corners = (round(x - half_w), round(middle - half_h)), (round(x + half_w), round(middle + half_h))
        cv2.rectangle(label, *corners, _AMBER, cv2.FILLED)


def _cross(label: Uint8Array, middle: float) -> None:
    low, high = round(0.52 * middle), round(1.48 * middle)
    for ends in (((low, low), (high, high)), ((low, high), (high, low))):
        cv2.line(label, *ends, _CROSS_RED, max(1, round(0.25 * middle)), cv2.LINE_AA)


def _triangle(label: Uint8Array, middle: float) -> None:
    points = np.array([[middle, 0.45 * middle], [0.4 * middle, 1.5 * middle], [1.6 * middle, 1.5 * middle]])
    cv2.fillPoly(label, [np.rint(points).astype(np.int32)], _AMBER, cv2.LINE_AA)
    x = round(middle)
    cv2.line(label, (x, round(0.85 * middle)), (x, round(1.12 * middle)), _BLACK, max(1, round(0.14 * middle)))


_ICONS: dict[str, Callable[[Uint8Array, float], None]] = {
    "estimated": _disc,
    "held": _bars,
    "refused": _cross,
    "notice": _triangle,
}
