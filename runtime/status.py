"""What a live run does right now, for supervisors: collected from its threads, read once a second."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vr.runtime.alignment import State
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import CameraStatus, LiveSource, Role, Source

RunState = Literal["running", "ended", "starting", "degraded", "waiting", "stalled", "failed"]
"""From the best to the worst.

running: pictures come, of both cameras. ended: its end was reached, or asked for. starting: no picture yet. degraded:
pictures come, but something is wrong. waiting: the pictures are empty, because no camera gives frames; they are being
opened again. stalled: no pictures, not even empty ones. failed: ended by an error.
"""
RUN_STATES: tuple[RunState, ...] = get_args(RunState)
STALL_S = 10.0
"""So long without an output, which come even while no camera gives frames, and something is stuck."""
_WINDOW_S = 10.0
"""Rate and latency are those of so long."""


@dataclass(frozen=True)
class PairStatus:
    """One moment of a pair.

    fps, latency_p50_ms, latency_p95_ms: of the outputs of the last 10 s. frames: outputs since the start, states: the
    same by state. since_output_s: None before the first. cameras: none of recordings. notices: what the last output
    said is wrong. error: of a pair that failed.
    """

    name: str
    state: RunState
    fps: float
    frames: int
    states: dict[State, int]
    since_output_s: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    cameras: dict[Role, CameraStatus]
    notices: tuple[str, ...]
    error: str | None = None


class Status:
    """One pair; every method may be called from any thread."""

    def __init__(self, name: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._lock = threading.Lock()
        self._cameras: dict[Role, LiveSource] = {}
        self._opened_s: float | None = None
        self._recent: deque[tuple[float, float]] = deque()
        self._frames = 0
        self._states: Counter[State] = Counter()
        self._last_s: float | None = None
        self._notices: tuple[str, ...] = ()
        self._end: RunState | None = None
        self._error: str | None = None

    def output(self, output: Output) -> None:
        """An output frame is done."""
        with self._lock:
            now_s = self._last_s = self._clock()
            self._frames += 1
            self._states[output.state] += 1
            self._notices = tuple(notice.what for notice in output.notices)
            self._recent.append((now_s, output.latency_ms["total"]))
            self._forget_old(now_s)

    def opened(self, sources: Mapping[Role, Source]) -> None:
        """The sources are open: what follows are outputs."""
        with self._lock:
            self._opened_s = self._clock()
            self._cameras = {role: source for role, source in sources.items() if isinstance(source, LiveSource)}

    def end(self, error: Exception | None = None) -> None:
        """The pair is done; with an error if it failed. The first call counts."""
        with self._lock:
            if self._end is not None:
                return
            self._end = "ended" if error is None else "failed"
            self._error = None if error is None else str(error)

    @property
    def is_ready(self) -> bool:
        """Whether it works: there was an output, or its cameras are looked after."""
        with self._lock:
            return self._frames > 0 or bool(self._cameras) or self._end is not None

    def snapshot(self) -> PairStatus:
        """How it is at this moment."""
        with self._lock:
            now_s = self._clock()
            self._forget_old(now_s)
            cameras: dict[Role, CameraStatus] = {role: source.status for role, source in self._cameras.items()}
            latency_ms = [ms for _, ms in self._recent]
            p50, p95 = np.percentile(latency_ms, (50, 95)).tolist() if latency_ms else (None, None)
            return PairStatus(
                self._name,
                self._state(now_s, cameras),
                self._fps(now_s),
                self._frames,
                dict(self._states),
                None if self._last_s is None else now_s - self._last_s,
                p50,
                p95,
                cameras,
                self._notices,
                self._error,
            )

    def _forget_old(self, now_s: float) -> None:
        while self._recent and now_s - self._recent[0][0] > _WINDOW_S:
            self._recent.popleft()

    def _fps(self, now_s: float) -> float:
        """Frames between the oldest that is remembered and now."""
        if len(self._recent) < 2:
            return 0.0
        return (len(self._recent) - 1) / max(now_s - self._recent[0][0], 1e-3)

    def _state(self, now_s: float, cameras: Mapping[Role, CameraStatus]) -> RunState:
        if self._end is not None:
            return self._end
        since_s = self._opened_s if self._last_s is None else self._last_s
        if since_s is not None and now_s - since_s >= STALL_S:
            return "stalled"
        if self._last_s is None:
            return "starting"
        lost = [camera for camera in cameras.values() if camera.state == "lost"]
        if lost and len(lost) == len(cameras):
            return "waiting"
        return "degraded" if lost or self._notices else "running"


def overall(pairs: Sequence[PairStatus]) -> RunState:
    """The state of several pairs: the worst of those that have not ended; degraded if some have failed."""
    states: list[RunState] = [pair.state for pair in pairs]
    alive: list[RunState] = [state for state in states if state not in ("ended", "failed")]
    if not alive:
        return "failed" if "failed" in states else "ended"
    worst = max(alive, key=RUN_STATES.index)
    return "degraded" if worst == "running" and "failed" in states else worst
