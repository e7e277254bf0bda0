"""The first pass: a recording as a few numbers per frame, and what is known of its pixels over time."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.preprocess import to_8bit, to_gray
from vr.runtime.sources import Stamped
from vr.runtime.threshold import channels, colour, histogram, is_blue, is_coloured, otsu
from vr.runtime.time_offset.motion import MOMENTS, MOTION_HW, Float64s, motion_moments
from vr.train.prepare.reading import Recording
from vr.train.prepare.statistics import PixelStatistics
from vr.train.prepare.timing import Motion

THUMB_HW = (24, 32)
_DETAIL_WIDTH = 160

Uint8s = NDArray[np.uint8]


@dataclass(frozen=True)
class Survey:
    """A recording of n readable frames.

    name: of the recording. size_hw: of its frames. index, time_s: (n,) of each frame. change: (n,) mean absolute
    difference to the frame before at full size, grey levels; infinite for the first. dark: (n,) share of pixels below
    the dark level. detail: (n,) standard deviation, grey levels. otsu_gray, otsu_blue: (n,) thresholds.
    thumbs: (n, 24, 32) uint8. moments: (n, 5), see `timing.Motion`. is_coloured, is_blue: over the whole sequence.
    histograms: (2, 256) of all frames, grey and blue. pixels: over time. broken: frames that cannot be used, and why.
    """

    name: str
    size_hw: tuple[int, int]
    index: NDArray[np.int64]
    time_s: Float64s
    change: Float64s
    dark: Float64s
    detail: Float64s
    otsu_gray: Float64s
    otsu_blue: Float64s
    thumbs: Uint8s
    moments: Float64s
    is_coloured: bool
    is_blue: bool
    histograms: Float64s
    pixels: PixelStatistics
    broken: int
    broken_named: list[str]

    def motion(self, usable: NDArray[np.bool_]) -> Motion:
        """For `timing`; `usable` (n,) where the frames show the scene."""
        return Motion(self.time_s, self.moments, usable)


@dataclass
class _Row:
    index: int
    time_s: float
    change: float
    dark: float
    detail: float
    otsu_gray: float
    otsu_blue: float
    thumb: Uint8s
    moments: Float64s
    colour: tuple[float, float]


def survey(recording: Recording, dark_level: int, on_frame: Callable[[], None]) -> Survey:
    """Reads a recording once. `on_frame` is called after each frame. Raises InputError if nothing can be read."""
    surveyor = _Surveyor(dark_level)
    rows: list[_Row] = []
    for stamped in recording.frames():
        rows.append(surveyor.add(stamped))
        on_frame()
    if not rows or surveyor.pixels is None:
        raise InputError(f"{recording.name} has no readable frame; record or convert it again")
    return _assemble(recording, rows, surveyor, surveyor.pixels)


class _Surveyor:
    """Measures frames one after the other."""

    def __init__(self, dark_level: int) -> None:
        self._dark_level = dark_level
        self._gray: Uint8s | None = None
        self._small: NDArray[np.float32] | None = None
        self.pixels: PixelStatistics | None = None
        self.histograms = np.zeros((2, 256))

    def add(self, stamped: Stamped) -> _Row:
        frame8 = to_8bit(stamped.frame)
        gray = to_gray(frame8)
        if self.pixels is None:
            self.pixels = PixelStatistics(gray.shape)  # type: ignore[arg-type]
        self.pixels.add(gray, stamped.time_s)
        change = np.inf if self._gray is None else float(cv2.mean(cv2.absdiff(gray, self._gray))[0])
        small = cv2.resize(gray, MOTION_HW[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
        moments = np.zeros(MOMENTS) if self._small is None else motion_moments(small - self._small)
        self._gray, self._small = gray, small
        otsus = self._otsus(frame8)
        thumb = cv2.resize(gray, THUMB_HW[::-1], interpolation=cv2.INTER_AREA)
        dark = float(np.count_nonzero(gray < self._dark_level)) / gray.size
        numbers = stamped.index, stamped.time_s, change, dark, _detail(gray)
        return _Row(*numbers, *otsus, thumb, moments, colour(frame8))  # type: ignore[arg-type]

    def _otsus(self, frame8: Uint8s) -> tuple[float, float]:
        """Thresholds of the grey level and of the blue channel; the histograms are added to those of the sequence."""
        both = np.stack([histogram(channel) for channel in channels(frame8)])
        self.histograms += both
        return otsu(both[0]), otsu(both[1])


def _detail(gray: Uint8s) -> float:
    height = max(1, round(gray.shape[0] * _DETAIL_WIDTH / gray.shape[1]))
    return float(cv2.resize(gray, (_DETAIL_WIDTH, height), interpolation=cv2.INTER_AREA).std())


def _assemble(recording: Recording, rows: list[_Row], surveyor: _Surveyor, pixels: PixelStatistics) -> Survey:
    def column(name: str) -> Float64s:
        return np.array([getattr(row, name) for row in rows], dtype=np.float64)

    spread, blueness = np.median(np.array([row.colour for row in rows]), axis=0)
    names = ("time_s", "change", "dark", "detail", "otsu_gray", "otsu_blue", "moments")
    return Survey(
        name=recording.name,
        size_hw=pixels.size_hw,
        index=np.array([row.index for row in rows], dtype=np.int64),
        **{name: column(name) for name in names},
        thumbs=np.stack([row.thumb for row in rows]),
        is_coloured=is_coloured(float(spread)),
        is_blue=is_blue(float(spread), float(blueness)),
        histograms=surveyor.histograms,
        pixels=pixels,
        broken=recording.faults.count,
        broken_named=list(recording.faults.named),
    )
