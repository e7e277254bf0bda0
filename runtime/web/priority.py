"""Work for viewers comes after the pictures."""

import contextlib
import os
import sys
import threading

_NICE = 10


def step_back() -> None:
    """Gives the calling thread a low priority (Linux, where it belongs to the thread)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
