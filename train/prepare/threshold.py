"""Where an IR frame is warm enough to be a person: thresholds of histograms, steady over time, and masks from them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame, to_8bit, to_gray

_PEOPLE_AT_MOST = 0.25
_WINDOW_S = 2.0
_DEAD_BAND = 6.0
_STRAY_AT_MOST = 24.0
_SPECK_SHARE = 0.0005
_OPEN_PX = 3

Float64s = NDArray[np.float64]
Uint8s = NDArray[np.uint8]


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


def steady(thresholds: Float64s, sequence: float, time_s: Float64s) -> Float64s:
    """(n,) thresholds of frames, made steady: their running median, near the threshold of the whole `sequence`, and
    unchanged until it has moved by more than a dead band.
    """
    period_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    half = max(1, round(_WINDOW_S / max(period_s, 1e-6) / 2.0))
    padded = np.pad(thresholds, half, mode="edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    wanted = np.clip(middle, sequence - _STRAY_AT_MOST, sequence + _STRAY_AT_MOST)
    result, current = np.empty(len(thresholds)), float(wanted[0])
    for number, value in enumerate(wanted):
        if abs(value - current) > _DEAD_BAND:
            current = float(value)
        result[number] = current
    return result


def warm_mask(frame: Frame, is_blue: bool, threshold: float, overlay: Uint8s) -> Uint8s:
    """(h, w) uint8, 1 where an IR frame is above `threshold` (on the blue channel if `is_blue`, else grey), without
    what is burnt in (`overlay` 1) and without specks.
    """
    frame8 = to_8bit(frame)
    level = frame8[:, :, 0] if is_blue and frame8.ndim == 3 else to_gray(frame8)
    warm = ((level > threshold) & (overlay == 0)).astype(np.uint8)
    kernel = np.ones((_OPEN_PX, _OPEN_PX), np.uint8)
    return without_specks(cv2.morphologyEx(warm, cv2.MORPH_OPEN, kernel))  # type: ignore[arg-type]


def without_specks(mask: Uint8s) -> Uint8s:
    """The mask (h, w) without parts smaller than 0.05 % of the frame."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= _SPECK_SHARE * mask.size
    return np.take(keep, np.asarray(labels, dtype=np.int32))


def hole_share(mask: Uint8s) -> float:
    """What part of the area within a mask's outer outlines is not mask."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), contours, -1, (1,), cv2.FILLED)
    return 1.0 - float(np.count_nonzero(mask)) / max(float(np.count_nonzero(filled)), 1.0)
