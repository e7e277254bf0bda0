"""Recognising a camera that gives the same picture again and again: while an infrared camera recalibrates (flat-field
correction, about a second), or because it hangs.

A bare camera then repeats its picture to the bit. Behind an H.264 encoder the picture first changes a little from frame
to frame, as the encoder mends it, and then hardly any more; the noise of a camera that sees something changes pixels in
every frame. So a run of pictures in which the mean of every cell stays what it was is one of repeats once one of the
last few frames was the same as the one before. A small thing that moves changes cells, slowly or fast.
"""

from collections import deque
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame
from vr.runtime.sources.base import Stamped

_STEP_LEVELS, _SAME_LEVELS = 3.0, 6.0
"""How much the mean of a cell may change from frame to frame, and since the run began."""
_LATEST = 15
_LEAST_STEP, _GRID_ROWS = 4, 120
_CELLS_WH, _SAMPLES_WH, _MOST_ROWS = (32, 24), (256, 192), 384

Cells = NDArray[np.float32]


class RepeatWatch:
    """A step of a source (`vr.runtime.sources.base.Step`): says since when pictures are alike, and if they repeat."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._since_s = 0.0
        self._first_cells = self._last_cells = np.empty((0, 0), np.float32)
        self._same: deque[bool] = deque(maxlen=_LATEST)

    def __call__(self, stamped: Stamped) -> Stamped:
        """The frame, with `since_s` if it is like the one before."""
        last, self._last = self._last, stamped.frame
        before, self._last_cells = self._last_cells, cells(stamped.frame)
        if last is None or not self._is_steady(stamped.frame, last, before):
            self._since_s, self._first_cells = stamped.time_s, self._last_cells
            self._same.clear()
            return stamped
        self._same.append(_is_same(stamped.frame, last))
        return replace(stamped, since_s=self._since_s, repeats=any(self._same))

    def _is_steady(self, frame: Frame, last: Frame, before: Cells) -> bool:
        if frame.shape != last.shape or frame.dtype != last.dtype:
            return False
        step, since = change(self._last_cells, before), change(self._last_cells, self._first_cells)
        return step < _STEP_LEVELS and since < _SAME_LEVELS


def cells(frame: Frame) -> Cells:
    """Mean of each cell of 24 rows of 32, float32 in the frame's levels, rounded where it has one channel; of frames
    with more than 384 rows from 64 pixels of each.
    """
    if frame.shape[0] > _MOST_ROWS:
        frame = cv2.resize(frame, _SAMPLES_WH, interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    small = cv2.resize(frame, _CELLS_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small.mean(axis=2) if small.ndim == 3 else small


def change(now: Cells, before: Cells) -> float:
    """The largest difference of two `cells`."""
    return float(np.abs(now - before).max())


def _is_same(frame: Frame, last: Frame) -> bool:
    """In every pixel of a grid over the frame."""
    step = max(_LEAST_STEP, frame.shape[0] // _GRID_ROWS)
    return np.array_equal(frame[::step, ::step], last[::step, ::step])
