"""What a live run does right now, for supervisors: collected from its threads, read once a second."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from vr.runtime.alignment import State
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import LiveSource, Role, Source

CameraState = Literal["starting", "ok", "lost"]
"""starting: has given no frame yet. lost: gives none any more, and is being opened again."""
RunState = Literal["running", "ended", "starting", "degraded", "waiting", "stalled", "failed"]
"""From the best to the worst.

running: pictures come, of both cameras. ended: its end was reached, or asked for. starting: no picture yet. degraded:
pictures come, but something is wrong. waiting: no pictures, because cameras are known to give none; they are being
opened again. stalled: no pictures, and nobody knows why. failed: ended by an error.
"""
RUN_STATES: tuple[RunState, ...] = get_args(RunState)
STALL_S = 10.0
"""So long without a picture, or without word of a camera, and something is stuck."""
_WINDOW_S = 10.0
"""Rate and latency are those of so long."""


@dataclass(frozen=True)
class CameraStatus:
    """state, for how long, s; counters: whatever the camera counts, since the start."""

    state: CameraState
    since_s: float
    counters: dict[str, int]


@dataclass(frozen=True)
class PairStatus:
    """One moment of a pair.

    fps, latency_p50_ms, latency_p95_ms: of the outputs of the last 10 s. frames: outputs since the start, states: the
    same by state. since_output_s: None before the first. notices: what the last output said is wrong. error: of a pair
    that failed.
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


@dataclass
class _Camera:
    state: CameraState
    since_s: float
    heard_s: float
    counters: dict[str, int] = field(default_factory=dict[str, int])


class Status:
    """One pair; every method may be called from any thread."""

    def __init__(self, name: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._lock = threading.Lock()
        self._cameras: dict[Role, _Camera] = {}
        self._followed: dict[Role, LiveSource] = {}
        self._first_camera_s: float | None = None
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

    def camera(self, role: Role, state: CameraState, counters: Mapping[str, int]) -> None:
        """A camera is looked after, and this is how it is.

        To be called at every change, and every few seconds in between: word that is older than STALL_S does not count.
        """
        with self._lock:
            now_s = self._clock()
            if self._first_camera_s is None:
                self._first_camera_s = now_s
            known = self._cameras.get(role)
            since_s = now_s if known is None or known.state != state else known.since_s
            self._cameras[role] = _Camera(state, since_s, now_s, dict(counters))

    def follow(self, role: Role, source: Source) -> None:
        """From now on the camera is asked how it is whenever somebody wants to know; a recording is not."""
        if isinstance(source, LiveSource):
            self._followed[role] = source
            self._ask_cameras()

    def _ask_cameras(self) -> None:
        for role, source in self._followed.items():
            status = source.status
            gone: CameraState = "lost" if status.counts.get("frames") else "starting"
            self.camera(role, "ok" if status.state == "running" else gone, status.counts)

    def end(self, error: Exception | None = None) -> None:
        """The pair is done; with an error if it failed. The first call counts."""
        with self._lock:
            if self._end is not None:
                return
            self._end = "ended" if error is None else "failed"
            self._error = None if error is None else str(error)

    @property
    def is_ready(self) -> bool:
        """Whether it works: there was an output, or both cameras are looked after."""
        with self._lock:
            return self._frames > 0 or len(self._cameras) == len(get_args(Role)) or self._end is not None

    def snapshot(self) -> PairStatus:
        """How it is at this moment."""
        self._ask_cameras()
        with self._lock:
            now_s = self._clock()
            self._forget_old(now_s)
            latency_ms = [ms for _, ms in self._recent]
            p50, p95 = np.percentile(latency_ms, (50, 95)).tolist() if latency_ms else (None, None)
            return PairStatus(
                self._name,
                self._state(now_s),
                self._fps(now_s),
                self._frames,
                dict(self._states),
                None if self._last_s is None else now_s - self._last_s,
                p50,
                p95,
                {
                    role: CameraStatus(one.state, now_s - one.since_s, one.counters)
                    for role, one in self._cameras.items()
                },
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

    def _state(self, now_s: float) -> RunState:
        if self._end is not None:
            return self._end
        bad = [one for one in self._cameras.values() if one.state != "ok"]
        if self._last_s is not None and now_s - self._last_s < STALL_S:
            return "degraded" if bad or self._notices else "running"
        if any(now_s - one.heard_s < STALL_S for one in bad):
            return "waiting" if self._last_s is not None or any(one.state == "lost" for one in bad) else "starting"
        if self._last_s is None and (self._first_camera_s is None or now_s - self._first_camera_s < STALL_S):
            return "starting"
        return "stalled"


def overall(pairs: Sequence[PairStatus]) -> RunState:
    """The state of several pairs: the worst of those that have not ended; degraded if some have failed."""
    states: list[RunState] = [pair.state for pair in pairs]
    alive: list[RunState] = [state for state in states if state not in ("ended", "failed")]
    if not alive:
        return "failed" if "failed" in states else "ended"
    worst = max(alive, key=RUN_STATES.index)
    return "degraded" if worst == "running" and "failed" in states else worst
