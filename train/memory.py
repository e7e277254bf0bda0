"""Memory of the process: freed blocks are kept for the next step instead of being given back to the system."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
_LARGEST_BLOCK, _SPARE = 32 << 20, 512 << 20


def keep_freed_memory() -> bool:
    """Makes glibc serve blocks of up to 32 MiB from its heap and keep up to 512 MiB of it; returns whether it did.

    A training step on a CPU frees and asks again for the same blocks of 10 MiB some hundred times; with a system call
    and fresh pages for each, a step of the matching network takes a third longer.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (_MMAP_THRESHOLD, _LARGEST_BLOCK), (_TRIM_THRESHOLD, _SPARE), (_TOP_PAD, _LARGEST_BLOCK)
    return all(mallopt(name, value) == 1 for name, value in settings)
