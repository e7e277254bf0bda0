"""Cameras: the threads that read and supervise, the newest frames, and what a user reads when there is no camera."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.live_server import mjpeg_camera
from vr.runtime.errors import InputError, StreamError
from vr.runtime.sources import open_source
from vr.runtime.sources.camera import CameraSource, Watch
from vr.runtime.sources.capture import Grabbed, as_gray16
from vr.runtime.sources.credentials import display_name
from vr.runtime.sources.opening import SourceOptions
from vr.runtime.sources.presence import presence_of


class ScriptedCapture:
    """Frames that the test lets through one by one: a frame, an exception, or None for one that came too late."""

    fps, decode_errors, skipped = 25.0, 0, 0

    def __init__(self, frames: Iterator[Any]) -> None:
        self.gate = threading.Semaphore(0)
        self.closed = threading.Event()
        self.asked = 0
        self._frames = frames

    def read(self) -> Grabbed:
        self.asked += 1
        self.gate.acquire()
        frame = next(self._frames)
        if isinstance(frame, Exception):
            raise frame
        return Grabbed(picture(0) if frame is None else frame, None if frame is None else time.monotonic())

    def close(self) -> None:
        self.closed.set()


def picture(index: int, hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*hw, 3), 8 * index % 256, np.uint8)


def reader_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("camera ", "supervisor "))]


def wait_for(what: Callable[[], object], seconds: float = 5.0) -> None:
    end_s = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.005)


def test_network_camera_gives_frames_stamped_on_the_monotonic_clock() -> None:
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
    assert all(frame.frame.shape == (48, 64, 3) for frame in stamped)
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


def test_a_network_camera_that_hangs_up_is_opened_again() -> None:
    with mjpeg_camera(picture, fps=100.0, frames=60) as url:
        source = open_source(url, "rgb")
        assert isinstance(source, CameraSource)
        wait_for(lambda: source.counts.reconnects >= 1 and source.counts.frames >= 60)
        counts = source.counts
        assert counts.breaks >= 1 and counts.stalls == 0
        source.close()
    assert not reader_threads()


def test_the_two_newest_frames_are_kept_or_more_if_asked() -> None:
    capture = ScriptedCapture(picture(index) for index in range(100))
    source = CameraSource("test", lambda: capture)
    assert source.fps == 25.0
    assert source.recent() == [] and not source.wait_newer(-1, 0.0)
    capture.gate.release(3)
    wait_for(lambda: capture.asked == 4)
    assert [stamped.index for stamped in source.recent()] == [1, 2]
    assert source.wait_newer(1, 0.0) and not source.wait_newer(2, 0.0)
    source.keep(60.0)
    capture.gate.release(3)
    wait_for(lambda: capture.asked == 7)
    assert [stamped.index for stamped in source.recent()] == [1, 2, 3, 4, 5]
    capture.gate.release()
    source.close()
    assert capture.closed.wait(1.0)


def test_what_a_driver_throws_is_counted_and_the_camera_opened_again() -> None:
    captures = [
        ScriptedCapture(iter([picture(0), RuntimeError("driver fault")])),
        ScriptedCapture(map(picture, count())),
    ]
    opened = iter(captures)
    source = CameraSource("test", lambda: next(opened))
    captures[0].gate.release(2)
    captures[1].gate.release(1)
    assert captures[0].closed.wait(5.0)
    wait_for(lambda: source.counts.frames == 2)
    assert (source.counts.breaks, source.counts.reconnects) == (1, 1)
    assert [stamped.index for stamped in source.recent()] == [0, 1], "numbers go on"
    captures[1].gate.release()
    source.close()


def test_a_silent_camera_is_closed_and_opened_again_and_the_hanging_thread_left_behind() -> None:
    captures = [ScriptedCapture(map(picture, count())) for _ in range(2)]
    opened = iter(captures)
    source = CameraSource("test", lambda: next(opened), Watch(stall_after_s=0.1))
    captures[0].gate.release()
    captures[1].gate.release()
    wait_for(lambda: source.counts.frames == 1)
    assert source.status.state == "running"
    wait_for(lambda: source.counts.stalls >= 1)
    assert source.status.state == "lost"
    wait_for(lambda: source.counts.frames == 2)
    assert not captures[0].closed.is_set(), "a capture is not freed under a thread that uses it"
    captures[0].gate.release()
    assert captures[0].closed.wait(5.0), "it ends once its driver returns"
    assert source.counts.frames == 2, "what it still gave is not used"
    captures[1].gate.release(1)
    source.close()


def test_a_camera_that_gives_no_frame_at_all_is_lost_and_counted() -> None:
    capture = ScriptedCapture(iter([]))
    source = CameraSource("test", lambda: capture, Watch(stall_after_s=0.05))
    wait_for(lambda: source.counts.stalls == 1)
    assert source.status.state == "lost" and source.status.age_s > 0.05
    capture.gate.release()
    source.close()


def test_a_camera_that_does_not_open_in_time_is_an_error_at_the_start() -> None:
    def hangs() -> ScriptedCapture:
        time.sleep(0.4)
        raise StreamError("too late")

    start_s = time.monotonic()
    with pytest.raises(StreamError, match=r"test did not answer within 0\.1 s"):
        CameraSource("test", hangs, Watch(open_timeout_s=0.1, open_grace_s=0.0))
    assert time.monotonic() - start_s < 0.35


def test_a_camera_may_be_waited_for() -> None:
    there = threading.Event()
    capture = ScriptedCapture(map(picture, count()))

    def opens() -> ScriptedCapture:
        if not there.is_set():
            raise StreamError("not there")
        return capture

    source = CameraSource("test", opens, Watch(wait_for_camera=True), presence=there.is_set)
    wait_for(lambda: source.counts.breaks == 1)
    assert source.status.state == "lost" and source.recent() == []
    there.set()
    capture.gate.release()
    wait_for(lambda: source.counts.frames == 1)
    capture.gate.release()
    source.close()


def test_frames_that_come_late_or_out_of_order_are_counted_and_not_used() -> None:
    capture = ScriptedCapture(iter([picture(0), None, picture(1)]))
    source = CameraSource("test", lambda: capture)
    capture.gate.release(3)
    wait_for(lambda: source.counts.frames == 2)
    assert source.counts.late == 1
    capture.gate.release()
    source.close()


def test_a_change_of_size_or_type_is_counted_and_survived() -> None:
    frames = [picture(0), picture(1, (24, 32)), picture(2, (24, 32))[:, :, 0], picture(3, (24, 32))[:, :, 0]]
    capture = ScriptedCapture(iter(frames))
    source = CameraSource("test", lambda: capture)
    capture.gate.release(4)
    wait_for(lambda: source.counts.frames == 4)
    assert source.counts.changes == 2
    capture.gate.release()
    source.close()


def test_steps_see_every_frame_in_order() -> None:
    capture, seen = ScriptedCapture(map(picture, count())), []
    source = CameraSource("test", lambda: capture, steps=[lambda one: (seen.append(one.index), one)[1]])
    capture.gate.release(5)
    wait_for(lambda: source.counts.frames == 5)
    assert seen == [0, 1, 2, 3, 4]
    capture.gate.release()
    source.close()


def test_close_waits_for_a_hanging_driver_only_so_long() -> None:
    capture = ScriptedCapture(iter([picture(0), picture(1)]))
    source = CameraSource("test", lambda: capture)
    start_s = time.monotonic()
    source.close()
    assert time.monotonic() - start_s < 4.0
    assert not capture.closed.is_set(), "a capture is not freed under a thread that uses it"
    capture.gate.release()
    assert capture.closed.wait(5.0)


@pytest.mark.parametrize("layout", ["uint16", "bytes", "flat bytes", "flat uint16"])
def test_raw_16_bit_frames_arrive_in_every_layout_that_drivers_use(layout: str) -> None:
    expected = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    raw = {
        "uint16": expected,
        "bytes": expected.view(np.uint8).reshape(48, 64, 2),
        "flat bytes": expected.view(np.uint8).reshape(1, -1),
        "flat uint16": expected.reshape(1, -1),
    }[layout]
    frame = as_gray16(raw, (48, 64))
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame, expected)


def test_8_bit_frames_of_a_camera_asked_for_16_bit_are_refused() -> None:
    with pytest.raises(StreamError, match="16-bit"):
        as_gray16(picture(0), (48, 64))


@pytest.mark.parametrize("spec", ["99", "/dev/video99", "http://127.0.0.1:9/x.mjpg", "rtsp://127.0.0.1:9/x"])
def test_a_camera_that_is_not_there(spec: str) -> None:
    with pytest.raises(StreamError, match="check"):
        open_source(spec, "ir")
    wait_for(lambda: not reader_threads())


def test_unknown_kind_of_url() -> None:
    with pytest.raises(InputError, match=r"ftp://.*rtsp://"):
        open_source("ftp://host/video", "ir")


@pytest.mark.parametrize(("chosen", "expected"), [(None, "TCP"), ("rtsp_transport;udp", "UDP")])
def test_rtsp_goes_over_tcp_unless_the_user_chose(
    chosen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", chosen)
    assert f"RTP/AVP/{expected}" in rtsp_transport_asked_for().replace("RTP/AVP;", "RTP/AVP/UDP;")


def rtsp_transport_asked_for() -> str:
    """The Transport line of the SETUP that `open_source` sends to a server that knows just enough RTSP."""
    sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    asked: list[str] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rwb") as stream:
            while request := b"".join(iter(stream.readline, b"\r\n")).decode():
                lines = dict(line.split(": ", 1) for line in request.splitlines()[1:] if ": " in line)
                if request.startswith("SETUP"):
                    asked.append(lines["Transport"])
                    return
                body = sdp if request.startswith("DESCRIBE") else ""
                head = f"RTSP/1.0 200 OK\r\nCSeq: {lines['CSeq']}\r\nPublic: DESCRIBE, SETUP\r\n"
                head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n"
                stream.write((head + body).encode())
                stream.flush()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        with pytest.raises(StreamError):
            open_source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", "ir")
        thread.join(5)
    return asked[0]


def test_a_named_pipe_is_a_camera_whose_writer_may_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "ir.pipe"
    os.mkfifo(path)
    source = open_source(str(path), "ir", SourceOptions(wait_for_cameras=True))
    assert isinstance(source, CameraSource)
    for round_ in (1, 2):
        with path.open("wb", buffering=0) as stream:
            goal = source.counts.frames + 3
            end_s = time.monotonic() + 8.0
            while source.counts.frames < goal and time.monotonic() < end_s:
                stream.write(jpeg(round_))
                time.sleep(0.02)
        assert source.counts.frames >= goal
        wait_for(lambda done=round_: source.counts.breaks == done)
    assert source.counts.reconnects == 1
    source.close()
    assert not reader_threads()


def jpeg(level: int) -> bytes:
    return cv2.imencode(".jpg", picture(level))[1].tobytes()


def test_presence(tmp_path: Path) -> None:
    assert not presence_of(str(tmp_path / "video7"))() and presence_of(str(tmp_path))()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"rtsp://user:word@127.0.0.1:{server.getsockname()[1]}/x"
        assert presence_of(url)()
    assert not presence_of(url)()


def test_passwords_are_not_shown() -> None:
    assert display_name("rtsp://me:secret@host:554/a?b=1") == "rtsp://host:554/a?b=1"
    assert display_name("0") == "0"
