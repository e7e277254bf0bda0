"""Memory of the process: freed blocks are kept for the next step, and a lack of memory is said in one line."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vr.runtime.errors import InputError

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
_LARGEST_BLOCK, _SPARE = 32 << 20, 512 << 20
# The last one: what torch says when the system has killed a process that loads images.
_LACKS = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "bad_alloc", "DataLoader worker (pid")


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


@contextmanager
def explained_lack_of_memory(batch: int) -> Iterator[None]:
    """Raises InputError instead of what torch and numpy raise when memory has run out. `batch`: pairs per step."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        raise InputError(
            f"out of memory with {batch} pairs per step; start a run with a smaller --batch or --size, or make room "
            "(fewer --workers need less) and add --resume: the last state is kept"
        ) from error


def _is_lack_of_memory(error: Exception) -> bool:
    # On a CPU torch raises a bare RuntimeError.
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(text in str(error) for text in _LACKS)
