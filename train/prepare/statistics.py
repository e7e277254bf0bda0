"""Pixels over time: what stays the same in a whole sequence is burnt in (text, logos)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import SizeHw

_EVERY_S = 0.2
_LEAST_FRAMES = 10
_STROKE_LEVELS = 45.0
_STROKE_SHARE = 0.05
_CONSTANT_LEVELS = (0.8, 3.0)
_CONSTANT_FACTOR = 0.2
_BLINK_LEVELS = 80.0
_BLINK_REACH = 2.5
_GROW_PX = 2

Float64s = NDArray[np.float64]
Uint8s = NDArray[np.uint8]


class PixelStatistics:
    """Mean, deviation and range of each pixel, of a few frames per second, in bounded memory."""

    def __init__(self, size_hw: SizeHw) -> None:
        self.size_hw: SizeHw = (size_hw[0], size_hw[1])
        self._sum, self._squares = np.zeros(size_hw), np.zeros(size_hw)
        self._low, self._high = np.full(size_hw, 255, np.uint8), np.zeros(size_hw, np.uint8)
        self._count, self._next_s = 0, -np.inf

    def add(self, gray: Uint8s, time_s: float) -> None:
        """Takes a frame (h, w) into account, unless the last one was less than 0.2 s ago."""
        if time_s < self._next_s:
            return
        self._next_s = time_s + _EVERY_S
        self._count += 1
        cv2.accumulate(gray, self._sum)
        cv2.accumulateSquare(gray, self._squares)
        cv2.min(gray, self._low, dst=self._low)
        cv2.max(gray, self._high, dst=self._high)

    def overlay(self) -> Uint8s:
        """(h, w) uint8, 1 where something is burnt in: fine strokes of high contrast that never change, what lies
        between them, and digits that change beside them. All 0 if too few frames were seen.
        """
        if self._count < _LEAST_FRAMES:
            return np.zeros(self.size_hw, np.uint8)
        mean = self._sum / self._count
        deviation = np.sqrt(np.maximum(self._squares / self._count - mean * mean, 0.0))
        size_px = max(5, round(_STROKE_SHARE * self.size_hw[0])) | 1
        strokes = _strokes(np.rint(mean).astype(np.uint8), size_px)
        constant = (strokes & (deviation <= _constant_levels(deviation))).astype(np.uint8)
        grown = cv2.dilate(constant | self._blinking(constant, size_px), np.ones((2 * _GROW_PX + 1,) * 2, np.uint8))
        return np.asarray(grown, dtype=np.uint8)

    def _blinking(self, constant: Uint8s, size_px: int) -> Uint8s:
        """Strokes that come and go beside constant ones: the digits of a clock."""
        reach = 2 * round(_BLINK_REACH * size_px) + 1
        near = cv2.dilate(constant, np.ones((size_px, reach), np.uint8)) > 0
        come_and_go = (self._high.astype(np.int16) - self._low) >= _BLINK_LEVELS
        return (near & come_and_go & _strokes(self._high, size_px)).astype(np.uint8)


def _constant_levels(deviation: Float64s) -> float:
    """Up to what deviation a pixel counts as constant: far less than the noise of a pixel of the scene."""
    return float(np.clip(_CONSTANT_FACTOR * float(np.median(deviation)), *_CONSTANT_LEVELS))


def _strokes(image: Uint8s, size_px: int) -> NDArray[np.bool_]:
    """Where an image (h, w) differs much from its surroundings, in parts thinner than half of `size_px`."""
    return cv2.absdiff(image, cv2.medianBlur(image, size_px)) >= _STROKE_LEVELS
