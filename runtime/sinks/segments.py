"""The names of a recording's files, when the next one is due, and which old ones are deleted."""

import contextlib
import math
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Protocol

from vr.runtime.sinks.targets import FileTarget, Target, check_writable, create_first_free
from vr.runtime.storage import SegmentLimit

_TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_DAY_S = 86400.0


class Files(Target, Protocol):
    """The files of one recording, one after the other."""

    @property
    def limit(self) -> SegmentLimit:
        """When the next one is due."""
        ...

    def discard(self) -> None:
        """Removes the file that was made last, in which there is nothing."""
        ...

    def tidy(self) -> None:
        """Deletes what need not be kept any longer; raises nothing."""
        ...


class SingleFile:
    """`out.mp4`; what it cannot hold goes on in `out-2.mp4`, `out-3.mp4`, ..."""

    limit = SegmentLimit()

    def __init__(self, target: FileTarget) -> None:
        self.written: Path | None = None
        self._target = target
        self._count = 0

    def create(self) -> FileIO:
        """See `Target`."""
        path = self._target.path
        if self._count == 0:
            stream = self._target.create()
            self.written = self._target.written
        else:
            later = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
            self.written, stream = create_first_free(later)
        self._count += 1
        return stream

    def discard(self) -> None:
        """See `Files`."""
        self._count -= _remove(self.written)

    def finish(self, complete: bool) -> Path | None:
        """See `Target`; the folder if there are several files."""
        if self._count == 0:
            return None
        first = self._target.finish(complete)
        return first if self._count == 1 else self._target.path.parent

    def tidy(self) -> None:
        """Nothing is ever deleted."""


class Segments:
    """`out-20261126T041500Z.mp4`, ...: each named by the time at which it began (UTC; `..Z_2.mp4` in the same second).

    Files of that very pattern are those of this recording, also of earlier runs; only they are ever deleted, the oldest
    first, and never the one that is being written.
    """

    def __init__(
        self, path: Path, limit: SegmentLimit, keep_days: float | None = None, keep_gb: float | None = None
    ) -> None:
        """path: `out.mp4`. keep_days, keep_gb: how old, by its name, a file may grow, and how large all may be
        together, the one being written included. Raises OutputError if the folder cannot be written. Changes nothing.
        """
        check_writable(path.parent)
        self.limit = limit
        self.written: Path | None = None
        self._path = path
        self._keep_s = math.inf if keep_days is None else keep_days * _DAY_S
        self._keep_bytes = math.inf if keep_gb is None else keep_gb * 1e9
        self._count = 0
        self._pattern = re.compile(
            rf"{re.escape(path.stem)}-(\d{{8}}T\d{{6}}Z)(?:_(\d+))?{re.escape(path.suffix)}", re.ASCII
        )

    def create(self) -> FileIO:
        """See `Target`."""
        self.written, stream = create_first_free(self._names())
        self._count += 1
        return stream

    def discard(self) -> None:
        """See `Files`."""
        self._count -= _remove(self.written)

    def finish(self, complete: bool) -> Path | None:
        """See `Target`; the folder if there are several files."""
        return self._path.parent if self._count > 1 else self.written if self._count else None

    def tidy(self) -> None:
        """Deletes what is too old and what is too much; what cannot be deleted stays."""
        if math.isinf(self._keep_s) and math.isinf(self._keep_bytes):
            return
        found = self._found()
        total_bytes = sum(size_bytes for _, _, size_bytes in found)
        for start_s, path, size_bytes in found:
            is_old = time.time() - start_s > self._keep_s
            if path == self.written or not (is_old or total_bytes > self._keep_bytes):
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total_bytes -= size_bytes

    def _names(self) -> Iterator[Path]:
        name = self._path.with_stem(f"{self._path.stem}-{datetime.now(UTC).strftime(_TIME_FORMAT)}")
        yield name
        for number in count(2):
            yield name.with_stem(f"{name.stem}_{number}")

    def _found(self) -> list[tuple[float, Path, int]]:
        """Start, name and size of this recording's files, from the oldest; empty if the folder cannot be read."""
        files: list[tuple[float, int, Path, int]] = []
        with contextlib.suppress(OSError):
            for path in self._path.parent.iterdir():
                parts = self._pattern.fullmatch(path.name)
                if parts is None or path.is_symlink() or not path.is_file():
                    continue
                with contextlib.suppress(OSError, ValueError):
                    start = datetime.strptime(parts[1], _TIME_FORMAT).replace(tzinfo=UTC)
                    files.append((start.timestamp(), int(parts[2] or 1), path, path.stat().st_size))
        return [(start_s, path, size_bytes) for start_s, _, path, size_bytes in sorted(files)]


def _remove(path: Path | None) -> int:
    """Returns how many files it has removed."""
    try:
        if path is not None:
            path.unlink()
            return 1
    except OSError:
        pass
    return 0
