"""Recording the picture as MP4 files."""

import contextlib
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from vr.runtime.errors import OutputError
from vr.runtime.sinks.base import Output, required_picture
from vr.runtime.sinks.mp4 import Mp4Writer, best_codec
from vr.runtime.sinks.segments import Files, SingleFile
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.sinks.upkeep import Upkeep

LONGEST_PAUSE_S = 3600.0
"""After so long without a picture a new file begins."""
NO_H264 = "this build of FFmpeg has no libx264: the recording is MPEG-4 part 2, which browsers do not play"


class VideoSink:
    """MP4 files in H.264 with the frames' own times, that play while they are written (`vr.runtime.sinks.mp4`).

    A new file begins when the last one has reached its limit, and also when the picture's size changes, after a pause
    of more than `LONGEST_PAUSE_S`, and after an error; no frame is lost between two files. Odd sizes grow by one pixel
    to the next even one.

    On the disk (fsync) is what was written up to about a second ago, and every file that is complete: see `Upkeep`.
    """

    wants_picture = True

    def __init__(self, files: Files | FileTarget) -> None:
        self._files: Files = SingleFile(files) if isinstance(files, FileTarget) else files
        self._upkeep = Upkeep(self._files.tidy)
        self._fps, self._codec = 30.0, ""
        self._writer: Mp4Writer | None = None
        self._stream: FileIO | None = None
        self._shape: tuple[int, ...] = ()
        self._last_s = 0.0

    def start(self, fps: float, say: Callable[[str], None] = lambda _text: None) -> None:
        """Before the first frame. fps: nominal, see `Mp4Writer`. say: gets what a user should know."""
        self._fps, self._codec = fps, best_codec()
        if self._codec != "libx264":
            say(NO_H264)
        self._upkeep.start()

    def write(self, output: Output) -> None:
        """See `Sink`. After an error the next frame begins a new file."""
        picture = required_picture(output)
        try:
            self._upkeep.check()
            if self._writer is not None and self._is_over(self._writer, picture, output.time_s):
                self._end(self._writer)
            if self._writer is None:
                self._writer = self._begin(picture)
            self._writer.write(_pad_to_even(picture), output.time_s)
            self._last_s = output.time_s
        except (OSError, FFmpegError) as error:
            where = self._files.written
            self._break_off()
            raise OutputError(f"cannot write the recording {where or ''}: {error.strerror or error}") from error

    def close(self, complete: bool) -> Path | None:
        """See `Sink`; several files are told by their folder."""
        try:
            if self._writer is not None:
                self._end(self._writer)
            self._upkeep.close()
        except (OSError, FFmpegError) as error:
            self._break_off()
            raise OutputError(f"cannot finish the recording: {error.strerror or error}") from error
        return self._files.finish(complete)

    def _is_over(self, writer: Mp4Writer, picture: NDArray[np.uint8], time_s: float) -> bool:
        limit, pause_s = self._files.limit, time_s - self._last_s
        is_full = writer.size_bytes >= limit.size_bytes or writer.duration_s + max(pause_s, 0.0) >= limit.duration_s
        return is_full or picture.shape != self._shape or pause_s > LONGEST_PAUSE_S

    def _begin(self, picture: NDArray[np.uint8]) -> Mp4Writer:
        self._stream = self._files.create()
        if self._files.written is not None:
            self._upkeep.follow(self._stream.fileno(), self._files.written)
        self._shape = picture.shape
        h, w = _pad_to_even(picture).shape[:2]
        return Mp4Writer(self._stream, (h, w), self._fps, self._codec or best_codec())

    def _end(self, writer: Mp4Writer) -> None:
        writer.close()
        self._writer = None
        self._close_stream()

    def _break_off(self) -> None:
        """What is whole is kept; a file without a picture is not."""
        writer, stream = self._writer, self._stream
        if writer is not None:
            writer.abandon()
        if stream is not None:
            with contextlib.suppress(OSError):
                self._close_stream()
            if writer is None or not writer.has_pictures:
                self._files.discard()
        self._writer = None

    def _close_stream(self) -> None:
        self._upkeep.leave()
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()


def _pad_to_even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The encoder would cut the last row or column of an odd size; it is repeated instead."""
    h, w = picture.shape[:2]
    return np.pad(picture, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge") if h % 2 or w % 2 else picture
