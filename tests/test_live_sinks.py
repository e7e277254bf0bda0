"""Recording, transforms and flows: what is written, and what is never lost."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.sink_outputs import MATRIX, RGB_HW, names, output
from vr.runtime.errors import OutputError
from vr.runtime.geometry import apply_affine
from vr.runtime.sinks import FlowSink, PngSink, TransformSink, VideoSink, WindowSink, open_recording
from vr.runtime.sinks.targets import FileTarget, FolderTarget
from vr.runtime.stopping import Stop


def test_a_run_without_frames_leaves_nothing(tmp_path: Path) -> None:
    sinks = [VideoSink(FileTarget(tmp_path / "a.mp4", False)), PngSink(FolderTarget(tmp_path / "png"))]
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
        "hot_spot": None,
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
