"""Recording, transforms and flows: what is written, and what is never lost."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.errors import OutputError
from vr.runtime.geometry import apply_affine
from vr.runtime.sinks import FlowSink, Output, PngSink, TransformSink, VideoSink, WindowSink, open_recording
from vr.runtime.sinks.targets import FileTarget, FolderTarget
from vr.runtime.sources import Stamped
from vr.runtime.stopping import Stop

MATRIX = np.array([[0.9, 0.1, 3.0], [-0.1, 0.8, 5.0]])
RGB_HW, IR_HW = (48, 64), (40, 50)


def output(
    index: int,
    time_s: float | None = None,
    level: int = 0,
    state: State = "estimated",
    size_hw: tuple[int, int] = RGB_HW,
    confidence: float | None = 0.75,
) -> Output:
    time_s = index / 10.0 if time_s is None else time_s
    ir, rgb = np.zeros(IR_HW, np.uint8), np.zeros((*size_hw, 3), np.uint8)
    stamped_ir, stamped_rgb = Stamped(ir, time_s + 0.004, index), Stamped(rgb, time_s, index)
    matrix = None if state == "refused" else MATRIX
    aligned = Alignment(state, confidence, matrix, None, size_hw, ir)
    picture = np.full((*size_hw, 3), level, np.uint8)
    return Output(index, time_s, stamped_ir, stamped_rgb, aligned, {"total": 1.23456}, picture)


def play(path: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


def video_sink(path: Path, fps: float = 10.0, may_skip: bool = False, overwrite: bool = False) -> VideoSink:
    sink = VideoSink(FileTarget(path, overwrite))
    sink.start(fps, may_skip)
    return sink


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_video_plays_once_it_is_closed(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    for index in range(12):
        sink.write(output(index, level=20 * index))
        assert not (tmp_path / "out.mp4").exists(), "no half-written file under the final name"
    assert sink.close(complete=True) == tmp_path / "out.mp4"
    frames = play(tmp_path / "out.mp4")
    assert [round(float(f.mean())) for f in frames] == pytest.approx([20 * i for i in range(12)], abs=6)
    assert cv2.VideoCapture(str(tmp_path / "out.mp4")).get(cv2.CAP_PROP_FPS) == 10.0
    assert names(tmp_path) == ["out.mp4"]


def test_video_repeats_the_picture_where_time_passes_without_one(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    for index, time_s in enumerate([100.0, 100.1, 100.5, 100.6]):
        sink.write(output(index, time_s, level=60 * index))
    sink.close(complete=True)
    levels = [round(float(f.mean()) / 60) for f in play(tmp_path / "out.mp4")]
    assert levels == [0, 1, 2, 2, 2, 2, 3]


def test_video_of_a_camera_that_is_faster_than_it_says_keeps_the_time(tmp_path: Path) -> None:
    due = 51  # at 10 per second, from 0 to 4.95 s; three more are allowed for jitter
    for may_skip, most in ((True, due + 3), (False, 100)):
        path = tmp_path / f"{may_skip}.mp4"
        sink = video_sink(path, fps=10.0, may_skip=may_skip)
        for index in range(100):
            sink.write(output(index, index / 20.0))
        sink.close(complete=True)
        assert max(due, most - 1) <= len(play(path)) <= most


def test_a_wild_timestamp_does_not_fill_the_disk(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0, 0.0))
    sink.write(output(1, 1e6))
    sink.close(complete=True)
    assert len(play(tmp_path / "out.mp4")) == 101


def test_odd_sizes_lose_no_row_and_no_column(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0, size_hw=(49, 65)))
    sink.close(complete=True)
    assert play(tmp_path / "out.mp4")[0].shape == (50, 66, 3)


def test_a_changing_size_is_an_error_and_keeps_the_recording(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0))
    with pytest.raises(OutputError, match="64x48 to 80x60"):
        sink.write(output(1, size_hw=(60, 80)))
    assert sink.close(complete=False) == tmp_path / "out.mp4"
    assert len(play(tmp_path / "out.mp4")) == 1


def test_a_failed_run_never_replaces_an_older_recording(tmp_path: Path) -> None:
    old = tmp_path / "out.mp4"
    old.write_bytes(b"precious")
    for expected in ("out.incomplete.mp4", "out.incomplete-2.mp4"):
        sink = video_sink(old, overwrite=True)
        sink.write(output(0))
        assert sink.close(complete=False) == tmp_path / expected
        assert len(play(tmp_path / expected)) == 1
    assert old.read_bytes() == b"precious"


def test_overwrite_replaces_only_a_whole_recording(tmp_path: Path) -> None:
    old = tmp_path / "out.mp4"
    old.write_bytes(b"old")
    sink = video_sink(old, overwrite=True)
    sink.write(output(0))
    assert old.read_bytes() == b"old"
    sink.close(complete=True)
    assert len(play(old)) == 1
    assert names(tmp_path) == ["out.mp4"]


def test_a_file_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0))
    (tmp_path / "out.mp4").write_bytes(b"theirs")
    assert sink.close(complete=True) == tmp_path / "out.incomplete.mp4"
    assert (tmp_path / "out.mp4").read_bytes() == b"theirs"


def test_a_run_without_frames_leaves_nothing(tmp_path: Path) -> None:
    sinks = [video_sink(tmp_path / "a.mp4"), PngSink(FolderTarget(tmp_path / "png"))]
    sinks += [
        TransformSink(FileTarget(tmp_path / "t.jsonl", False)),
        FlowSink(FolderTarget(tmp_path / "flows")),
    ]
    assert [sink.close(complete=True) for sink in sinks] == [None] * 4
    assert names(tmp_path) == []


def test_numbered_pictures(tmp_path: Path) -> None:
    sink = open_recording(tmp_path / "png", overwrite=False)
    assert isinstance(sink, PngSink)
    for index in range(3):
        sink.write(output(index, level=50 * index, size_hw=(48 + index, 64)))
    assert sink.close(complete=True) == tmp_path / "png"
    assert names(tmp_path / "png") == ["000000.png", "000001.png", "000002.png"]
    last = cv2.imread(str(tmp_path / "png" / "000002.png"))
    assert last is not None and last.shape == (50, 64, 3) and (last == 100).all()


def test_a_picture_that_cannot_be_written_is_told_by_a_later_call(tmp_path: Path) -> None:
    sink = PngSink(FolderTarget(tmp_path / "png"))
    sink.write(output(0))
    with pytest.raises(OutputError, match="cannot write"):
        for index in range(1, 100):
            shutil.rmtree(tmp_path / "png", ignore_errors=True)
            sink.write(output(index))
    assert sink.close(complete=False) == tmp_path / "png"
    late = PngSink(FolderTarget(tmp_path / "late"))
    late.write(output(0))
    (tmp_path / "late").rename(tmp_path / "gone")
    late.write(output(1))
    with pytest.raises(OutputError, match="cannot write"):
        late.close(complete=True)


def test_transforms_contract(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    sink = TransformSink(FileTarget(path, False))
    sink.write(output(0))
    assert path.read_text().endswith("\n"), "a line is there as soon as its frame is done"
    sink.write(output(1, state="held", confidence=None))
    sink.write(output(2, state="refused", confidence=float("nan")))
    assert sink.close(complete=True) == path
    first, held, refused = (json.loads(line) for line in path.read_text().splitlines())
    assert first == {
        "index": 0,
        "ir_time_s": 0.004,
        "rgb_time_s": 0.0,
        "state": "estimated",
        "confidence": 0.75,
        "matrix_rgb_to_ir": MATRIX.tolist(),
        "estimate_age_ms": 0.0,
        "latency_ms": {"total": 1.235},
        "notices": [],
    }
    assert (held["state"], held["confidence"], held["matrix_rgb_to_ir"]) == ("held", None, MATRIX.tolist())
    assert (refused["state"], refused["confidence"], refused["matrix_rgb_to_ir"]) == ("refused", None, None)


@pytest.mark.parametrize("complete", [True, False])
def test_older_transforms_are_replaced_by_a_whole_run_only(tmp_path: Path, complete: bool) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("old")
    sink = TransformSink(FileTarget(path, overwrite=True))
    sink.write(output(0))
    assert path.read_text() == "old"
    written = sink.close(complete)
    assert written == (path if complete else tmp_path / "t.incomplete.jsonl")
    assert (path.read_text() == "old") is not complete
    assert written is not None and json.loads(written.read_text())["index"] == 0


def test_flows_contract(tmp_path: Path) -> None:
    sink = FlowSink(FolderTarget(tmp_path / "flows"))
    sink.write(output(0))
    sink.write(output(1, state="refused"))
    sink.write(output(10, state="held"))
    sink.close(complete=True)
    assert names(tmp_path / "flows") == ["0.npy", "10.npy"]
    source_xy = np.load(tmp_path / "flows" / "0.npy", allow_pickle=False)
    assert source_xy.shape == (*RGB_HW, 2) and source_xy.dtype == np.float32
    np.testing.assert_allclose(source_xy[30, 20], apply_affine(MATRIX, (20.0, 30.0)), atol=1e-4)


def test_existing_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(OutputError, match="--overwrite"):
        open_recording(tmp_path / "a.mp4", overwrite=False)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="not empty"):
            open_recording(tmp_path, overwrite)
    with pytest.raises(OutputError, match="is a file"):
        FolderTarget(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="is a folder"):
        FileTarget(tmp_path, overwrite=True)


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        FileTarget(tmp_path / "nowhere" / "a.mp4", overwrite=False)
    with pytest.raises(OutputError, match="cannot write into"):
        FileTarget(Path("/proc/a.mp4"), overwrite=False)
    with pytest.raises(OutputError, match=r"\.mp4"):
        open_recording(tmp_path / "a.avi", overwrite=False)
    assert names(tmp_path) == []


def test_closing_a_window_that_never_opened_is_fine() -> None:
    assert WindowSink(Stop()).close(complete=True) is None
