"""The motion that one camera saw of late."""

import math
import threading
from collections import deque

import numpy as np

from vr.runtime.preprocess import Frame
from vr.runtime.time_offset.matching import MotionSeries
from vr.runtime.time_offset.motion import MOMENTS, Float32s, Float64s, motion_moments, motion_thumb, scene_change

LAG_S = 0.11
"""Motion is what changes over about this time: one interval of the usual 9 Hz infrared camera."""
WINDOW_S = 60.0
_SHORTEST_LAG_S, _LONGEST_LAG_S = 0.04, 0.3
_UNUSUAL_LAG = 1.5
_FORGET_GAP_S = 2.0
_MOST_SAMPLES = 4096
_MOST_THUMBS = 64


class MotionTrack:
    """`add` belongs to the camera's thread; `series` may be called by another."""

    def __init__(self) -> None:
        self._thumbs: deque[tuple[float, Float32s]] = deque(maxlen=_MOST_THUMBS)
        self._samples: deque[tuple[float, float, Float64s]] = deque(maxlen=_MOST_SAMPLES)
        self._size_hw: tuple[int, ...] = ()
        self._guard = threading.Lock()

    def add(self, frame: Frame, time_s: float) -> None:
        """A frame, `check_frame` says of which kind, and when it was taken.

        Left out are frames that repeat the one before (a camera that recalibrates, or a stream that is faster than its
        sensor), and those dated before it. After a gap, or a jump back, of more than 2 s all before is forgotten: a
        camera that was opened anew may be late by another time.
        """
        if not math.isfinite(time_s):
            return
        self._forget(frame.shape[:2], time_s)
        thumb = motion_thumb(frame)
        if self._thumbs and (time_s <= self._thumbs[-1][0] or np.array_equal(thumb, self._thumbs[-1][1])):
            return
        self._measure(thumb, time_s)
        self._thumbs.append((time_s, thumb))

    def series(self, window_s: float = WINDOW_S) -> MotionSeries:
        """What moved in the last `window_s`, at most 60; over the usual lag only, not where frames are missing."""
        with self._guard:
            samples = list(self._samples)
        numbers = np.array([(time_s, lag_s) for time_s, lag_s, _ in samples], dtype=np.float64).reshape(-1, 2)
        moments = np.array([values for _, _, values in samples], dtype=np.float64).reshape(-1, MOMENTS)
        if not len(samples):
            return MotionSeries(numbers[:, 0], moments)
        time_s, lag_s = numbers.T
        kept = (lag_s <= _UNUSUAL_LAG * np.median(lag_s)) & (time_s >= time_s[-1] - window_s)
        kept[1:] &= np.diff(np.maximum.accumulate(time_s)) > 0.0
        return MotionSeries(time_s[kept], moments[kept])

    def _forget(self, size_hw: tuple[int, ...], time_s: float) -> None:
        if self._size_hw != size_hw:
            self._thumbs.clear()
            self._size_hw = size_hw
        with self._guard:
            if self._samples and abs(time_s - self._samples[-1][0]) > _FORGET_GAP_S:
                self._samples.clear()
                self._thumbs.clear()
            while self._samples and self._samples[0][0] < time_s - WINDOW_S:
                self._samples.popleft()
        while self._thumbs and self._thumbs[0][0] < time_s - 2.0 * _LONGEST_LAG_S:
            self._thumbs.popleft()

    def _measure(self, thumb: Float32s, time_s: float) -> None:
        """The motion since the frame that is nearest to LAG_S old, dated in the middle of the two."""
        if not self._thumbs:
            return
        then_s, then = min(self._thumbs, key=lambda dated: abs(time_s - dated[0] - LAG_S))
        if not _SHORTEST_LAG_S <= time_s - then_s <= _LONGEST_LAG_S:
            return
        moments = motion_moments(scene_change(thumb, then))
        with self._guard:
            self._samples.append(((time_s + then_s) / 2.0, time_s - then_s, moments))
