"""The last minutes of a pair, once a second."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vr.runtime.web.pair import WebPair, skew_ms

PERIOD_S = 1.0
LENGTH = 300
"""Five minutes."""


@dataclass(frozen=True)
class _Moment:
    time_s: float
    fps: float
    latency_ms: float | None
    confidence: float | None
    skew_ms: float | None
    state: str


class History:
    """Rings of `LENGTH` moments; `sample` is called once a second."""

    def __init__(self, pair: WebPair, clock: Callable[[], float] = time.monotonic) -> None:
        self._pair, self._clock = pair, clock
        self._moments: deque[_Moment] = deque(maxlen=LENGTH)
        self._last: tuple[float, int] | None = None

    def sample(self) -> None:
        """Takes down how it is now; fps is that since the last time."""
        now_s, now, newest = self._clock(), self._pair.status.snapshot(), self._pair.sink.newest
        last_s, frames = self._last or (now_s, now.frames)
        self._last = now_s, now.frames
        alignment = None if newest is None else newest.alignment
        fps = (now.frames - frames) / (now_s - last_s) if now_s > last_s else 0.0
        latency_ms = None if newest is None else round(newest.latency_ms["total"], 2)
        confidence = None if alignment is None or alignment.confidence is None else round(alignment.confidence, 3)
        state = "refused" if newest is None else newest.state
        self._moments.append(_Moment(now_s, round(fps, 2), latency_ms, confidence, skew_ms(newest), state))

    def as_json(self) -> dict[str, Any]:
        """Lists of the same length, the oldest first; time_s: how long ago."""
        now_s, moments = self._clock(), list(self._moments)
        return {
            "period_s": PERIOD_S,
            "time_s": [round(now_s - one.time_s, 2) for one in moments],
            **{
                key: [getattr(one, key) for one in moments]
                for key in ("fps", "latency_ms", "confidence", "skew_ms", "state")
            },
        }
