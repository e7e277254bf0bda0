"""Cameras: the reader thread, its slot, its end, and what a user reads when there is no camera."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from tests.live_server import mjpeg_camera
from vr.runtime.errors import InputError, StreamError
from vr.runtime.sources import open_source
from vr.runtime.sources.camera import CameraSource, as_gray16, display_name


class ScriptedCapture:
    """Frames that the test lets through one by one: a frame, an exception, or None for a failed grab."""

    def __init__(self, frames: Iterator[Any]) -> None:
        self.gate = threading.Semaphore(0)
        self.released = threading.Event()
        self.asked = 0
        self._frames = frames
        self._frame: Any = None

    def grab(self) -> bool:
        self.asked += 1
        self.gate.acquire()
        self._frame = next(self._frames)
        if isinstance(self._frame, Exception):
            raise self._frame
        return self._frame is not None

    def retrieve(self) -> tuple[bool, Any]:
        return True, self._frame

    def get(self, propId: int, /) -> float:
        return {cv2.CAP_PROP_FRAME_HEIGHT: 48.0, cv2.CAP_PROP_FRAME_WIDTH: 64.0}.get(propId, 0.0)

    def release(self) -> None:
        self.released.set()


def picture(index: int) -> np.ndarray:
    return np.full((48, 64, 3), 8 * index % 256, np.uint8)


def reader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("camera ")]


def test_network_camera_gives_frames_stamped_at_the_grab() -> None:
    with mjpeg_camera(picture, fps=50.0) as url:
        before_s = time.monotonic()
        source = open_source(url, "rgb")
        assert source.live
        frames = [source.read() for _ in range(8)]
        after_s = time.monotonic()
        source.close()
    stamped = [frame for frame in frames if frame is not None]
    assert len(stamped) == 8
    times_s = [frame.time_s for frame in stamped]
    assert before_s < times_s[0] and times_s[-1] < after_s
    assert times_s == sorted(set(times_s))
    assert all(int(f.frame.mean()) == pytest.approx(8 * f.index, abs=3) for f in stamped)
    assert not reader_threads()


def test_a_slow_reader_gets_the_newest_frame_and_sees_the_gap() -> None:
    with mjpeg_camera(picture, fps=50.0) as url:
        source = open_source(url, "rgb")
        first = source.read()
        time.sleep(0.5)
        second = source.read()
        age_s = time.monotonic() - second.time_s if second is not None else np.inf
        source.close()
    assert first is not None and second is not None
    assert second.index - first.index >= 10
    assert age_s < 0.25


def test_a_network_camera_that_hangs_up_is_an_error_in_the_caller() -> None:
    with mjpeg_camera(picture, fps=100.0, frames=10) as url:
        source = open_source(url, "rgb")
        with pytest.raises(StreamError, match="ended after") as error:
            while source.read() is not None:
                pass
        source.close()
    assert isinstance(error.value.__cause__, StreamError)


def test_the_slot_holds_one_frame_and_hands_it_out_once() -> None:
    capture = ScriptedCapture(picture(index) for index in range(100))
    source = CameraSource("test", capture)
    assert source.newest(0.0) is None
    capture.gate.release(3)
    while capture.asked < 4:
        time.sleep(0.001)
    newest = source.newest(1.0)
    assert newest is not None and newest.index == 2
    assert source.newest(0.0) is None
    capture.gate.release(2)
    source.close()
    assert capture.released.wait(1.0)


def test_the_exception_of_the_thread_is_raised_in_the_caller_and_chained() -> None:
    fault = cv2.error("driver fault")
    capture = ScriptedCapture(iter([picture(0), fault]))
    source = CameraSource("test", capture)
    capture.gate.release(2)
    assert capture.released.wait(5.0)
    last = source.newest(1.0)
    assert last is not None and last.index == 0, "the last good frame comes first"
    with pytest.raises(StreamError, match="driver fault") as error:
        source.read()
    assert error.value.__cause__ is fault
    source.close()


def test_a_camera_without_frames_is_reported_as_stalled() -> None:
    capture = ScriptedCapture(iter([]))
    source = CameraSource("test", capture, stall_s=0.05)
    with pytest.raises(StreamError, match=r"no frame for 0\.05 s"):
        source.read()
    capture.gate.release()
    source.close()


def test_close_waits_for_a_hanging_driver_only_so_long() -> None:
    capture = ScriptedCapture(iter([picture(0), picture(1)]))
    source = CameraSource("test", capture)
    start_s = time.monotonic()
    source.close()
    assert time.monotonic() - start_s < 4.0
    assert not capture.released.is_set(), "a capture is not freed under a thread that uses it"
    capture.gate.release()
    assert capture.released.wait(5.0)


@pytest.mark.parametrize("layout", ["uint16", "bytes", "flat bytes", "flat uint16"])
def test_raw_16_bit_frames_arrive_in_every_layout_that_drivers_use(layout: str) -> None:
    expected = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    raw = {
        "uint16": expected,
        "bytes": expected.view(np.uint8).reshape(48, 64, 2),
        "flat bytes": expected.view(np.uint8).reshape(1, -1),
        "flat uint16": expected.reshape(1, -1),
    }[layout]
    capture = ScriptedCapture(iter([raw]))
    source = CameraSource("thermal", capture, is_16bit=True)
    capture.gate.release()
    stamped = source.newest(5.0)
    assert stamped is not None and stamped.frame.dtype == np.uint16
    np.testing.assert_array_equal(stamped.frame, expected)
    capture.gate.release()
    source.close()


def test_8_bit_frames_of_a_camera_asked_for_16_bit_are_refused() -> None:
    with pytest.raises(StreamError, match="16-bit"):
        as_gray16(picture(0), (48, 64))


@pytest.mark.parametrize("spec", ["99", "/dev/video99", "http://127.0.0.1:9/x.mjpg", "rtsp://127.0.0.1:9/x"])
def test_a_camera_that_is_not_there(spec: str) -> None:
    with pytest.raises(StreamError, match="check"):
        open_source(spec, "ir")
    assert not reader_threads()


def test_unknown_kind_of_url() -> None:
    with pytest.raises(InputError, match=r"ftp://.*rtsp://"):
        open_source("ftp://host/video", "ir")


def test_rtsp_goes_over_tcp_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(StreamError):
        open_source("rtsp://127.0.0.1:9/x", "ir")
    assert os.environ[name] == "rtsp_transport;tcp"
    monkeypatch.setenv(name, "rtsp_transport;udp")
    with pytest.raises(StreamError):
        open_source("rtsp://127.0.0.1:9/x", "ir")
    assert os.environ[name] == "rtsp_transport;udp"


def test_passwords_are_not_shown() -> None:
    assert display_name("rtsp://me:secret@host:554/a?b=1") == "rtsp://host:554/a?b=1"
    assert display_name("0") == "0"
