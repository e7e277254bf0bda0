"""Faults of the bench's cameras do what they say, as a client sees it that knows nothing of the runtime."""

import itertools
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.bench.camera import SMALL_HW
from tests.bench.coded import DRAWN_HW, decode, difference_ms
from tests.bench.interleaved import Interleaved, with_later_clock
from tests.bench.mangle import SLOW_BYTES_PER_S
from tests.bench.processes import SpoiledCamera, start_camera
from tests.bench.reading import PlainHttp, jpeg_files

SETTLE_S = 0.4


@pytest.fixture(scope="module")
def camera() -> Iterator[SpoiledCamera]:
    """One camera for all faults: each of them has ended when the next begins."""
    with SpoiledCamera("rgb", "http") as one:
        yield one


def scene_times(data: bytes) -> list[int | None]:
    pictures = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in jpeg_files(data)]
    return [None if picture is None else decode(picture) for picture in pictures]


def seen_during(camera: SpoiledCamera, kind: str, duration_s: float, after_s: float = 0.3) -> tuple[bytes, int]:
    """All bytes from before a fault until after it, and how often it was injected."""
    client = PlainHttp(camera.url)
    before = client.receive(SETTLE_S)
    camera.fault(kind, duration_s)
    got = before + client.receive(duration_s + after_s)
    client.close()
    fault = camera.faults()[-1]
    assert fault.kind == kind
    return b"".join(data for _, data in got), fault.injected


def test_stall_keeps_the_connection_and_sends_nothing(camera: SpoiledCamera) -> None:
    client = PlainHttp(camera.url)
    assert client.receive(SETTLE_S)
    fault = camera.fault("stall", 0.6)
    got = client.receive(1.2)
    client.close()
    silent = [at_s for at_s, _ in got if fault.begin_s + 0.05 < at_s < fault.end_s]
    assert not silent
    assert any(at_s > fault.end_s for at_s, _ in got), "the same connection goes on"
    assert camera.faults()[-1].injected == 1


def test_cut_closes_refuses_and_comes_back_on_the_same_port(camera: SpoiledCamera) -> None:
    client = PlainHttp(camera.url)
    assert client.receive(SETTLE_S)
    fault = camera.fault("cut", 0.5)
    client.receive(0.4)
    assert time.monotonic() < fault.end_s, "the connection ended before the fault did"
    with pytest.raises(ConnectionRefusedError):
        PlainHttp(camera.url)
    client.close()
    time.sleep(max(0.0, fault.end_s - time.monotonic()) + 0.1)
    again = PlainHttp(camera.url)
    assert again.receive(SETTLE_S)
    again.close()
    assert camera.faults()[-1].injected == 1


def test_garbage_is_counted_by_the_parts_that_it_spoils(camera: SpoiledCamera) -> None:
    clean, _ = seen_during(camera, "freeze", 0.1)
    data, injected = seen_during(camera, "garbage", 0.7)
    assert injected in (3, 4), "every 0.2 s"
    lengths_ok = [_length_is_right(part) for part in data.split(b"--frame\r\n")[1:-1]]
    assert 1 <= lengths_ok.count(False) <= injected
    assert all(_length_is_right(part) for part in clean.split(b"--frame\r\n")[1:-1])


def _length_is_right(part: bytes) -> bool:
    head, _, body = part.partition(b"\r\n\r\n")
    return head.rpartition(b" ")[2] == str(len(body.removesuffix(b"\r\n"))).encode()


def test_slow_bytes_come_at_the_stated_rate(camera: SpoiledCamera) -> None:
    client = PlainHttp(camera.url)
    client.receive(SETTLE_S)
    fault = camera.fault("slow", 1.0)
    got = client.receive(1.0)
    client.close()
    length = sum(len(data) for at_s, data in got if fault.begin_s + 0.1 < at_s < fault.end_s)
    assert length < 2.0 * SLOW_BYTES_PER_S


def test_half_frames_are_as_many_as_are_counted(camera: SpoiledCamera) -> None:
    data, injected = seen_during(camera, "half", 0.5)
    files = jpeg_files(data)
    assert injected == sum(not one.endswith(b"\xff\xd9") for one in files) > 3
    assert scene_times(data).count(None) == injected, "the code lies in the half that is lost"


def test_freeze_repeats_one_picture(camera: SpoiledCamera) -> None:
    data, injected = seen_during(camera, "freeze", 0.5)
    times = scene_times(data)
    repeats = sum(a == b for a, b in itertools.pairwise(times))
    assert repeats == injected > 10
    assert max(len(list(group)) for _, group in itertools.groupby(times)) == injected + 1


def test_duplicates_come_twice(camera: SpoiledCamera) -> None:
    data, injected = seen_during(camera, "duplicate", 0.4)
    lengths = [len(list(group)) for _, group in itertools.groupby(scene_times(data))]
    assert lengths.count(2) == injected > 8
    assert set(lengths) == {1, 2}


def test_reordered_pictures_come_late(camera: SpoiledCamera) -> None:
    data, injected = seen_during(camera, "reorder", 0.8)
    times = [ms for ms in scene_times(data) if ms is not None]
    steps = [difference_ms(b, a) for a, b in itertools.pairwise(times)]
    assert sum(step < 0 for step in steps) == injected > 2


def test_resolution_changes_and_comes_back(camera: SpoiledCamera) -> None:
    data, injected = seen_during(camera, "resolution", 0.4, after_s=0.8)
    sizes = [
        np.asarray(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_GRAYSCALE)).shape for one in jpeg_files(data)
    ]
    assert [size for size, _ in itertools.groupby(sizes)] == [DRAWN_HW, SMALL_HW, DRAWN_HW]
    assert injected == 1


@pytest.mark.parametrize(("kind", "fps"), [("rate", 10.0), ("hz9", 9.0)])
def test_rate_falls(camera: SpoiledCamera, kind: str, fps: float) -> None:
    client = PlainHttp(camera.url)
    client.receive(SETTLE_S)
    fault = camera.fault(kind, 1.0)
    files = jpeg_files(b"".join(data for at_s, data in client.receive(1.0) if at_s < fault.end_s))
    client.close()
    assert len(files) == pytest.approx(fps, abs=2.0)


def test_an_unknown_fault_is_refused(camera: SpoiledCamera) -> None:
    with pytest.raises(ValueError, match=r"melt.* is unknown here"):
        camera.fault("melt", 1.0)


def test_packets_are_found_in_pieces_of_any_size_and_get_another_clock() -> None:
    reply = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\n$hell"
    rtp = b"$\x00\x00\x10" + b"\x80\x60\x00\x01" + (90_000).to_bytes(4, "big") + b"ssrcDATA"
    stream = reply + rtp + b"$\x01\x00\x04rtcp" + rtp
    for step in (1, 3, 7, 1000):
        packets = Interleaved()
        units = [u for i in range(0, len(stream), step) for u in packets.units(stream[i : i + step])]
        assert units == [reply, rtp, b"$\x01\x00\x04rtcp", rtp]
    later, earlier = with_later_clock(rtp, 3600.0), with_later_clock(rtp, -10.0)
    assert int.from_bytes(later[8:12], "big") == 90_000 * 3601
    assert int.from_bytes(earlier[8:12], "big") == (1 << 32) - 90_000 * 9
    assert later[:8] + later[12:] == rtp[:8] + rtp[12:]


def test_nothing_is_left_running_and_a_parent_that_dies_takes_its_camera_along() -> None:
    camera = start_camera("ir", "http")
    camera.close()
    assert not Path(f"/proc/{camera.pid}").exists()
    code = (
        "import json, os, signal; from tests.bench.processes import start_camera;"
        "camera = start_camera('ir', 'http');"
        "print(json.dumps([camera.pid, camera.facts['url']]), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    pid, url = json.loads(done.stdout)
    end_s = time.monotonic() + 5.0
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < end_s, "the camera outlived its parent"
        time.sleep(0.02)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), timeout=1.0)
