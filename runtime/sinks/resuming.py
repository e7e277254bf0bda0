"""Outputs of cameras that go on after the disk was full, slow or gone."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from vr.runtime.errors import OutputError
from vr.runtime.notices import Notice
from vr.runtime.sinks.base import Output, Reopenable, Sink

RETRY_S = 5.0
SLOW_S = 5.0
"""An output counts as slow for so long after it lost a frame, once it lost `SLOW_FRAMES` no further apart than that."""
SLOW_FRAMES = 10
PROVEN_S = 2.0
"""After an error an output counts as on again once it was written to for so long: the first bytes fit on any disk."""
_STUCK_S = 2.0
_ROOM_CHECK_S = 1.0


class ResumingSink:
    """A sink whose errors do not end the run: frames are left out, and it is tried again every `RETRY_S`.

    It says so once when it begins and once when it ends; in between `notice` tells: `recording off`, or `recording
    slow` while the queue before the sink overflows (`SLOW_S`) or one frame takes longer than 2 s.
    """

    def __init__(
        self, sink: Sink, what: str, path: Path, say: Callable[[str], None], keep_free_mb: float = 0.0
    ) -> None:
        """what: `recording`, for notices. path: what it writes, for messages. keep_free_mb: with less free in its
        folder (MB of 10^6 bytes) nothing is written.
        """
        self.sink, self.what = sink, what
        self.wants_picture = sink.wants_picture
        self.lost = 0
        self._path, self._say, self._keep_free_mb = path, say, keep_free_mb
        self._off_since_s: float | None = None
        self._good_since_s: float | None = None
        self._slow_since_s = self._slow_until_s = 0.0
        self._slow_lost = 0
        self._busy_since_s: float | None = None
        self._retry_s = self._room_check_s = 0.0
        self._lost_before = 0
        self._next_index: int | None = None

    @property
    def notice(self) -> Notice | None:
        """See `Troubled`."""
        now_s, off_s, busy_s = time.monotonic(), self._off_since_s, self._busy_since_s
        if off_s is not None:
            return Notice(f"{self.what} off", now_s - off_s)
        if now_s < self._slow_until_s and self._slow_lost >= SLOW_FRAMES:
            return Notice(f"{self.what} slow", now_s - self._slow_since_s)
        if busy_s is not None and now_s - busy_s > _STUCK_S:
            return Notice(f"{self.what} slow", now_s - busy_s)
        return None

    def write(self, output: Output) -> None:
        """See `Sink`; raises nothing that can be waited for."""
        now_s = time.monotonic()
        self._note_gap(output.index, now_s)
        if self._off_since_s is not None and now_s < self._retry_s:
            self.lost += 1
            return
        self._busy_since_s = now_s
        try:
            self._check_room(now_s)
            self.sink.write(output)
        except OutputError as error:
            self._fail(error, now_s)
        else:
            self._succeed(now_s)
        finally:
            self._busy_since_s = None

    def reopen(self) -> None:
        """See `Reopenable`; nothing for a sink that is none."""
        if isinstance(self.sink, Reopenable):
            self.sink.reopen()

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        return self.sink.close(complete)

    def _note_gap(self, index: int, now_s: float) -> None:
        """Numbers that are missing were dropped by the queue before this sink."""
        gap = 0 if self._next_index is None else index - self._next_index
        self._next_index = index + 1
        if gap <= 0:
            return
        if now_s >= self._slow_until_s:
            self._slow_since_s, self._slow_lost = now_s, 0
        self._slow_until_s = now_s + SLOW_S
        was_slow = self._slow_lost >= SLOW_FRAMES
        self._slow_lost += gap
        if self._slow_lost >= SLOW_FRAMES and not was_slow:
            self._say(f"{self.what} slow: the disk cannot follow, frames of {self._path} are left out")

    def _check_room(self, now_s: float) -> None:
        """About once a second. Raises OutputError if too little is free, or the folder is gone."""
        if now_s < self._room_check_s:
            return
        try:
            free_mb = shutil.disk_usage(self._path.parent).free / 1e6
        except OSError as error:
            raise OutputError(f"folder {self._path.parent}: {error.strerror}") from error
        if free_mb < self._keep_free_mb:
            raise OutputError(
                f"{free_mb:.0f} MB free in {self._path.parent}, expected {self._keep_free_mb:g} (--keep-free-mb)"
            )
        self._room_check_s = now_s + _ROOM_CHECK_S

    def _fail(self, error: OutputError, now_s: float) -> None:
        self.lost += 1
        self._good_since_s = None
        self._retry_s = now_s + RETRY_S
        self._room_check_s = 0.0
        if self._off_since_s is None:
            self._off_since_s, self._lost_before = now_s, self.lost - 1
            self._say(f"{self.what} off: {error}; trying again every {RETRY_S:g} s")

    def _succeed(self, now_s: float) -> None:
        if self._off_since_s is None:
            return
        self._good_since_s = now_s if self._good_since_s is None else self._good_since_s
        if now_s - self._good_since_s >= PROVEN_S:
            off_s, lost = self._good_since_s - self._off_since_s, self.lost - self._lost_before
            self._off_since_s = None
            self._say(f"{self.what} on again: {self._path}, after {off_s:.0f} s, without {lost} frames")
