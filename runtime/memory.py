"""Keeping a process that runs for months small."""

import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Any


def _find_trim() -> Callable[[int], Any] | None:
    """glibc's `malloc_trim`, None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


_MALLOC_TRIM = _find_trim()


def settle() -> None:
    """What is there once a run has begun stays: `give_back` need not look through it every time."""
    gc.collect()
    gc.freeze()


def unsettle() -> None:
    """Undoes `settle`: the process may go on without the run, and with its own objects."""
    gc.unfreeze()


def give_back() -> None:
    """Frees what only refers to itself, and gives freed memory back to the system where glibc keeps it.

    Decoders and encoders of connections and files that are over are small for Python, which would collect them hours
    later, and large for the system; frames of changing sizes, taken and freed by threads that come and go, leave holes
    in glibc's arenas. A few milliseconds.
    """
    gc.collect()
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
