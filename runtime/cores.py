"""How the stages of a live run share the CPU cores."""

import os

import cv2

from vr.runtime.errors import InputError

_MOST_THREADS = 4
"""More threads make these small networks and pictures hardly faster."""


def share_cores(threads: int | None = None) -> int:
    """Sets OpenCV's threads for the whole process, and returns those for the network.

    threads: what the user asks for; None for half of the cores, 1 to 4, because the network works beside the drawing of
    the frame before, and more threads than cores wait for each other. Raises InputError for less than 1.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; expected 1 or more")
    chosen = threads or max(1, min(_MOST_THREADS, available_cores() // 2))
    cv2.setNumThreads(chosen)
    return chosen


def available_cores() -> int:
    """Cores that this process may use; containers and `taskset` give fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
