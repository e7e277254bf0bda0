"""Cameras and network streams: one reader thread each, and a slot that holds the newest frame."""

import os
import threading
import time
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError, StreamError
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import Frame
from vr.runtime.sources.base import Stamped

URL_SCHEMES = ("rtsp", "rtsps", "http", "https")
STALL_S = 10.0
"""A camera that gives no frame for so long has stopped."""
_JOIN_S = 1.0
_WAIT_STEP_S = 0.1
_FALLBACK_FPS = 30.0
_PLAUSIBLE_FPS = (1.0, 240.0)
_NETWORK_TIMEOUT_MS = int(STALL_S * 1000)


class Capture(Protocol):
    """The part of cv2.VideoCapture that a reader thread uses."""

    def grab(self) -> bool:
        """Takes the next frame, not yet decoded; False if there is none."""
        ...

    def retrieve(self) -> tuple[bool, Any]:
        """Decodes the grabbed frame."""
        ...

    def get(self, propId: int, /) -> float:
        """A cv2.CAP_PROP_* value, 0 where unknown."""
        ...

    def release(self) -> None:
        """Frees the device."""
        ...


class CameraSource:
    """The newest frame of a camera or network stream.

    A thread of its own grabs every frame, since FFmpeg's and GStreamer's captures queue what is not read and
    the picture would grow older and older (opencv#23430). It stamps the frame at the grab and overwrites a
    one-frame slot.
    """

    live = True
    length = None

    def __init__(self, name: str, capture: Capture, stall_s: float = STALL_S, is_16bit: bool = False) -> None:
        """Starts reading. `capture` is open, and from here on belongs to the thread, which releases it."""
        self.name = name
        self.fps = _plausible_fps(capture.get(cv2.CAP_PROP_FPS))
        self._capture = capture
        self._stall_s = stall_s
        self._hw16 = _frame_hw(capture) if is_16bit else None
        self._news = threading.Condition()
        self._slot: Stamped | None = None
        self._handed_out = -1
        self._failure: Exception | None = None
        self._last_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def newest(self, wait_s: float) -> Stamped | None:
        """See `LiveSource.newest`."""
        with self._news:
            self._news.wait_for(lambda: self._has_news() or self._failure is not None, timeout=wait_s)
            if self._slot is not None and self._has_news():
                self._handed_out = self._slot.index
                return self._slot
            if self._failure is not None:
                raise StreamError(f"{self.name}: {self._failure}") from self._failure
            if time.monotonic() - self._last_s > self._stall_s and not self._stop.is_set():
                raise StreamError(f"{self.name} gave no frame for {self._stall_s:g} s; check the camera and its cable")
            return None

    def read(self) -> Stamped | None:
        """Waits for a frame newer than the last one; None after `close`."""
        while not self._stop.is_set():
            if (stamped := self.newest(_WAIT_STEP_S)) is not None:
                return stamped
        return None

    def close(self) -> None:
        """Asks the thread to end and waits for it, at most a second."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _has_news(self) -> bool:
        return self._slot is not None and self._slot.index > self._handed_out

    def _run(self) -> None:
        try:
            self._grab_until_stopped()
        except Exception as error:
            # Whatever it is, it belongs to the caller, who meets it at the next frame.
            with self._news:
                self._failure = error
                self._news.notify_all()
        finally:
            self._capture.release()

    def _grab_until_stopped(self) -> None:
        index = 0
        while not self._stop.is_set():
            ok = self._capture.grab()
            time_s = time.monotonic()
            ok, frame = self._capture.retrieve() if ok else (False, None)
            if not ok or frame is None:
                raise StreamError(f"the stream ended after {index} frames; check the camera and its connection")
            if self._hw16 is not None:
                frame = as_gray16(frame, self._hw16)
            with self._news:
                self._slot = Stamped(frame, time_s, index)
                self._last_s = time_s
                self._news.notify_all()
            index += 1


def open_camera(spec: str, is_16bit: bool = False) -> CameraSource:
    """Opens a camera index ("0"), a device path ("/dev/video0") or a stream URL, and starts its thread.

    is_16bit: ask a thermal camera for its raw 16-bit values (Y16); frames are then (h, w) uint16.
    Raises StreamError if there is no such camera or it does not answer, InputError for an unknown kind of
    URL.
    """
    name = display_name(spec)
    capture = _open_url(spec) if "://" in spec else _open_device(spec)
    if not capture.isOpened():
        capture.release()
        raise StreamError(f"cannot open camera {name}; {_what_to_check(spec)}")
    if is_16bit:
        _ask_for_16bit(capture, name)
    return CameraSource(f"camera {name}", capture, is_16bit=is_16bit)


def display_name(spec: str) -> str:
    """The spec as it may be shown: `rtsp://user:secret@host/path` becomes `rtsp://host/path`."""
    if "://" not in spec:
        return spec
    parts = urlsplit(spec)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


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


def _open_url(spec: str) -> cv2.VideoCapture:
    if urlsplit(spec).scheme not in URL_SCHEMES:
        raise InputError(
            f"cannot open {display_name(spec)}; expected one of {', '.join(s + '://' for s in URL_SCHEMES)}"
        )
    # UDP loses packets, which shows as smeared frames. OpenCV takes this option from the environment only.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        _NETWORK_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        _NETWORK_TIMEOUT_MS,
    ]
    return cv2.VideoCapture(spec, cv2.CAP_FFMPEG, timeouts)


def _open_device(spec: str) -> cv2.VideoCapture:
    if spec.isdecimal():
        return cv2.VideoCapture(int(spec))
    if not Path(spec).exists():
        raise StreamError(f"camera {spec} does not exist; {_what_to_check(spec)}")
    return cv2.VideoCapture(spec, cv2.CAP_V4L2)


def _what_to_check(spec: str) -> str:
    if "://" in spec:
        return "check the address, the network and the camera's user name and password"
    return "check that it is plugged in and that no other program uses it (Linux: v4l2-ctl --list-devices)"


def _ask_for_16bit(capture: cv2.VideoCapture, name: str) -> None:
    """The order counts: setting the format resets the conversion (flirpy#7)."""
    wanted = cv2.VideoWriter.fourcc(*"Y16 ")
    capture.set(cv2.CAP_PROP_FOURCC, wanted)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    if int(capture.get(cv2.CAP_PROP_FOURCC)) != wanted:
        capture.release()
        raise StreamError(f"camera {name} does not offer 16-bit frames (Y16); leave the 16-bit option out")


def _frame_hw(capture: Capture) -> SizeHw:
    return int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def _plausible_fps(fps: float) -> float:
    low, high = _PLAUSIBLE_FPS
    return fps if low <= fps <= high else _FALLBACK_FPS
