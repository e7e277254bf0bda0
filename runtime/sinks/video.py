"""Recording the picture: an MP4 file, or a folder of numbered PNG files."""

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.cores import available_cores
from vr.runtime.errors import OutputError
from vr.runtime.sinks.base import Output
from vr.runtime.sinks.targets import FileTarget, FolderTarget, write_whole

VIDEO_SUFFIX = ".mp4"
_CODEC = "mp4v"
_LONGEST_FILL_S = 10.0
_JITTER_FRAMES = 2
_MOST_PNG_WORKERS = 8
_PNG_FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def open_recording(path: Path, overwrite: bool) -> "VideoSink | PngSink":
    """A video if `path` ends in .mp4, a folder of PNG files if it has no suffix. Raises OutputError."""
    if path.suffix.lower() == VIDEO_SUFFIX:
        return VideoSink(FileTarget(path, overwrite))
    if path.suffix and not path.is_dir():
        raise OutputError(
            f"cannot record to {path}; expected a name ending in {VIDEO_SUFFIX}, or a folder for PNG files"
        )
    return PngSink(FolderTarget(path))


class VideoSink:
    """An MP4 file (MPEG-4 part 2), playable once closed, at the frame rate that `start` is told.

    Where time passes without a frame (a slow machine, a camera that paused) the last picture is repeated, so
    that the recording plays at the speed of the scene. Odd sizes grow by one pixel to the next even one.
    """

    wants_picture = True

    def __init__(self, target: FileTarget) -> None:
        self._target = target
        self._fps = 30.0
        self._may_skip = False
        self._writer: cv2.VideoWriter | None = None
        self._shape: tuple[int, ...] = ()
        self._start_s = 0.0
        self._written = 0

    def start(self, fps: float, may_skip: bool) -> None:
        """Sets the frame rate, before the first frame.

        may_skip: leave pictures out once they come faster than `fps`, as from a camera that gives more than
        it says; a recording is never thinned.
        """
        self._fps = fps
        self._may_skip = may_skip

    def write(self, output: Output) -> None:
        """See `Sink`. Raises OutputError if the picture's size changes, or the file cannot be written."""
        picture = _required(output)
        if self._writer is None:
            self._writer = self._open(picture)
            self._start_s = output.time_s
        if picture.shape != self._shape:
            raise OutputError(
                f"the picture changed from {_size(self._shape)} to {_size(picture.shape)} px, which a video "
                "cannot hold; record to a folder instead"
            )
        even = _pad_to_even(picture)
        for _ in range(self._repeats(output.time_s)):
            self._writer.write(even)
            self._written += 1

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        if self._writer is None:
            return None
        self._writer.release()
        self._writer = None
        return self._target.finish(complete)

    def _open(self, picture: NDArray[np.uint8]) -> cv2.VideoWriter:
        self._shape = picture.shape
        h, w = _pad_to_even(picture).shape[:2]
        writer = cv2.VideoWriter(
            str(self._target.partial), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*_CODEC), self._fps, (w, h)
        )
        if not writer.isOpened():
            raise OutputError(f"cannot write video {self._target.path} ({w}x{h} px); record to a folder instead")
        return writer

    def _repeats(self, time_s: float) -> int:
        """How often to write the picture of `time_s`, so that as many are written as are due by then."""
        missing = math.floor((time_s - self._start_s) * self._fps + 0.5) + 1 - self._written
        if missing < -_JITTER_FRAMES and self._may_skip:
            return 0
        return min(max(missing, 1), math.ceil(_LONGEST_FILL_S * self._fps))


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
        self._pending.append(self._pool.submit(_write_png, path, _required(output)))

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


def _required(output: Output) -> NDArray[np.uint8]:
    if output.picture is None:
        raise OutputError(f"output frame {output.index} has no picture to record")
    return output.picture


def _pad_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The encoder would cut the last row or column of an odd size; it is repeated instead."""
    h, w = picture.shape[:2]
    return np.pad(picture, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge") if h % 2 or w % 2 else picture


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
