"""What a file that grows for months needs from the disk, in a thread of its own: a slow disk holds up nobody."""

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

SYNC_S = 1.0
"""At a power cut so much is lost, and what the disk takes for one round."""
TIDY_S = 60.0
_MOST_WAITING = 32
_CLOSE_S = 10.0
_sync_data = getattr(os, "fdatasync", os.fsync)


class Upkeep:
    """Brings what was written to the disk about once a second, and at the end of each file; tidies once a minute.

    tidy: for example deletes old files; raises nothing.
    """

    def __init__(self, tidy: Callable[[], object] = lambda: None) -> None:
        self._tidy, self._next_tidy_s = tidy, 0.0
        self._changed = threading.Condition()
        self._followed: int | None = None
        self._ended: list[int] = []
        self._closing = False
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None

    def start(self) -> None:
        """Begins to tidy, before there is a file: only then there may be room for one."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
            self._thread.start()

    def follow(self, descriptor: int, path: Path) -> None:
        """From now on for this file, in place of the one before; waits if too many await their end. Raises OSError."""
        folders = [os.open(path.parent, os.O_RDONLY)] if hasattr(os, "O_DIRECTORY") else []
        self.leave()
        with self._changed:
            self._changed.wait_for(lambda: len(self._ended) < _MOST_WAITING)
            self._ended += folders  # so that the file's name lasts as well
            self._followed = os.dup(descriptor)
            self._next_tidy_s = 0.0
            self._changed.notify_all()
        self.start()

    def leave(self) -> None:
        """The file is complete: it is brought to the disk once more."""
        with self._changed:
            if self._followed is not None:
                self._ended.append(self._followed)
            self._followed = None
            self._changed.notify_all()

    def check(self) -> None:
        """Raises the OSError that the disk answered with since the last call."""
        with self._changed:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Waits until all is on the disk. Raises OSError if it is not after `_CLOSE_S`, or `check` would."""
        self.leave()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
            if self._thread.is_alive():
                raise OSError(errno.ETIMEDOUT, f"the disk did not take it within {_CLOSE_S:g} s")
        self.check()

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._ended, timeout=SYNC_S)
                closing = self._closing
                ended, self._ended = self._ended, []
                self._changed.notify_all()
                followed = [] if self._followed is None else [self._followed]
            for descriptor in [*ended, *followed]:
                self._sync(descriptor)
            for descriptor in ended:  # nobody else closes them
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            if time.monotonic() >= self._next_tidy_s:
                self._next_tidy_s = time.monotonic() + TIDY_S
                self._tidy()

    def _sync(self, descriptor: int) -> None:
        try:
            _sync_data(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a pipe has nothing to bring to a disk
                self._failure = error
