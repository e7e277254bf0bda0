"""When a frame of a live stream was taken, on this machine's monotonic clock.

A stream over a network is late by a varying time. Where it carries timestamps of its own, the frames that came through
fastest show how that clock lies against ours, and all others are stamped by it (`MediaClock`); the constant rest of the
delay is what `--ir-offset-ms` is for. Where it carries none, frames are stamped as they arrive (`ArrivalClock`).
"""

from collections import deque
from statistics import median
from typing import Protocol

_MEMORY_S = 30.0
_STEADY_S, _RAISED_S, _STEADY_LAG_S = 2.0, 0.15, 0.1
_LONGEST_AGING_S = 0.25
_JUMP_S = 1.0
_GAP_S = 0.25
_GAP_STEPS = 3.0
_CALM_STEPS = 3
_STEPS = 15
_SETTLING_S = 0.25


class Clock(Protocol):
    """Stamps the frames of one connection, in the order of their arrival."""

    def stamp(self, media_s: float | None, arrival_s: float, was_there: bool = False) -> float | None:
        """Monotonic time, seconds; None: the frame is old and was only waiting somewhere, leave it out.

        media_s: the stream's own timestamp. arrival_s: monotonic time at which the frame was got. was_there: it had
        arrived before.
        """
        ...


class MediaClock:
    """Stamps by the stream's own timestamps: `media + min(arrival - media)` over the last 30 s in which frames came.

    The minimum forgets, so that a clock that drifts is followed (100 ppm are 3 ms in 30 s). A clock that jumps by more
    than a second against ours, in either direction, is believed at once, and one that has stood still meanwhile (all
    lags of 2 s are the same, and higher than before) after 2 s: a connection that is too slow has lags that change. The
    first quarter of a second, also after a jump, is left out: a connection begins with what had waited for it, and one
    frame alone may be late.
    """

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque()
        self._latest: deque[tuple[float, float]] = deque()
        self._age_s = 0.0
        self._last: tuple[float, float] | None = None
        self._start_s: float | None = None

    def stamp(self, media_s: float | None, arrival_s: float, was_there: bool = False) -> float | None:
        """See `Clock`."""
        if media_s is None:
            return arrival_s
        if self._last is not None:
            media_step_s, step_s = media_s - self._last[0], arrival_s - self._last[1]
            if media_step_s < -_JUMP_S or media_step_s - step_s > _JUMP_S:
                self._forget()
            # Nothing is learnt while nothing comes: what was held up meanwhile is not taken for new.
            self._age_s += min(step_s, _LONGEST_AGING_S)
        self._last = media_s, arrival_s
        self._learn(arrival_s - media_s)
        self._start_s = arrival_s if self._start_s is None else self._start_s
        if arrival_s - self._start_s < _SETTLING_S:
            return None
        return min(arrival_s, media_s + self._lags[0][1])

    def _forget(self) -> None:
        self._lags.clear()
        self._latest.clear()
        self._start_s = None

    def _learn(self, lag_s: float) -> None:
        """`_lags` holds rising ages and lags: its first is the smallest of the last 30 s."""
        self._latest.append((self._age_s, lag_s))
        while self._latest[0][0] < self._age_s - _STEADY_S:
            self._latest.popleft()
        if self._stood_still():
            self._lags.clear()
        while self._lags and self._lags[-1][1] >= lag_s:
            self._lags.pop()
        self._lags.append((self._age_s, lag_s))
        while self._lags[0][0] < self._age_s - _MEMORY_S:
            self._lags.popleft()

    def _stood_still(self) -> bool:
        lags_s = [lag_s for _, lag_s in self._latest]
        if not self._lags or self._latest[0][0] > self._age_s - _STEADY_S + _LONGEST_AGING_S:
            return False
        return min(lags_s) - self._lags[0][1] > _RAISED_S and max(lags_s) - min(lags_s) < _STEADY_LAG_S


class ArrivalClock:
    """Stamps by arrival, and leaves out what a held-up connection delivers in one go afterwards.

    At the beginning, and after a gap, what comes is old until three frames in a row had to be waited for. A gap is a
    quarter of a second, and three times the camera's usual step.
    """

    def __init__(self) -> None:
        self._steps_s: deque[float] = deque(maxlen=_STEPS)
        self._last_s: float | None = None
        self._calm = 0

    def stamp(self, media_s: float | None, arrival_s: float, was_there: bool = False) -> float | None:
        """See `Clock`."""
        last_s, self._last_s = self._last_s, arrival_s
        if last_s is None:
            return None
        step_s = arrival_s - last_s
        if step_s > max(_GAP_S, _GAP_STEPS * self._usual_step_s):
            self._calm = 0
        elif self._calm < _CALM_STEPS:
            self._calm = 0 if was_there else self._calm + 1
        self._steps_s.append(step_s)
        return arrival_s if self._calm >= _CALM_STEPS else None

    @property
    def _usual_step_s(self) -> float:
        return median(self._steps_s) if self._steps_s else 0.0
