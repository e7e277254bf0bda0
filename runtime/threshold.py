"""Where an IR frame is warm enough to be a person: thresholds of histograms, steady over time, and masks from them.

`vr-train prepare` knows the whole recording (`vr.train.prepare.threshold`), a live picture only what was so far
(`WarmMasks`); both take levels by `otsu`, keep them `near` that of everything seen, and `held` until they have moved
enough.
"""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.mask import Mask, without_specks
from vr.runtime.preprocess import Frame, to_8bit, to_gray

WINDOW_S = 2.0
"""The level of a frame is the median over this time."""
_MEMORY_S = 60.0
_PEOPLE_AT_MOST = 0.25
_DEAD_BAND = 6.0
_STRAY_AT_MOST = 24.0
_OPEN_PX = 3
_COLOURED_LEVELS = 6.0
_BLUE_SHARE = 0.25

Float64s = NDArray[np.float64]


def otsu(histogram: Float64s) -> float:
    """The level of a (256,) histogram above which people are: Otsu's, again within the bright part as long as that
    is more than people cover.
    """
    total, level = float(histogram.sum()), -1
    while True:
        part = np.where(np.arange(256) > level, histogram, 0.0)
        higher = _otsu_once(part)
        if higher <= level:
            return float(max(level, 0))
        level = higher
        if float(part[level + 1 :].sum()) <= _PEOPLE_AT_MOST * total:
            return float(level)


def _otsu_once(histogram: Float64s) -> int:
    """Otsu (1979): the level with the largest variance between what is up to it and what is above; -1 for one level."""
    share = histogram / max(float(histogram.sum()), 1e-12)
    below = np.cumsum(share)
    mean = np.cumsum(share * np.arange(256))
    spread = below * (1.0 - below)
    between = np.where(spread > 1e-9, (mean[-1] * below - mean) ** 2 / np.maximum(spread, 1e-12), 0.0)
    return int(between.argmax()) if between.max() > 0.0 else -1


def near(levels: Float64s, sequence: float) -> Float64s:
    """Levels (n,), kept near the level of the whole `sequence`."""
    return np.clip(levels, sequence - _STRAY_AT_MOST, sequence + _STRAY_AT_MOST)


def held(current: float, wanted: float) -> float:
    """`wanted`, or `current` as long as both differ by no more than a dead band."""
    return wanted if abs(wanted - current) > _DEAD_BAND else current


def channels(frame8: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey and blue (h, w) of an 8-bit frame; the same of a frame without colours."""
    gray = to_gray(frame8)
    return gray, np.ascontiguousarray(frame8[:, :, 0]) if frame8.ndim == 3 else gray


def histogram(level: NDArray[np.uint8]) -> Float64s:
    """(256,) counts of the levels of (h, w)."""
    return cv2.calcHist([level], [0], None, [256], [0.0, 256.0]).ravel().astype(np.float64)


def colour(frame8: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean spread of the channels in grey levels, and by what share blue exceeds green."""
    if frame8.ndim == 2 or frame8.shape[2] == 1:
        return 0.0, 0.0
    sample = frame8[::4, ::4].astype(np.float32)
    spread = float((sample.max(axis=2) - sample.min(axis=2)).mean())
    return spread, float((sample[:, :, 0] - sample[:, :, 1]).mean() / max(float(sample.max(axis=2).mean()), 1.0))


def is_coloured(spread: float) -> bool:
    """Of the median over a recording of what `colour` says."""
    return spread > _COLOURED_LEVELS


def is_blue(spread: float, blueness: float) -> bool:
    """Whether warmth is shown in shades of blue; of the medians over a recording of what `colour` says."""
    return is_coloured(spread) and blueness > _BLUE_SHARE


def warm_mask(frame: Frame, on_blue: bool, threshold: float, overlay: Mask | None = None) -> Mask:
    """(h, w) uint8, 1 where an IR frame is above `threshold` (on the blue channel if `on_blue`, else grey), without
    what is burnt in (`overlay` 1) and without specks.
    """
    warm = channels(to_8bit(frame))[int(on_blue)] > threshold
    if overlay is not None:
        warm &= overlay == 0
    kernel = np.ones((_OPEN_PX, _OPEN_PX), np.uint8)
    return without_specks(cv2.morphologyEx(warm.astype(np.uint8), cv2.MORPH_OPEN, kernel))  # type: ignore[arg-type]


class WarmMasks:
    """IR frames of a video, one after the other, to masks of what is warm."""

    def __init__(self, threshold: float | None = None) -> None:
        """threshold: 0 to 255; None follows the video."""
        self._threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forgets the video so far."""
        self._colours: deque[tuple[float, float, float]] = deque()
        self._levels = _SteadyLevel(), _SteadyLevel()

    def single(self, frame: Frame) -> Mask:
        """The mask of a frame on its own, (h, w) uint8, person 1."""
        frame8 = to_8bit(frame)
        on_blue = is_blue(*colour(frame8))
        found = otsu(histogram(channels(frame8)[int(on_blue)])) if self._threshold is None else self._threshold
        return warm_mask(frame8, on_blue, found)

    def next(self, frame: Frame, time_s: float) -> Mask:
        """The mask of the next frame, which was taken at `time_s`; as `single`, with a steady level."""
        frame8 = to_8bit(frame)
        _remember(self._colours, (time_s, *colour(frame8)))
        spread, blueness = np.median(np.array(self._colours)[:, 1:], axis=0)
        on_blue = is_blue(float(spread), float(blueness))
        if self._threshold is not None:
            return warm_mask(frame8, on_blue, self._threshold)
        both = [level.update(histogram(c), time_s) for level, c in zip(self._levels, channels(frame8), strict=True)]
        return warm_mask(frame8, on_blue, both[int(on_blue)])


class _SteadyLevel:
    """The level of a video's newest frame, from the frames so far."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._seen = np.zeros(256)
        self._current: float | None = None

    def update(self, histogram: Float64s, time_s: float) -> float:
        """Takes the next frame into account."""
        passed_s = max(time_s - self._recent[-1][0], 0.0) if self._recent else 0.0
        self._seen = self._seen * np.exp(-passed_s / _MEMORY_S) + histogram
        _remember(self._recent, (time_s, otsu(histogram)))
        median = np.median(np.array(self._recent)[:, 1:], axis=0)
        wanted = float(near(median, otsu(self._seen))[0])
        self._current = wanted if self._current is None else held(self._current, wanted)
        return self._current


def _remember(recent: deque[tuple[float, ...]], row: tuple[float, ...]) -> None:
    """Adds a row that begins with its time, s; rows that are too old are dropped."""
    recent.append(row)
    while abs(row[0] - recent[0][0]) > WINDOW_S:
        recent.popleft()
