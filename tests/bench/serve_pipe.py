"""A named pipe that gets MJPEG (JPEG files one after the other) or H.264 in MPEG-TS."""

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from tests.bench.control import FaultBoard
from tests.bench.encoders import CLOCK_HZ, Encoded
from tests.bench.mangle import Mangler

_WAITING = 4
_POLL_S = 0.02


class PipeTransport:
    """Opens the pipe again whenever the reader went, or `cut` is over."""

    def __init__(self, path: Path, board: FaultBoard, codec: str, fps: float) -> None:
        """codec: "mjpeg" or "h264". Makes the pipe if it is not there."""
        self._path, self._board, self._codec, self._fps = path, board, codec, fps
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path)
        self.url = str(path)
        self._lost = False
        self._waiting: queue.Queue[Encoded] = queue.Queue(_WAITING)
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, picture: Encoded) -> None:
        """See `Transport`. After a lost picture nothing is sent until one comes that does not build on it."""
        if self._lost and not picture.is_key:
            return
        try:
            self._waiting.put_nowait(picture)
            self._lost = False
        except queue.Full:
            self._lost = True

    def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, FFmpegError):
                self._write_until_cut()
            while self._board.active("cut") is not None:
                time.sleep(_POLL_S)

    def _write_until_cut(self) -> None:
        # Opening waits for a reader; what was drawn meanwhile is old.
        with _SpoiledPipe(self._path, self._board) as pipe:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            write = _mjpeg(pipe) if self._codec == "mjpeg" else _MpegTs(pipe, self._fps)
            while (cut := self._board.active("cut")) is None:
                write(self._waiting.get())
            cut.injected += 1


class _SpoiledPipe:
    """A file for writing whose bytes go through the faults."""

    def __init__(self, path: Path, board: FaultBoard) -> None:
        self._stream, self._mangler = path.open("wb", buffering=0), Mangler(board)

    def __enter__(self) -> "_SpoiledPipe":
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def write(self, data: bytes) -> int:
        """All of it; raises BrokenPipeError if the reader has gone."""
        rest = memoryview(self._mangler.spoil(bytes(data)))
        while rest:
            rest = rest[self._stream.write(rest) :]
        return len(data)


def _mjpeg(pipe: _SpoiledPipe) -> Callable[[Encoded], object]:
    return lambda picture: pipe.write(picture.data)


class _MpegTs:
    """H.264 pictures in a transport stream."""

    def __init__(self, pipe: _SpoiledPipe, fps: float) -> None:
        self._pipe, self._fps = pipe, fps
        self._open: tuple[OutputContainer, Stream] | None = None

    def __call__(self, picture: Encoded) -> None:
        if self._open is None and not picture.is_key:
            return
        container, stream = self._open = self._open or self._begin(picture)
        packet = av.Packet(picture.data)
        packet.stream, packet.is_keyframe = stream, picture.is_key
        packet.time_base = Fraction(1, CLOCK_HZ)
        packet.pts = packet.dts = round(picture.time_s * CLOCK_HZ)
        container.mux(packet)

    def _begin(self, picture: Encoded) -> tuple[OutputContainer, Stream]:
        container = av.open(self._pipe, "w", format="mpegts", options={"flush_packets": "1"})
        h, w = picture.size_hw
        return container, container.add_mux_stream("h264", rate=round(self._fps), width=w, height=h)
