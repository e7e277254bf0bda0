"""Keeping a process that runs for months small."""

import ctypes
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


def give_back() -> None:
    """Gives freed memory back to the system where glibc keeps it: frames of changing sizes, taken and freed by threads
    that come and go with their cameras, leave holes in its arenas. A few milliseconds; nothing where there is no glibc.
    """
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)
