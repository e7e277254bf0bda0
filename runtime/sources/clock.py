"""When a frame of a live stream was taken, on this machine's monotonic clock.

A stream over a network is late by a varying time. Where it carries timestamps of its own, the frames that came through
fastest show how that clock lies against ours, and all others are stamped by it (`MediaClock`); the constant rest of the
delay is what `--ir-offset-ms` is for. Where it carries none, frames are stamped as they arrive (`ArrivalClock`).
"""

from collections import deque
from statistics import median
from typing import Protocol

_MEMORY_S = 3.0
_LONGEST_AGING_S = 0.25
_JUMP_S = 1.0
_GAP_S = 0.25
_GAP_PERIODS = 3.0
_BACKLOG_PERIODS = 0.5
_CALM_STEPS = 3
_SETTLING_S = 0.25
_LONGEST_BACKLOG_S = 2.0
_SHORTEST_PERIOD_S = 0.01
_STEPS = 15


class Clock(Protocol):
    """Stamps the frames of one connection, in the order of their arrival."""

    def stamp(self, media_s: float | None, arrival_s: float) -> float | None:
        """Monotonic time, seconds; None: the frame is old and was only waiting somewhere, leave it out.

        media_s: the stream's own timestamp. arrival_s: monotonic time at which the frame was there.
        """
        ...


class MediaClock:
    """Stamps by the stream's own timestamps: `media + min(arrival - media)` over the last 3 s in which frames came.

    The minimum forgets, so that a clock that drifts is followed (100 ppm are 0.3 ms in 3 s). A clock that jumps by more
    than a second against ours, in either direction, is believed at once. The first quarter of a second is left out: a
    connection begins with what had waited for it.
    """

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque()
        self._age_s = 0.0
        self._last: tuple[float, float] | None = None
        self._start_s: float | None = None

    def stamp(self, media_s: float | None, arrival_s: float) -> float | None:
        """See `Clock`."""
        if media_s is None:
            return arrival_s
        if self._last is not None:
            media_step_s, step_s = media_s - self._last[0], arrival_s - self._last[1]
            if media_step_s < -_JUMP_S or media_step_s - step_s > _JUMP_S:
                self._lags.clear()
            # Nothing is learnt while nothing comes: what was held up meanwhile is not taken for new.
            self._age_s += min(step_s, _LONGEST_AGING_S)
        self._last = media_s, arrival_s
        self._learn(arrival_s - media_s)
        self._start_s = arrival_s if self._start_s is None else self._start_s
        if arrival_s - self._start_s < _SETTLING_S:
            return None
        return min(arrival_s, media_s + self._lags[0][1])

    def _learn(self, lag_s: float) -> None:
        """`_lags` holds rising ages and lags: its first is the smallest of the last 3 s."""
        while self._lags and self._lags[-1][1] >= lag_s:
            self._lags.pop()
        self._lags.append((self._age_s, lag_s))
        while self._lags[0][0] < self._age_s - _MEMORY_S:
            self._lags.popleft()


class Pace:
    """How fast a camera usually is, over all its connections: the median of its last steps between two frames."""

    def __init__(self) -> None:
        self._steps_s: deque[float] = deque(maxlen=_STEPS)

    def learn(self, step_s: float) -> None:
        """One step between two frames that were new when they came."""
        self._steps_s.append(step_s)

    @property
    def period_s(self) -> float:
        """At the beginning that of a fast camera, of which nothing is left out."""
        return median(self._steps_s) if self._steps_s else _SHORTEST_PERIOD_S


class ArrivalClock:
    """Stamps by arrival, and leaves out what a held-up connection delivers in one go afterwards.

    At the beginning and after a gap the frames that come much faster than the camera takes them are old: new are they
    again once three in a row came at half the usual period or more; after two seconds all are, since the camera may be
    faster now.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._last_s: float | None = None
        self._backlog_until_s, self._calm = 0.0, 0

    def stamp(self, media_s: float | None, arrival_s: float) -> float | None:
        """See `Clock`."""
        last_s, self._last_s = self._last_s, arrival_s
        if last_s is None:
            self._backlog_until_s = arrival_s + _LONGEST_BACKLOG_S
            return None
        step_s, period_s = arrival_s - last_s, self._pace.period_s
        is_gap = step_s > max(_GAP_S, _GAP_PERIODS * period_s)
        is_calm = step_s >= _BACKLOG_PERIODS * period_s
        if is_gap:
            self._backlog_until_s, self._calm = arrival_s + _LONGEST_BACKLOG_S, 0
        elif arrival_s < self._backlog_until_s:
            self._calm = self._calm + 1 if is_calm else 0
        else:
            self._calm = _CALM_STEPS
        if is_gap or is_calm or self._calm >= _CALM_STEPS:
            self._pace.learn(step_s)
        if self._calm < _CALM_STEPS:
            return None
        self._backlog_until_s = 0.0
        return arrival_s
