"""Recording the picture as a folder of numbered PNG files."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.cores import available_cores
from vr.runtime.sinks.base import Output, required_picture
from vr.runtime.sinks.targets import FolderTarget, write_whole

_MOST_PNG_WORKERS = 8
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class PngSink:
    """`000000.png`, `000001.png`, ... in a folder, (H, W, 3) 8 bit, one per output frame.

    Several are compressed at once, because that takes longer than all the rest; so they appear nearly in order, and the
    error of one is raised by a later call.
    """

    wants_picture = True

    def __init__(self, target: FolderTarget) -> None:
        self._target = target
        self._workers = max(1, min(_MOST_PNG_WORKERS, available_cores()))
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()

    def write(self, output: Output) -> None:
        """See `Sink`; waits while every worker has a picture."""
        if self._pool is None:
            self._target.create()
            self._pool = ThreadPoolExecutor(self._workers, "png")
        while len(self._pending) >= self._workers:
            self._pending.popleft().result()
        path = self._target.path / f"{output.index:06d}.png"
        self._pending.append(self._pool.submit(_write_png, path, required_picture(output)))

    def close(self, complete: bool) -> Path | None:
        """See `Sink`; every file is whole."""
        if self._pool is None:
            return None
        self._pool.shutdown()
        failures = [failure for one in self._pending if (failure := one.exception()) is not None]
        self._pool, self._pending = None, deque()
        if failures and complete:
            raise failures[0]
        return self._target.path


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".png", picture, _PNG_FAST)
    write_whole(path, data.data)
