"""The benchmark that kills recordings: what it would notice, and one of each kind in earnest."""

import os
from pathlib import Path

import pytest

from benchmarks import powercut
from tests.live_server import mjpeg_camera
from tests.sink_outputs import output
from vr.runtime.sinks import VideoSink
from vr.runtime.sinks.targets import FileTarget


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Twenty pictures that say when they were taken."""
    sink = VideoSink(FileTarget(tmp_path / "out.mp4", overwrite=False))
    for index in range(20):
        one = output(index, index / 10.0, size_hw=powercut.SIZE_HW)
        assert one.picture is not None
        one.picture[:] = powercut._picture(index)
        sink.write(one)
    sink.close(complete=True)
    return tmp_path / "out.mp4"


def test_pictures_tell_their_time(recording: Path) -> None:
    marks_ms = powercut._marks_ms(recording)
    assert len(marks_ms) == 20 and marks_ms == sorted(marks_ms) and marks_ms[-1] - marks_ms[0] < 5000


def test_a_torn_file_is_told_from_a_whole_one(recording: Path) -> None:
    assert powercut.is_whole(recording)
    os.truncate(recording, recording.stat().st_size - 10)
    assert not powercut.is_whole(recording)


def test_faults_are_noticed(recording: Path) -> None:
    (recording.parent / "out.jsonl").write_text('{"rgb_time_s": 1.0, "notices": []}\n{"rgb_ti')
    row = powercut.examine(recording.parent, 1.0 + 3.0)
    assert row["torn_last_lines"] == 1 and "more of the transforms is lost than allowed" in row["faults"]
    last_ms = powercut._marks_ms(recording)[-1]
    late = powercut.examine(recording.parent, last_ms / 1000.0 + 2.5)
    assert late["lost_s"] == pytest.approx(2.5) and "more of the recording is lost than allowed" in late["faults"]
    assert "more of the recording is lost" not in powercut.examine(recording.parent, last_ms / 1000.0 + 1.5)["faults"]


@pytest.mark.slow
@pytest.mark.parametrize("cut", [False, True])
def test_a_recording_outlives_its_process_and_its_machine(cut: bool) -> None:
    if cut and os.geteuid() != 0:
        pytest.skip("a disk of its own needs root")
    with mjpeg_camera(powercut._picture) as ir, mjpeg_camera(powercut._picture) as rgb:
        row = powercut.die_once(ir, rgb, 3.0, powercut.SEGMENT, cut)
    assert row["faults"] == [] and row["pictures"] > 30 and row["closed_files"] >= 1
