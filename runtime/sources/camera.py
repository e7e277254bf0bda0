"""Cameras and network streams that are kept alive: watched, closed when they stall, and opened again for ever.

    supervisor thread:  open -> [session thread: read, stamp, steps, newest frames] -> broken off or silent
                          ^                                                                  |
                          +----- wait 1, 2, 4 ... 30 s, less once it is there again <---------+

A thread of its own reads every frame, since FFmpeg and drivers queue what is not read and the picture would grow older
and older (opencv#23430). A session that hangs in a driver is left behind, and closes itself once the driver returns.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from vr.runtime.errors import StreamError
from vr.runtime.sources.base import CameraStatus, Stamped, Step
from vr.runtime.sources.capture import OPEN_TIMEOUT_S, Capture, OpenCapture
from vr.runtime.sources.decoding import FALLBACK_FPS
from vr.runtime.sources.presence import Presence, always_there

STALL_AFTER_S = 3.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
_STABLE_S = 3.0
"""A session that gave frames for so long ends the series of waits: the next one begins with the shortest."""
_WATCH_STEP_S = 0.1
_PROBE_EVERY_S = 1.0
_JOIN_S = 1.0
_WAIT_STEP_S = 0.1
_FRAMES_KEPT = 2
_MOST_LEFT_BEHIND = 2


@dataclass
class CameraCounts:
    """What happened to a camera so far.

    frames: good frames. decode_errors: damaged ones. late: old ones that a held-up connection delivered afterwards, or
    that came out of order. changes: of the picture's size or type. stalls: times it was silent for too long.
    breaks: times the connection broke off, or gave up while opening. reconnects: times it was opened again.
    """

    frames: int = 0
    decode_errors: int = 0
    late: int = 0
    changes: int = 0
    stalls: int = 0
    breaks: int = 0
    reconnects: int = 0

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return asdict(self)


@dataclass(frozen=True)
class Watch:
    """stall_after_s: a camera that gives nothing for so long is closed and opened again. open_timeout_s: how long it
    may take to open; a connection gives up by itself then, and knows why, so it gets `open_grace_s` more.
    wait_for_camera: one that is not there at the start is waited for, instead of being an error.
    """

    stall_after_s: float = STALL_AFTER_S
    open_timeout_s: float = OPEN_TIMEOUT_S
    open_grace_s: float = 2.0
    wait_for_camera: bool = False


@dataclass
class _Session:
    """One connection and its thread."""

    state: Literal["opening", "open", "over"] = "opening"
    started_s: float = field(default_factory=time.monotonic)
    last_s: float | None = None
    abandoned: bool = False
    why: str = ""
    error: Exception | None = None
    thread: threading.Thread | None = None


class CameraSource:
    """The newest frames of a camera. See `LiveSource`."""

    live = True
    length = None

    def __init__(
        self,
        name: str,
        open_capture: OpenCapture,
        watch: Watch | None = None,
        steps: Sequence[Step] = (),
        presence: Presence = always_there,
        role: str = "other",
    ) -> None:
        """Starts. Unless told to wait for the camera, raises StreamError or InputError if it cannot be opened.

        open_capture: called for every connection, in a thread. steps: what is done to every frame, in order.
        presence: a cheap look whether the camera is there, between two tries. role: names its logger.
        """
        self.name = name
        self.fps = FALLBACK_FPS
        self.counts = CameraCounts()
        self._open_capture, self._watch = open_capture, watch or Watch()
        self._steps, self._presence = tuple(steps), presence
        self._log = logging.getLogger(f"vr.camera.{role}")
        self._news = threading.Condition()
        self._kept: deque[Stamped] = deque()
        self._keep_s = 0.0
        self._read_index = -1
        self._stop = threading.Event()
        self._left_behind: list[threading.Thread] = []
        self._session = self._new_session()
        self._supervisor = threading.Thread(target=self._supervise, name=f"supervisor {name}", daemon=True)
        if not self._watch.wait_for_camera:
            self._wait_until_open()
        self._supervisor.start()

    def keep(self, seconds: float) -> None:
        """See `LiveSource`."""
        self._keep_s = max(0.0, seconds)

    def recent(self) -> list[Stamped]:
        """See `LiveSource`."""
        with self._news:
            return list(self._kept)

    def wait_newer(self, index: int, wait_s: float) -> bool:
        """See `LiveSource`."""
        with self._news:
            return self._news.wait_for(lambda: bool(self._kept) and self._kept[-1].index > index, timeout=wait_s)

    @property
    def status(self) -> CameraStatus:
        """See `LiveSource`."""
        session, now_s = self._session, time.monotonic()
        with self._news:
            last_s = self._kept[-1].time_s if self._kept else session.started_s
        silent_s = now_s - (session.last_s or last_s)
        running = session.state == "open" and session.last_s is not None and silent_s <= self._watch.stall_after_s
        return CameraStatus("running" if running else "lost", now_s - last_s, self.counts.as_dict())

    def read(self) -> Stamped | None:
        """Waits for a frame newer than the last one; None after `close`."""
        while not self._stop.is_set():
            if self.wait_newer(self._read_index, _WAIT_STEP_S):
                newest = self.recent()[-1]
                self._read_index = newest.index
                return newest
        return None

    def close(self) -> None:
        """Asks the threads to end and waits for them, at most a second; one that hangs in a driver ends by itself."""
        self._stop.set()
        self._session.abandoned = True
        end_s = time.monotonic() + _JOIN_S
        for thread in (self._supervisor, self._session.thread):
            if thread is not None and thread.is_alive() and thread is not threading.current_thread():
                thread.join(max(0.0, end_s - time.monotonic()))

    # The supervisor's thread

    def _wait_until_open(self) -> None:
        while self._session.state == "opening" and not self._is_silent(self._session):
            time.sleep(0.005)
        session = self._session
        if session.state == "open":
            return
        self._stop.set()
        session.abandoned = True
        if session.error is not None:
            raise session.error
        raise StreamError(f"{self.name} did not answer within {self._watch.open_timeout_s:g} s; check it and its cable")

    def _supervise(self) -> None:
        wait_s = 0.5 * FIRST_WAIT_S
        while not self._stop.is_set():
            stable = self._watch_session()
            if self._stop.is_set():
                return
            wait_s = FIRST_WAIT_S if stable else min(2.0 * wait_s, LONGEST_WAIT_S)
            self._log.warning("%s: %s; trying again within %.0f s", self.name, self._session.why, wait_s)
            self._left_behind += [] if self._session.thread is None else [self._session.thread]
            self._pause(wait_s)
            if not self._stop.is_set():
                self._session = self._new_session()

    def _watch_session(self) -> bool:
        """Until it is over, or silent for too long; whether it had been stable."""
        session = self._session
        while not self._stop.wait(_WATCH_STEP_S) and session.state != "over":
            if self._is_silent(session):
                session.abandoned = True
                was_open, limit_s = session.state == "open", self._limit_s(session)
                self.counts.stalls += was_open
                self.counts.breaks += not was_open
                session.why = f"no {'frame' if was_open else 'answer'} for {limit_s:g} s"
                break
        else:
            self.counts.breaks += not self._stop.is_set()
        return session.last_s is not None and session.last_s - session.started_s >= _STABLE_S

    def _limit_s(self, session: _Session) -> float:
        watch = self._watch
        return watch.stall_after_s if session.state == "open" else watch.open_timeout_s + watch.open_grace_s

    def _is_silent(self, session: _Session) -> bool:
        return time.monotonic() - (session.last_s or session.started_s) > self._limit_s(session)

    def _pause(self, wait_s: float) -> None:
        """Waits, but no longer than until the camera appears again, and while too many sessions hang."""
        end_s, was_there = time.monotonic() + wait_s, self._presence()
        while not self._stop.wait(min(_PROBE_EVERY_S, max(_WATCH_STEP_S, end_s - time.monotonic()))):
            self._left_behind = [thread for thread in self._left_behind if thread.is_alive()]
            if len(self._left_behind) >= _MOST_LEFT_BEHIND:
                continue
            if time.monotonic() >= end_s:
                return
            is_there = self._presence()
            if is_there and not was_there:
                return
            was_there = is_there

    # The session's thread

    def _new_session(self) -> _Session:
        session = _Session()
        session.thread = threading.Thread(target=self._run, args=(session,), name=f"camera {self.name}", daemon=True)
        session.thread.start()
        return session

    def _run(self, session: _Session) -> None:
        capture: Capture | None = None
        try:
            capture = self._open_capture()
            session.state = "open"
            self._opened(capture, session)
            self._read_until_over(capture, session)
        except Exception as error:
            # Whatever a driver throws, the supervisor tries again.
            session.error, session.why = error, str(error) or type(error).__name__
        finally:
            if capture is not None:
                capture.close()
            session.state = "over"

    def _opened(self, capture: Capture, session: _Session) -> None:
        self.fps = capture.fps
        session.last_s = session.started_s = time.monotonic()
        if self._kept or self.counts.breaks or self.counts.stalls:
            self.counts.reconnects += 1
            self._log.warning("%s: open again", self.name)

    def _read_until_over(self, capture: Capture, session: _Session) -> None:
        errors = skipped = 0
        while not self._stop.is_set() and not session.abandoned:
            grabbed = capture.read()
            session.last_s = time.monotonic()
            self.counts.decode_errors += capture.decode_errors - errors
            self.counts.late += capture.skipped - skipped
            errors, skipped = capture.decode_errors, capture.skipped
            if session.abandoned:
                return
            newest_s = self._kept[-1].time_s if self._kept else float("-inf")
            if grabbed.time_s is None or grabbed.time_s <= newest_s:
                self.counts.late += 1
                continue
            self._take(Stamped(grabbed.frame, grabbed.time_s, self.counts.frames))

    def _take(self, stamped: Stamped) -> None:
        for step in self._steps:
            stamped = step(stamped)
        if self._kept and _kind(self._kept[-1]) != _kind(stamped):
            self.counts.changes += 1
        with self._news:
            self.counts.frames += 1
            self._kept.append(stamped)
            while len(self._kept) > _FRAMES_KEPT and self._kept[1].time_s < stamped.time_s - self._keep_s:
                self._kept.popleft()
            self._news.notify_all()


def _kind(stamped: Stamped) -> tuple[object, ...]:
    return stamped.frame.shape, stamped.frame.dtype
