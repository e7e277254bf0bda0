"""A camera as a process: `python -m tests.bench.camera ir|rgb http|rtsp|pipe [...]`.

Draws the coded scene of the machine's monotonic clock, so that two such cameras see the same, and spoils its pictures
as it is told:

- freeze: the last picture comes again and again;
- duplicate: every picture comes twice;
- reorder: every sixth picture comes three pictures late;
- half: of every third picture only the first half of the bytes comes;
- resolution: 160x120 while it lasts;
- rate: 10 pictures per second; hz9: 9, as export-limited thermal cameras give.
"""

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.bench.coded import DRAWN_HW, Bgr, Scene
from tests.bench.control import FaultBoard, announce, hurry, obey
from tests.bench.encoders import Encoded, H264Encoder, JpegEncoder
from tests.bench.mangle import KINDS as BYTE_KINDS
from vr.runtime.geometry import SizeHw

PICTURE_KINDS = ("freeze", "duplicate", "reorder", "half", "resolution", "rate", "hz9")
SMALL_HW = (120, 160)
SLOW_FPS = {"rate": 10.0, "hz9": 9.0}
REORDER_EVERY, LATE_BY, HALF_EVERY = 6, 3, 3


class Transport(Protocol):
    """Takes encoded pictures to whoever looks."""

    url: str

    def send(self, picture: Encoded) -> None:
        """Gives one picture away; never waits for a slow reader."""
        ...


class Pictures:
    """The camera's pictures with its faults, as fast as they are asked for."""

    def __init__(self, board: FaultBoard, scene: Scene, size_hw: SizeHw) -> None:
        self._board, self._scene, self._size_hw = board, scene, size_hw
        self._last: Bgr | None = None
        self._late: tuple[int, Bgr] | None = None
        self._small: object = None
        self._number = 0

    def at(self, scene_ms: int) -> Iterator[Bgr]:
        """The pictures that leave the camera at this time, mostly one."""
        picture = self._drawn(scene_ms)
        self._number += 1
        if self._held_back(picture):
            return
        yield picture
        if (fault := self._board.active("duplicate")) is not None:
            fault.injected += 1
            yield picture
        if self._late is not None and self._number >= self._late[0]:
            late, self._late = self._late[1], None
            yield late

    def _drawn(self, scene_ms: int) -> Bgr:
        freeze = self._board.active("freeze")
        if freeze is not None and self._last is not None:
            freeze.injected += 1
            return self._last
        small = self._board.active("resolution")
        if small is not None and small is not self._small:
            self._small = small
            small.injected += 1
        self._last = self._scene.draw(scene_ms, self._size_hw if small is None else SMALL_HW)
        return self._last

    def _held_back(self, picture: Bgr) -> bool:
        fault = self._board.active("reorder")
        if fault is None or self._late is not None or self._number % REORDER_EVERY:
            return False
        fault.injected += 1
        self._late = (self._number + LATE_BY, picture)
        return True


class Halving:
    """Cuts encoded pictures in two."""

    def __init__(self, board: FaultBoard) -> None:
        self._board, self._number = board, 0

    def __call__(self, picture: Encoded) -> Encoded:
        """The picture, or its first half."""
        fault = self._board.active("half")
        if fault is None:
            return picture
        self._number += 1
        if self._number % HALF_EVERY:
            return picture
        fault.injected += 1
        return picture.first_half()


def run(board: FaultBoard, transport: Transport, scene: Scene, size_hw: SizeHw, fps: float, is_jpeg: bool) -> None:
    """Sends pictures for ever."""
    pictures, halving = Pictures(board, scene, size_hw), Halving(board)
    encoder = JpegEncoder() if is_jpeg else H264Encoder(fps)
    due_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        for picture in pictures.at(round(now_s * 1000.0)):
            transport.send(halving(encoder.encode(picture, now_s)))
        # A machine that was busy does not make the camera hurry afterwards.
        due_s = max(due_s + 1.0 / rate_now(board, fps), time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))


def rate_now(board: FaultBoard, fps: float) -> float:
    """Pictures per second of a camera that gives `fps` while nothing is wrong; asked once per picture."""
    for kind, slow_fps in SLOW_FPS.items():
        if (fault := board.active(kind)) is not None:
            fault.injected += 1
            return slow_fps
    return fps


def _transport(args: argparse.Namespace, board: FaultBoard) -> Transport:
    if args.transport == "http":
        from tests.bench.serve_http import HttpTransport

        return HttpTransport()
    if args.transport == "rtsp":
        from tests.bench.serve_rtsp import RtspTransport

        return RtspTransport(args.login)
    from tests.bench.serve_pipe import PipeTransport

    return PipeTransport(args.path, board, args.codec, args.fps)


def main() -> None:
    """Parses, draws, obeys."""
    parser = argparse.ArgumentParser(description="A camera of the test bench.")
    parser.add_argument("role", choices=("ir", "rgb"))
    parser.add_argument("transport", choices=("http", "rtsp", "pipe"))
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--size", default=f"{DRAWN_HW[1]}x{DRAWN_HW[0]}", help="WIDTHxHEIGHT")
    parser.add_argument("--login", default="", help="USER:PASSWORD that an RTSP client must know")
    parser.add_argument("--path", type=Path, help="named pipe to write to")
    parser.add_argument("--codec", choices=("mjpeg", "h264"), default="h264", help="in the pipe; h264 is in MPEG-TS")
    args = parser.parse_args()
    hurry()
    width, _, height = args.size.partition("x")
    board = FaultBoard()
    transport = _transport(args, board)
    is_jpeg = args.transport == "http" or (args.transport == "pipe" and args.codec == "mjpeg")
    work = (board, transport, Scene(args.role), (int(height), int(width)), args.fps, is_jpeg)
    threading.Thread(target=run, args=work, daemon=True).start()
    announce(url=transport.url)
    kinds = (*PICTURE_KINDS, *(BYTE_KINDS if args.transport == "pipe" else ()))
    with contextlib.suppress(KeyboardInterrupt):
        obey(board, kinds, getattr(transport, "close", lambda: None))
    sys.exit(0)


if __name__ == "__main__":
    main()
