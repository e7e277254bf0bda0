"""Recognising a camera that gives the same picture again and again: while an infrared camera recalibrates (flat-field
correction, about a second), or because it hangs.

A bare camera then repeats its picture to the bit. Behind an H.264 encoder a few blocks differ from frame to frame, as
it mends them, where the noise of a camera that sees something changes most pixels. So a run of repeats also goes on
over frames in which few pixels changed, or that follow several such, while the mean of every cell stays what it was as
the run began: something small that moves in front of nothing changes few pixels too.
"""

from collections import deque
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame
from vr.runtime.sources.base import Stamped

_LEAST_STEP, _GRID_ROWS = 4, 120
_FEW = 0.05
_STEP_LEVELS, _SAME_LEVELS = 2.0, 5.0
"""How much the mean of a cell may change from frame to frame, and since the run began: encoders mend bit by bit."""
_LATEST, _LEAST_SAME = 15, 2
_CELLS_WH = (32, 24)

Cells = NDArray[np.float32]


class RepeatWatch:
    """A step of a source (`vr.runtime.sources.base.Step`): says in `since_s` since when the picture is the same."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._since_s: float | None = None
        self._first_cells: Cells | None = None
        self._last_cells: Cells | None = None
        self._few: deque[bool] = deque(maxlen=_LATEST)

    def __call__(self, stamped: Stamped) -> Stamped:
        """The frame, with `since_s` if it repeats."""
        frame, last = stamped.frame, self._last
        self._last = frame
        changed = 1.0 if last is None else changed_share(frame, last)
        self._few.append(changed < _FEW)
        if last is None or not self._goes_on(frame, last, changed):
            self._since_s, self._first_cells = stamped.time_s, None
            self._few.clear()
            return stamped
        return replace(stamped, since_s=self._since_s)

    def _goes_on(self, frame: Frame, last: Frame, changed: float) -> bool:
        if changed == 0.0 and np.array_equal(frame, last):
            return True
        if changed >= _FEW and sum(self._few) < _LEAST_SAME:
            return False
        if self._first_cells is None or self._last_cells is None:
            self._first_cells = self._last_cells = cells(last)
        before, self._last_cells = self._last_cells, cells(frame)
        return (
            change(self._last_cells, before) < _STEP_LEVELS
            and change(self._last_cells, self._first_cells) < _SAME_LEVELS
        )


def cells(frame: Frame) -> Cells:
    """Mean of each cell of 24 rows of 32, float32 in the frame's levels."""
    small = cv2.resize(frame.astype(np.float32), _CELLS_WH, interpolation=cv2.INTER_AREA)
    return small.mean(axis=2) if small.ndim == 3 else small  # type: ignore[return-value]


def change(now: Cells, before: Cells) -> float:
    """The largest difference of two `cells`."""
    return float(np.abs(now - before).max())


def changed_share(frame: Frame, last: Frame) -> float:
    """Share of the pixels that differ, 0 to 1, from those of a grid over the frame; 1 for another size or type."""
    if frame.shape != last.shape or frame.dtype != last.dtype:
        return 1.0
    step = max(_LEAST_STEP, frame.shape[0] // _GRID_ROWS)
    different: NDArray[np.bool_] = frame[::step, ::step] != last[::step, ::step]
    return float(different.mean())
