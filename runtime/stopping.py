"""Ending a run on Ctrl-C and SIGTERM without losing what it has written; opening its files again on SIGHUP."""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Ends one run: set by itself, or with all others by `everything`."""

    def __init__(self, everything: threading.Event | None = None) -> None:
        self._everything, self._own = everything, threading.Event()

    def set(self) -> None:
        """Ends this run."""
        self._own.set()

    def is_set(self) -> bool:
        """Whether the run is to end."""
        return self._own.is_set() or (self._everything is not None and self._everything.is_set())


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Generator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal acts as it did before.

    Outside the main thread, where Python allows no handlers, only the caller sets the event.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()


@contextmanager
def reopen_on_hangup(stop: threading.Event) -> Generator[threading.Event]:
    """An event that SIGHUP sets, as logrotate sends it after it has moved files away.

    At a terminal SIGHUP means that the terminal is gone: then it sets `stop`. A process that was started to ignore it
    (nohup) opens its files again too. Outside the main thread, and where there is no SIGHUP, only the caller sets it.
    """
    reopen = threading.Event()
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or threading.current_thread() is not threading.main_thread():
        yield reopen
        return
    before = signal.getsignal(hangup)
    wanted = stop if sys.stdin is not None and sys.stdin.isatty() else reopen
    signal.signal(hangup, lambda _number, _frame: wanted.set())
    try:
        yield reopen
    finally:
        signal.signal(hangup, before if before is not None else signal.SIG_DFL)


@contextmanager
def leave_stuck_threads() -> Generator[None]:
    """Where SystemExit leaves the block, ends the process at once if threads begun in it still hang in a driver.

    The interpreter's own end would tear them out of foreign code, which crashes now and then (seen with FFmpeg in
    CPython 3.11). Everything of the run has been closed before; what Python buffers is written here.
    """
    before = set(threading.enumerate())
    try:
        yield
    except SystemExit as end:
        if not any(thread.daemon and thread not in before for thread in threading.enumerate()):
            raise
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
