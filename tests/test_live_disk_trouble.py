"""Disks that are full, slow or gone: of cameras the output pauses and goes on, of recordings the run ends."""

import json
import os
import signal
import threading
import time
from collections.abc import Generator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from tests.live_command import play, start_vr_live
from tests.live_models import write_theta_model
from tests.live_server import mjpeg_camera
from tests.pipeline_parts import ListSink, Pairs, ShiftAligner
from tests.sink_outputs import output
from tests.small_disk import small_disk
from vr.runtime.controls import Controls
from vr.runtime.errors import OutputError
from vr.runtime.estimation import EveryNth
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import RIGS
from vr.runtime.sinks import Output, ResumingSink, Sink, TransformSink, Troubled, VideoSink, resuming
from vr.runtime.sinks.segments import Segments, SingleFile
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.stopping import Stop
from vr.runtime.storage import SegmentLimit

NOISE = np.random.default_rng(0).integers(0, 255, (8, 240, 320, 3), dtype=np.uint8)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    with small_disk(tmp_path / "disk", 2) as folder:
        yield folder


@pytest.fixture
def retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "RETRY_S", 0.05)
    monkeypatch.setattr(resuming, "PROVEN_S", 0.0)


def noisy(index: int) -> Output:
    """A picture that takes some 40 kB of a recording."""
    one = output(index, index / 30.0, size_hw=(240, 320))
    assert one.picture is not None
    one.picture[:] = NOISE[index % len(NOISE)]
    return one


def recorder(folder: Path, said: list[str], keep_free_mb: float = 0.0) -> ResumingSink:
    video = VideoSink(Segments(folder / "out.mp4", SegmentLimit(duration_s=3600.0), keep_days=3.0))
    video.start(30.0)
    return ResumingSink(video, "recording", folder / "out.mp4", said.append, keep_free_mb)


def write_until(sink: ResumingSink, is_off: bool, first: int) -> int:
    """Writes frames from number `first` until the sink is off, or on; returns how many it took."""
    for count in range(3000):
        sink.write(noisy(first + count))
        if (sink.notice is not None) == is_off:
            return count + 1
        time.sleep(0.001)
    raise AssertionError(sink.notice)


def test_a_recording_of_a_file_ends_with_a_full_disk_and_keeps_what_plays(disk: Path) -> None:
    sink = VideoSink(FileTarget(disk / "out.mp4", overwrite=False))
    with pytest.raises(OutputError, match=r"out\.mp4: No space left on device"):
        for index in range(1000):
            sink.write(noisy(index))
    assert sink.close(complete=False) == disk / "out.mp4"
    assert len(play(disk / "out.mp4")) > 10


@pytest.mark.usefixtures("retry_soon")
def test_a_recording_of_cameras_pauses_while_the_disk_is_full(disk: Path) -> None:
    said: list[str] = []
    (disk / "filler").write_bytes(bytes(1_000_000))
    sink = recorder(disk, said)
    assert isinstance(sink, Troubled)
    written = write_until(sink, is_off=True, first=0)
    for index in range(written, written + 200):
        sink.write(noisy(index))
    assert sink.notice is not None and sink.notice.what == "recording off"
    assert [line.split(":")[0] for line in said] == ["recording off"], "once, not for each frame"
    assert "No space left" in said[0]
    (disk / "filler").unlink()
    time.sleep(0.06)
    tries = write_until(sink, is_off=False, first=written + 200)
    sink.close(complete=True)
    assert len(said) == 2 and said[1].startswith("recording on again") and f"{200 + tries} frames" in said[1]
    files = sorted(disk.iterdir())
    assert len(files) == 2 and [len(play(path)) for path in files][1] == 1
    assert 10 < len(play(files[0])) >= written - 16


@pytest.mark.usefixtures("retry_soon")
def test_a_recording_of_cameras_leaves_room_on_the_disk(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "_ROOM_CHECK_S", 0.0)
    said: list[str] = []
    sink = recorder(disk, said, keep_free_mb=1.0)
    write_until(sink, is_off=True, first=0)
    stat = os.statvfs(disk)
    assert 0.2e6 < stat.f_bavail * stat.f_frsize < 1.0e6, "a fragment is 0.6 MB"
    assert "expected 1 (--keep-free-mb)" in said[0]
    sink.close(complete=True)


@pytest.mark.usefixtures("retry_soon")
def test_old_segments_make_room_for_the_first_new_one(disk: Path) -> None:
    old = disk / "out-20200101T000000Z.mp4"
    old.write_bytes(bytes(1_500_000))
    sink = recorder(disk, [], keep_free_mb=1.0)
    write_until(sink, is_off=True, first=0)
    write_until(sink, is_off=False, first=1)
    sink.close(complete=True)
    assert not old.exists() and len(list(disk.iterdir())) == 1


@pytest.mark.usefixtures("retry_soon")
def test_a_recording_goes_on_once_its_folder_is_back(tmp_path: Path) -> None:
    folder, away = tmp_path / "usb", tmp_path / "away"
    folder.mkdir()
    said: list[str] = []
    sink = recorder(folder, said)
    sink.write(noisy(0))
    folder.rename(away)
    time.sleep(1.1)
    assert write_until(sink, is_off=True, first=1) == 1
    assert "No such file" in said[0]
    away.rename(folder)
    time.sleep(0.06)
    write_until(sink, is_off=False, first=2)
    sink.close(complete=True)
    assert [len(play(path)) > 0 for path in folder.iterdir()] == [True] * len(list(folder.iterdir()))


@pytest.mark.usefixtures("retry_soon")
def test_transforms_of_cameras_are_whole_lines_around_a_full_disk(disk: Path) -> None:
    said: list[str] = []
    (disk / "filler").write_bytes(bytes(2_000_000))
    sink = ResumingSink(TransformSink(FileTarget(disk / "t.jsonl", False)), "transforms", disk / "t.jsonl", said.append)
    written = write_until(sink, is_off=True, first=0)
    (disk / "filler").unlink()
    time.sleep(0.06)
    write_until(sink, is_off=False, first=written)
    sink.close(complete=True)
    indices = [json.loads(line)["index"] for line in (disk / "t.jsonl").read_text().splitlines()]
    assert indices[: written - 1] == list(range(written - 1)) and len(indices) > written - 1
    assert sink.lost == indices[-1] + 1 - len(indices)


def test_a_live_run_outlives_a_full_disk(disk: Path, tmp_path: Path) -> None:
    model, lines = write_theta_model(tmp_path / "model.onnx", confidence=0.9), tmp_path / "t.jsonl"
    with (
        mjpeg_camera(lambda index: NOISE[index % 8], fps=60.0) as ir,
        mjpeg_camera(lambda index: NOISE[index % 8], fps=60.0) as rgb,
    ):
        process = start_vr_live(
            *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window", "--keep-free-mb", 0),
            *("--record", disk / "out.mp4", "--transforms", lines),
        )
        end_s = time.monotonic() + 20.0
        while time.monotonic() < end_s and os.statvfs(disk).f_bavail > 250:
            time.sleep(0.02)
        full_at = len(lines.read_text().splitlines())
        while time.monotonic() < end_s and len(lines.read_text().splitlines()) < full_at + 40:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err.count("\n") == 1 and "recording off: cannot write the recording" in err and "No space left" in err
    assert "frames left out" in out
    assert len(lines.read_text().splitlines()) >= full_at + 40 > 60
    assert len(play(disk / "out.mp4")) > 15


class Pipe(SingleFile):
    """A recording into a named pipe: as slow as who reads it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.written = path

    def create(self) -> FileIO:
        assert self.written is not None
        return FileIO(os.open(self.written, os.O_RDWR), "ab")

    def finish(self, complete: bool) -> Path | None:
        return self.written


def test_a_slow_disk_leaves_frames_out_and_holds_up_nobody(tmp_path: Path) -> None:
    said: list[str] = []
    video = VideoSink(Pipe(tmp_path / "pipe"))
    video.start(30.0)
    slow, other, seen = ResumingSink(video, "recording", tmp_path / "pipe", said.append), ListSink(), []
    sinks: list[Sink] = [NoisySink(slow), other]
    pairs = Pairs(150, before=lambda _index: time.sleep(0.004))
    pipeline = Pipeline(
        *(pairs, EveryNth(ShiftAligner(), 1, RIGS["fixed"]), sinks, Stop(), seen.append),
        live=True,
        controls=Controls(),
    )
    pipeline.start()
    while len(seen) < 150:
        time.sleep(0.01)
    assert len(other.outputs) > 100, "the pipe is full, and everybody else has the pictures"
    threading.Thread(target=drain, args=(tmp_path / "pipe",), daemon=True).start()
    pipeline.join()
    assert slow.notice is not None and slow.notice.what == "recording slow"
    assert [line.split(":")[0] for line in said] == ["recording slow"]
    assert pipeline.dropped_by_sinks > 50
    slow.close(complete=True)


class NoisySink:
    """Hands noise on in place of the picture, so that there is something to write."""

    wants_picture = True

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, output: Output) -> None:
        self._sink.write(noisy(output.index))

    def close(self, complete: bool) -> Path | None:
        return self._sink.close(complete)


def drain(pipe: Path) -> None:
    with pipe.open("rb") as stream:
        while stream.read(1 << 16):
            pass
