"""The bench's RTSP cameras and pipes, read by FFmpeg."""

import itertools
import time
from pathlib import Path

import pytest
from av.error import HTTPUnauthorizedError

from tests.bench.camera import SMALL_HW
from tests.bench.coded import DRAWN_HW, MODULUS_MS, decode, difference_ms
from tests.bench.processes import SpoiledCamera
from tests.bench.reading import frames, opened
from tests.bench.serve_rtsp import why_no_rtsp

needs_rtsp = pytest.mark.skipif(why_no_rtsp() is not None, reason=str(why_no_rtsp()))


def age_ms(scene_ms: int | None) -> int:
    assert scene_ms is not None
    return difference_ms(round(time.monotonic() * 1000.0) % MODULUS_MS, scene_ms)


def watch(camera: SpoiledCamera, count: int) -> list[tuple[int, int]]:
    """Scene time and age of the first pictures, in ms."""
    with opened(camera.url) as container:
        times = [(ms := decode(frame), age_ms(ms)) for frame in itertools.islice(frames(container), count)]
    return [(ms, age) for ms, age in times if ms is not None]


@needs_rtsp
def test_rtsp_gives_h264_that_is_young() -> None:
    with SpoiledCamera("rgb", "rtsp") as camera:
        with opened(camera.url) as container:
            assert container.streams.video[0].codec_context.name == "h264"
        seen = watch(camera, 20)
    assert len(seen) == 20
    assert [ms for ms, _ in seen] == sorted(ms for ms, _ in seen)
    assert min(age for _, age in seen) < 150


@needs_rtsp
def test_rtsp_asks_for_its_login() -> None:
    with SpoiledCamera("rgb", "rtsp", "--login", "guard:secret") as camera:
        with pytest.raises(HTTPUnauthorizedError), opened(camera.url):
            pass
        with opened(camera.url.replace("rtsp://", "rtsp://guard:secret@")) as container:
            assert decode(next(frames(container))) is not None


@needs_rtsp
def test_rtsp_clock_jumps_by_an_hour_and_back() -> None:
    with SpoiledCamera("rgb", "rtsp") as camera, opened(camera.url) as container:
        stamps = [packet.pts for packet in itertools.islice(container.demux(video=0), 5)]
        fault = camera.fault("clock", 0.4)
        while time.monotonic() < fault.end_s + 0.2:
            stamps.append(next(container.demux(video=0)).pts)
        assert camera.faults()[-1].injected > 5
    known = [pts for pts in stamps if pts is not None]
    jumps_s = [(b - a) / 90_000 for a, b in itertools.pairwise(known) if abs(b - a) > 90_000]
    assert jumps_s == [pytest.approx(3600.0, abs=1.0), pytest.approx(-3600.0, abs=1.0)]


@needs_rtsp
def test_rtsp_changes_its_resolution() -> None:
    with SpoiledCamera("rgb", "rtsp") as camera, opened(camera.url) as container:
        stream = frames(container)
        sizes: list[tuple[int, ...]] = [next(stream).shape[:2]]
        fault = camera.fault("resolution", 0.4)
        while len(changes := [size for size, _ in itertools.groupby(sizes)]) < 3 and time.monotonic() < fault.end_s + 5:
            sizes.append(next(stream).shape[:2])
    assert changes == [DRAWN_HW, SMALL_HW, DRAWN_HW]


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_pipe_gives_pictures_and_comes_back_after_a_cut(tmp_path: Path, codec: str) -> None:
    with SpoiledCamera("ir", "pipe", "--path", tmp_path / "camera", "--codec", codec) as camera:
        with opened(camera.url) as container:
            stream = frames(container)
            assert decode(next(stream)) is not None
            fault = camera.fault("cut", 0.3)
            assert len(list(stream)) < 30, "the reader sees the end of a file"
        assert camera.faults()[-1].injected == 1
        time.sleep(max(0.0, fault.end_s - time.monotonic()))
        assert len(watch(camera, 5)) == 5
