"""How the stages of a live run share the CPU cores."""

import os
from dataclasses import dataclass

import cv2

from vr.runtime.errors import InputError

_MOST_THREADS = 4
"""More threads make these small networks and pictures hardly faster."""


@dataclass(frozen=True)
class Shares:
    """threads: of one run of the network, and of OpenCV. workers: pairs of a recording that are looked at together."""

    threads: int
    workers: int


def share_cores(threads: int | None, live: bool) -> Shares:
    """Sets OpenCV's threads for the whole process, and returns what there is for the network.

    threads: what the user asks for; None: for cameras half of the cores, 1 to 4, because the network works beside the
    drawing of the frame before, and more threads than cores wait for each other; for recordings 1, and as many workers
    as cores, because separate pairs need not wait for each other. Raises InputError for less than 1.
    """
    check_threads(threads)
    cores = available_cores()
    chosen = threads or (max(1, min(_MOST_THREADS, cores // 2)) if live else 1)
    cv2.setNumThreads(chosen)
    return Shares(chosen, max(1, cores // chosen))


def check_threads(threads: int | None) -> None:
    """Raises InputError for less than one."""
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; expected 1 or more")


def available_cores() -> int:
    """Cores that this process may use; containers and `taskset` give fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
