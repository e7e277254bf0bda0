"""Colour maps of thermal pictures: from intensity to colour, for display, and as what a camera may have sent."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.preprocess import to_gray

Uint8Array = NDArray[np.uint8]

_OPENCV = {
    "autumn": cv2.COLORMAP_AUTUMN,
    "bone": cv2.COLORMAP_BONE,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "cool": cv2.COLORMAP_COOL,
    "deepgreen": cv2.COLORMAP_DEEPGREEN,
    "hot": cv2.COLORMAP_HOT,
    "inferno": cv2.COLORMAP_INFERNO,
    "jet": cv2.COLORMAP_JET,
    "magma": cv2.COLORMAP_MAGMA,
    "ocean": cv2.COLORMAP_OCEAN,
    "parula": cv2.COLORMAP_PARULA,
    "pink": cv2.COLORMAP_PINK,
    "plasma": cv2.COLORMAP_PLASMA,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "spring": cv2.COLORMAP_SPRING,
    "summer": cv2.COLORMAP_SUMMER,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "winter": cv2.COLORMAP_WINTER,
}
"""OpenCV's, without the cyclic ones (hsv, twilight): they give cold and hot the same colour."""
_REVERSED = ("rainbow",)
"""OpenCV's rainbow begins with red; thermal cameras show cold in blue and hot in red."""
_ANCHORS: dict[str, tuple[tuple[float, int, int, int], ...]] = {
    # Share of the range, then R, G, B. Our own numbers, after how makers and users describe the palettes: iron as
    # "black through blue, magenta, orange, yellow to bright white", arctic as blues with golden hot ends, lava as
    # blues that go over into reds.
    "ironbow": (
        (0.00, 0, 0, 12),
        (0.12, 30, 0, 110),
        (0.25, 95, 0, 155),
        (0.40, 170, 10, 145),
        (0.55, 222, 62, 55),
        (0.70, 243, 128, 8),
        (0.85, 254, 200, 20),
        (0.95, 255, 240, 140),
        (1.00, 255, 255, 246),
    ),
    "arctic": (
        (0.00, 6, 6, 70),
        (0.25, 20, 50, 200),
        (0.50, 60, 190, 230),
        (0.65, 150, 160, 140),
        (0.80, 225, 150, 40),
        (1.00, 255, 235, 90),
    ),
    "lava": (
        (0.00, 0, 10, 40),
        (0.25, 10, 80, 150),
        (0.45, 110, 40, 130),
        (0.65, 205, 25, 30),
        (0.85, 250, 140, 20),
        (1.00, 255, 250, 200),
    ),
}
COLOURED = tuple(sorted((*_OPENCV, *_ANCHORS)))
"""Palettes that a camera's picture can be mapped back from."""
RECOGNISED = tuple(name for name in COLOURED if name not in ("bone", "cividis", "deepgreen", "ocean", "pink"))
"""Those that are looked for. In the others brightness rises with intensity throughout, so that luma does as well, and
their faint or single hues are met in real pictures too."""
DISPLAY = ("none", "white-hot", "black-hot", *COLOURED)
"""What the infrared part of the picture may be shown in."""


@cache
def colour_table(name: str) -> Uint8Array:
    """(256, 3) uint8 BGR, the colours of intensities 0 to 255. Raises InputError for an unknown name."""
    levels = np.arange(256, dtype=np.uint8)
    if name in ("white-hot", "black-hot"):
        return np.repeat((levels if name == "white-hot" else levels[::-1])[:, None], 3, axis=1)
    if name in _ANCHORS:
        places, red, green, blue = zip(*_ANCHORS[name], strict=True)
        shares = np.linspace(0.0, 1.0, 256)
        return np.rint([np.interp(shares, places, one) for one in (blue, green, red)]).T.astype(np.uint8)
    if name not in _OPENCV:
        raise InputError(f"unknown palette {name!r}; expected one of {', '.join(DISPLAY)}")
    table = cv2.applyColorMap(levels[:, None], _OPENCV[name])[:, 0]
    return np.ascontiguousarray(table[::-1] if name in _REVERSED else table)  # type: ignore[return-value]


def in_colour(frame8: Uint8Array, name: str) -> Uint8Array:
    """An 8-bit frame in a palette, (h, w, 3) uint8 BGR; a coloured frame by its luma. Raises InputError."""
    return cv2.applyColorMap(to_gray(frame8), colour_table(name)[:, None])  # type: ignore[return-value]
