"""Pixels of a thermal sensor that are dead or stuck: learnt while the video runs, and replaced."""

import cv2
import numpy as np
from numpy.typing import NDArray

Uint16Array = NDArray[np.uint16]

LOOK_EVERY_S = 0.2
_MEMORY_LOOKS = 25
"""So many looks back count: a pixel that stands out in all of them is known after 5 s."""
_DEAD_ABOVE, _ALIVE_BELOW = 0.63, 0.4
"""Shares of what is remembered. From nothing, 0.63 is reached after `_MEMORY_LOOKS` looks in a row."""
_NOISE_TIMES = 10.0
_STEP_AT_LEAST = 16.0
_ALONE_BY = 0.85
"""Through a lens a point of light in the middle of a pixel gives its neighbours more than what is left of it."""
_MOST_SHARE = 0.01
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


class DeadPixels:
    """Frames of one video, (h, w) uint16, in order; learns, and replaces what it knows by the median around.

    Dead is what stands out alone for seconds. A hot spot that moves does not stay; one that stays is blurred by the
    lens, so that its neighbours are warm too. Two dead pixels side by side are not found.
    """

    def __init__(self) -> None:
        self._often: NDArray[np.float32] | None = None
        self._dead = np.zeros((0, 2), np.intp)
        self._is_dead = np.zeros((0, 0), np.bool_)
        self._last_s = 0.0

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._dead)

    def __call__(self, frame: Uint16Array, time_s: float) -> Uint16Array:
        """The frame without them; the same object where none is known. A new size starts anew."""
        if self._often is None or self._often.shape != frame.shape:
            self._often, self._is_dead = np.zeros(frame.shape, np.float32), np.zeros(frame.shape, np.bool_)
            self._dead, self._last_s = np.zeros((0, 2), np.intp), time_s - LOOK_EVERY_S
        if abs(time_s - self._last_s) >= LOOK_EVERY_S * 0.99:
            self._look(self._often, frame)
            self._last_s = time_s
        return self._replaced(frame) if self.count else frame

    def _look(self, often: NDArray[np.float32], frame: Uint16Array) -> None:
        cv2.accumulateWeighted(_standing_out(frame), often, 1.0 / _MEMORY_LOOKS)
        self._is_dead = (often > _DEAD_ABOVE) | (self._is_dead & (often > _ALIVE_BELOW))
        dead = np.argwhere(self._is_dead)
        # So many at once are no defects: a pattern, or text that is burnt in.
        self._dead = dead if len(dead) <= max(_MOST_SHARE * frame.size, 1.0) else dead[:0]

    def _replaced(self, frame: Uint16Array) -> Uint16Array:
        """Each by the median of the neighbours that are alive."""
        h, w = frame.shape
        offsets = np.argwhere(_RING) - 1
        rows = np.clip(self._dead[:, :1] + offsets[:, 0], 0, h - 1)
        columns = np.clip(self._dead[:, 1:] + offsets[:, 1], 0, w - 1)
        around = frame[rows, columns].astype(np.float64)
        around[self._is_dead[rows, columns]] = np.nan
        known = ~np.isnan(around).all(axis=1)
        out = frame.copy()
        out[tuple(self._dead[known].T)] = np.nanmedian(around[known], axis=1).astype(np.uint16)
        return out


def _standing_out(frame: Uint16Array) -> NDArray[np.uint8]:
    """(h, w) uint8, 1 where a pixel differs from the 5x5 median by far more than noise, and nearly as much from each of
    its neighbours.
    """
    differs = cv2.absdiff(frame, cv2.medianBlur(frame, 5))
    least = max(_STEP_AT_LEAST, _NOISE_TIMES * float(np.median(differs[::4, ::4])))
    above, below = cv2.subtract(frame, cv2.dilate(frame, _RING)), cv2.subtract(cv2.erode(frame, _RING), frame)
    alone = cv2.max(above, below).astype(np.float32)
    return ((differs > least) & (alone > _ALONE_BY * differs)).astype(np.uint8)
