"""One connection to a camera: opened once, read until it breaks off, closed. `camera.py` opens the next one."""

import contextlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from vr.runtime.errors import InputError, StreamError
from vr.runtime.ffmpeg import av
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import Frame
from vr.runtime.sources.base import Role
from vr.runtime.sources.clock import ArrivalClock, Clock, MediaClock
from vr.runtime.sources.decoding import Decoder, describe, plausible_fps
from vr.runtime.sources.pipe import Pipe

URL_SCHEMES = ("rtsp", "rtsps", "http", "https")
OPEN_TIMEOUT_S = 10.0
_PLAUSIBLE_FPS = (1.0, 240.0)
_JPEG = b"\xff\xd8\xff"
_STREAM_OPTIONS = {"rtsp_transport": "tcp", "user_agent": "vr-live"}
_SHORT_LOOK = {"probesize": str(1 << 20), "analyzeduration": "100000", "fflags": "nobuffer"}
"""What FFmpeg reads at most to find out what a stream is, microseconds of it; by default five seconds. What it has read
for that is left out: it would be old by the time it is shown.
"""


@dataclass(frozen=True)
class Grabbed:
    """A frame and its time on the monotonic clock, None if it is old and to be left out."""

    frame: Frame = field(repr=False)
    time_s: float | None


class Capture(Protocol):
    """An open connection."""

    @property
    def fps(self) -> float:
        """Nominal frames per second."""
        ...

    @property
    def decode_errors(self) -> int:
        """Damaged frames so far."""
        ...

    @property
    def skipped(self) -> int:
        """Frames so far that were not even decoded, because newer ones had come."""
        ...

    def read(self) -> Grabbed:
        """The next frame; waits for it. Raises StreamError, or anything a driver throws, where there is none."""
        ...

    def close(self) -> None:
        """Frees the device."""
        ...


OpenCapture = Callable[[], Capture]


class StreamCapture:
    """A network stream or a named pipe, through FFmpeg."""

    def __init__(self, address: str, name: str, role: Role, read_timeout_s: float) -> None:
        """address: with its password; name: without. Raises StreamError or InputError."""
        self._pipe = None if "://" in address else Pipe(address, read_timeout_s)
        try:
            self._decoder = Decoder(self._open(address, read_timeout_s), f"camera {name}", role, live=True)
        except (FFmpegError, OSError, ValueError) as error:
            self._close_pipe()
            reason = describe(error) if isinstance(error, FFmpegError) else type(error).__name__
            raise StreamError(f"cannot open camera {name}: {reason}; {what_to_check(address)}") from None
        self.fps = plausible_fps(self._decoder.fps, *_PLAUSIBLE_FPS)
        self._clock: Clock = MediaClock() if self._decoder.has_clock else ArrivalClock()

    @property
    def decode_errors(self) -> int:
        """See `Capture`."""
        return self._decoder.errors

    @property
    def skipped(self) -> int:
        """See `Capture`."""
        return self._decoder.skipped

    def read(self) -> Grabbed:
        """See `Capture`."""
        decoded = self._decoder.read()
        if decoded is None:
            raise StreamError("the stream ended")
        return Grabbed(decoded.frame, self._clock.stamp(decoded.time_s, time.monotonic(), decoded.was_there))

    def close(self) -> None:
        """See `Capture`."""
        self._decoder.close()
        self._close_pipe()

    def _open(self, address: str, read_timeout_s: float) -> InputContainer:
        if self._pipe is not None:
            # FFmpeg takes long to recognise small JPEGs.
            kind = "mjpeg" if self._pipe.peek().startswith(_JPEG) else None
            return av.open(self._pipe, "r", format=kind, options=_SHORT_LOOK, metadata_errors="replace")
        options, timeouts_s = _chosen({**_SHORT_LOOK, **_STREAM_OPTIONS}), (OPEN_TIMEOUT_S, read_timeout_s)
        return av.open(address, "r", options=options, timeout=timeouts_s, metadata_errors="replace")

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()


class DeviceCapture:
    """A camera at this machine, through OpenCV. Stamped at the grab."""

    def __init__(self, spec: str, is_16bit: bool) -> None:
        """Raises StreamError."""
        if not spec.isdecimal() and not Path(spec).exists():
            raise StreamError(f"camera {spec} does not exist; {what_to_check(spec)}")
        self._capture = cv2.VideoCapture(int(spec)) if spec.isdecimal() else cv2.VideoCapture(spec, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            self._capture.release()
            raise StreamError(f"cannot open camera {spec}; {what_to_check(spec)}")
        if is_16bit:
            ask_for_16bit(self._capture, spec)
        self.fps = plausible_fps(self._capture.get(cv2.CAP_PROP_FPS), *_PLAUSIBLE_FPS)
        self.decode_errors = self.skipped = 0
        self._hw16 = _frame_hw(self._capture) if is_16bit else None

    def read(self) -> Grabbed:
        """See `Capture`."""
        if not self._capture.grab():
            raise StreamError("the camera gave no frame")
        time_s = time.monotonic()
        ok, frame = self._capture.retrieve()
        if not ok:
            raise StreamError("the camera gave a frame that cannot be decoded")
        return Grabbed(frame if self._hw16 is None else as_gray16(frame, self._hw16), time_s)  # type: ignore[arg-type]

    def close(self) -> None:
        """See `Capture`."""
        self._capture.release()


def open_capture(address: str, name: str, role: Role, is_16bit: bool, read_timeout_s: float) -> Capture:
    """Opens a camera index, a device, a stream URL or a named pipe.

    is_16bit: ask a thermal camera for its raw 16-bit values (Y16). read_timeout_s: a stream that sends nothing for so
    long breaks off. Raises StreamError if it cannot be opened, InputError for an unknown kind of URL.
    """
    if "://" in address and urlsplit(address).scheme not in URL_SCHEMES:
        raise InputError(f"cannot open {name}; expected one of {', '.join(s + '://' for s in URL_SCHEMES)}")
    if "://" in address or is_pipe(address):
        return StreamCapture(address, name, role, read_timeout_s)
    return DeviceCapture(address, is_16bit)


def is_pipe(spec: str) -> bool:
    """Whether it names a named pipe (FIFO)."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISFIFO(Path(spec).stat().st_mode)
    return False


def what_to_check(spec: str) -> str:
    """The end of a message about a camera that cannot be opened."""
    if "://" in spec:
        return "check the address, the network and the camera's user name and password"
    return "check that it is plugged in and that no other program uses it (Linux: v4l2-ctl --list-devices)"


def as_gray16(frame: NDArray[Any], size_hw: SizeHw) -> Frame:
    """A raw Y16 frame as (h, w) uint16.

    Drivers give it as uint16, as bytes (h, w, 2), or flattened to one row (opencv#27166); the bytes are
    little-endian. Raises StreamError if the frame does not hold `size_hw` 16-bit values.
    """
    h, w = size_hw
    if frame.nbytes != 2 * h * w:
        raise StreamError(
            f"a frame of {frame.nbytes} bytes is no 16-bit picture of {w}x{h} px; leave the 16-bit option out"
        )
    return np.ascontiguousarray(frame).view("<u2").reshape(h, w).astype(np.uint16, copy=False)


def ask_for_16bit(capture: cv2.VideoCapture, name: str) -> None:
    """The order counts: setting the format resets the conversion (flirpy#7)."""
    wanted = cv2.VideoWriter.fourcc(*"Y16 ")
    capture.set(cv2.CAP_PROP_FOURCC, wanted)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    if int(capture.get(cv2.CAP_PROP_FOURCC)) != wanted:
        capture.release()
        raise StreamError(f"camera {name} does not offer 16-bit frames (Y16); leave the 16-bit option out")


def _frame_hw(capture: cv2.VideoCapture) -> SizeHw:
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def _chosen(options: dict[str, str]) -> dict[str, str]:
    """With what OPENCV_FFMPEG_CAPTURE_OPTIONS says (`rtsp_transport;udp`), the name under which users know it."""
    words = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")
    given = dict(part.split(";", 1) for part in words.split("|") if ";" in part)
    return {**options, **given}
