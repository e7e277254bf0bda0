"""Which palette an infrared picture is shown in, and from its colours back to intensity.

Recognition asks whether the coloured pixels lie near the palette's curve through colour space. Which end is the hot one
is not in the colours: a palette that runs the other way gives the same picture of the inverted scene.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.thermal.palettes import RECOGNISED, colour_table

Uint8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

_SAMPLES = 800
_COLOURED_CHROMA = 24.0
_COLOURED_AT_LEAST = 0.2
_GREY_BELOW = 0.05
_TOLERANCE, _TOLERANCE_OF_CHROMA = 8.0, 0.2
"""How far from the curve, in levels, a pixel may lie: noise of compression, and palettes that differ somewhat."""
_ENTER, _LEAVE = 0.85, 0.6
_TIE = 0.05
_SINGLE_HUE = 0.99
_CONTRAST = 30.0
_CHROMA_WEIGHT = 0.5
"""Compression spoils chroma more than luma; the nearest colour is the one that is nearest in this measure."""
_SETTLED_LOOK_S, _UNSETTLED_LOOK_S = 1.0, 0.25
_LOOKS_TO_CHANGE = 3


@dataclass(frozen=True)
class Look:
    """What one picture says. best: the palette that it fits, None: none, or too few colours to say.

    fits: share of the coloured pixels near the curve of each palette of RECOGNISED. is_grey, is_coloured: almost no,
    enough pixels have a colour; in between, and for a picture of one hue or without contrast, nothing can be told.
    """

    best: str | None
    fits: dict[str, float]
    is_grey: bool = False
    is_coloured: bool = False

    def speaks_against(self, name: str) -> bool:
        """Whether the picture cannot be in this palette."""
        return self.is_grey or (self.is_coloured and self.fits[name] < _LEAVE)


def look_at(bgr: Uint8Array) -> Look:
    """Looks at (h, w, 3) uint8 BGR, about 800 pixels of it."""
    step = max(1, int((bgr.shape[0] * bgr.shape[1] / _SAMPLES) ** 0.5))
    pixels = bgr[step // 2 :: step, step // 2 :: step].reshape(-1, 3).astype(np.float32)
    chroma = pixels.max(axis=1) - pixels.min(axis=1)
    coloured = chroma > _COLOURED_CHROMA
    share = float(coloured.mean())
    if share < _COLOURED_AT_LEAST:
        low, high = np.percentile(pixels.mean(axis=1), (5, 95))
        return Look(None, {}, is_grey=share < _GREY_BELOW and float(high - low) > _CONTRAST)
    pixels, chroma = pixels[coloured], chroma[coloured]
    distance = _distances(pixels)
    near = (distance <= _TOLERANCE + _TOLERANCE_OF_CHROMA * chroma[:, None]).mean(axis=0)
    fits = {name: float(one) for name, one in zip(RECOGNISED, near, strict=True)}
    if _is_single_hue(pixels):
        return Look(None, fits)
    return Look(_best(near, distance), fits, is_coloured=True)


def _best(near: Float32Array, distance: Float32Array) -> str | None:
    """Of those that fit about equally well, the one with the nearest colours."""
    if near.max() < _ENTER:
        return None
    off = np.median(distance, axis=0)
    return RECOGNISED[int(np.where(near >= near.max() - _TIE, off, np.inf).argmin())]


def _is_single_hue(pixels: Float32Array) -> bool:
    """Shades of one hue, as some cameras show warmth, are part of several palettes."""
    hue = pixels - pixels.mean(axis=1, keepdims=True)
    together = float(np.linalg.norm(hue.sum(axis=0)))
    return together > _SINGLE_HUE * float(np.linalg.norm(hue, axis=1).sum())


@lru_cache(maxsize=1)
def _curves() -> Float32Array:
    """(P, 64, 3): every fourth colour of each palette, close enough beside the tolerance."""
    return np.stack([colour_table(name)[::4] for name in RECOGNISED]).astype(np.float32)


def _distances(pixels: Float32Array) -> Float32Array:
    """(n, P): from each pixel to the nearest colour of each palette, in levels."""
    curves = _curves()
    products = pixels @ curves.reshape(-1, 3).T
    squares = (curves**2).sum(axis=2) - 2.0 * products.reshape(len(pixels), *curves.shape[:2])
    return np.sqrt(np.maximum(squares.min(axis=2) + (pixels**2).sum(axis=1)[:, None], 0.0))


@lru_cache(maxsize=4)
def intensity_table(name: str) -> Uint8Array:
    """(65536,) uint8: the intensity whose colour in palette `name` is nearest to each colour of 5, 6 and 5 bits."""
    blue, green, red = ((np.arange(1 << bits) + 0.5) * (1 << (8 - bits)) - 0.5 for bits in (5, 6, 5))
    red, green, blue = np.meshgrid(red, green, blue, indexing="ij")
    colours = _weighted(np.stack([blue, green, red], axis=-1).reshape(-1, 3))
    known = _weighted(colour_table(name).astype(np.float64))
    squares = (known**2).sum(axis=1)
    parts = np.array_split(colours, 16)
    return np.concatenate([(squares - 2.0 * part @ known.T).argmin(axis=1) for part in parts]).astype(np.uint8)


def _weighted(bgr: NDArray[np.floating]) -> Float32Array:
    """Luma and chroma (BT.601), chroma by its weight."""
    luma = bgr @ np.array([0.114, 0.587, 0.299])
    blue, red = 0.564 * (bgr[:, 0] - luma), 0.713 * (bgr[:, 2] - luma)
    return np.stack([luma, _CHROMA_WEIGHT * blue, _CHROMA_WEIGHT * red], axis=1).astype(np.float32)


def to_intensity(bgr: Uint8Array, name: str) -> Uint8Array:
    """(h, w, 3) uint8 BGR in palette `name` to (h, w) uint8 intensity; a colour of no palette by the nearest one."""
    packed = cv2.cvtColor(bgr, cv2.COLOR_BGR2BGR565).view(np.uint16)[:, :, 0]
    return np.take(intensity_table(name), packed)


class PaletteReader:
    """Frames of one video, (h, w, 3) uint8 BGR, in order: recognises the palette, and takes it away.

    The first frame's palette is believed at once; a change only when several looks in a row say the same.
    """

    def __init__(self, wanted: str = "auto") -> None:
        """wanted: auto, or the palette that all frames are in."""
        self.name: str | None = None if wanted == "auto" else wanted
        self._decides = wanted == "auto"
        self._look: Look | None = None
        self._next_s = self._last_s = -np.inf
        self._other: str | None = None
        self._times = 0

    def __call__(self, bgr: Uint8Array, time_s: float) -> Uint8Array:
        """(h, w) uint8 intensity; the frame itself, the same object, where no palette is recognised."""
        if time_s >= self._next_s or time_s < self._last_s:
            self._observe(look_at(bgr))
            settled = self._times == 0 and (self.name is not None or not self.is_unknown)
            self._next_s = time_s + (_SETTLED_LOOK_S if settled else _UNSETTLED_LOOK_S)
        self._last_s = time_s
        return bgr if self.name is None else to_intensity(bgr, self.name)

    @property
    def is_unknown(self) -> bool:
        """Whether the newest look saw colours of no palette."""
        return self._look is not None and self._look.is_coloured and self._look.best is None

    @property
    def fit(self) -> float | None:
        """Share of the coloured pixels that the palette explained when last looked at; None where that is unknown."""
        return None if self._look is None or self.name is None else self._look.fits.get(self.name)

    def _observe(self, look: Look) -> None:
        is_first, self._look = self._look is None, look
        if not self._decides:
            return
        wanted = self._wanted(look)
        if wanted == self.name:
            self._times = 0
            return
        self._times = self._times + 1 if wanted == self._other else 1
        self._other = wanted
        if is_first or self._times >= _LOOKS_TO_CHANGE:
            self.name, self._times = wanted, 0

    def _wanted(self, look: Look) -> str | None:
        """What this look alone would have; the present one stays as long as nothing speaks against it."""
        if self.name is None or look.speaks_against(self.name):
            return look.best
        return self.name
