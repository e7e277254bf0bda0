"""MP4 recordings: times, files, sizes, and what is never lost or overwritten."""

import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.live_command import play
from tests.sink_outputs import names, output
from vr.runtime.sinks import VideoSink
from vr.runtime.sinks.mp4 import Mp4Writer
from vr.runtime.sinks.segments import Segments
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.sinks.video import NO_H264
from vr.runtime.storage import SegmentLimit


def video_sink(path: Path, fps: float = 10.0, overwrite: bool = False) -> VideoSink:
    sink = VideoSink(FileTarget(path, overwrite))
    sink.start(fps)
    return sink


def times_s(path: Path) -> list[float]:
    """Of the pictures, as another reader than OpenCV finds them."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def boxes(data: bytes) -> Iterator[str]:
    """The kinds of the outermost boxes of an MP4 file (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind.decode()
        at += size


def test_a_recording_reads_back_with_its_rate_and_length(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = video_sink(path)
    for index in range(12):
        sink.write(output(index, level=20 * index))
    assert sink.close(complete=True) == path
    frames = play(path)
    assert [round(float(f.mean())) for f in frames] == pytest.approx([20 * i for i in range(12)], abs=6)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == 10.0 and capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert container.duration == pytest.approx(1.2e6, abs=1.0)
    assert names(tmp_path) == ["out.mp4"]


def test_a_copy_taken_while_it_is_written_plays_almost_to_the_end(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4", fps=30.0)
    for index in range(100):
        sink.write(output(index, index / 30.0))
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "out.mp4").read_bytes())
    sink.close(complete=True)
    assert len(play(tmp_path / "copy.mp4")) >= 100 - 16, "a fragment is half a second"
    assert len(play(tmp_path / "out.mp4")) == 100


def test_pictures_keep_their_own_times(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    irregular_s = np.cumsum(np.random.default_rng(0).uniform(0.004, 0.5, 60))
    for index, time_s in enumerate(irregular_s):
        sink.write(output(index, 1000.0 + time_s))
    sink.close(complete=True)
    np.testing.assert_allclose(times_s(tmp_path / "out.mp4"), irregular_s - irregular_s[0], atol=1e-4)


def test_a_clock_that_stands_or_jumps_back_breaks_nothing(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    for index, time_s in enumerate([100.0, 100.1, 100.1, 100.2, 3.0, 3.1, 3.2]):
        sink.write(output(index, time_s, level=30 * index))
    sink.close(complete=True)
    found_s = times_s(tmp_path / "out.mp4")
    assert found_s == pytest.approx([0.0, 0.1, 0.101, 0.201, 0.202, 0.302, 0.402], abs=1e-4)
    assert len(play(tmp_path / "out.mp4")) == 7


def test_a_long_pause_begins_a_new_file(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    for index, time_s in enumerate([0.0, 1800.0, 1e6, 1e6 + 0.1]):
        sink.write(output(index, time_s))
    assert sink.close(complete=True) == tmp_path
    assert times_s(tmp_path / "out.mp4") == pytest.approx([0.0, 1800.0])
    assert times_s(tmp_path / "out-2.mp4") == pytest.approx([0.0, 0.1])


def test_the_file_holds_no_index_that_grows(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4", fps=30.0)
    for index in range(90):
        sink.write(output(index, index / 30.0))
    sink.close(complete=True)
    kinds = list(boxes((tmp_path / "out.mp4").read_bytes()))
    assert kinds[:2] == ["ftyp", "moov"] and kinds[2:] == ["moof", "mdat"] * (len(kinds[2:]) // 2)
    assert len(kinds) == 2 + 2 * 6, "a fragment each half second"


def test_odd_sizes_lose_no_row_and_no_column(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0, size_hw=(49, 65)))
    sink.close(complete=True)
    assert play(tmp_path / "out.mp4")[0].shape == (50, 66, 3)


def test_colours_come_back(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24], picture[24:] = (200, 60, 30), (40, 90, 220)
    with (tmp_path / "out.mp4").open("ab", buffering=0) as stream:
        writer = Mp4Writer(stream, (48, 64), 30.0)
        writer.write(picture, 0.0)
        writer.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (6, 1), "players need not guess"
    np.testing.assert_allclose(play(tmp_path / "out.mp4")[0][[4, 40]], picture[[4, 40]], atol=8)


def test_a_new_size_begins_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "out-2.mp4").write_bytes(b"theirs")
    sink = video_sink(tmp_path / "out.mp4")
    for index, size_hw in enumerate([(48, 64), (60, 80), (60, 80), (48, 64)]):
        sink.write(output(index, size_hw=size_hw))
    assert sink.close(complete=True) == tmp_path
    assert (tmp_path / "out-2.mp4").read_bytes() == b"theirs"
    sizes = {name: [f.shape[:2] for f in play(tmp_path / name)] for name in names(tmp_path) if name != "out-2.mp4"}
    assert sizes == {"out.mp4": [(48, 64)], "out-3.mp4": [(60, 80)] * 2, "out-4.mp4": [(48, 64)]}


def test_mpeg4_where_h264_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    sink, said = VideoSink(FileTarget(tmp_path / "out.mp4", False)), []
    sink.start(30.0, said.append)
    for index in range(30):
        sink.write(output(index, index / 30.0, level=8 * index))
    sink.close(complete=True)
    assert said == [NO_H264]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert [f.mean() for f in play(tmp_path / "out.mp4")] == pytest.approx([8 * i for i in range(30)], abs=6)


@pytest.mark.parametrize("name", ["out.mp4", "out-20261126T041500Z.mp4"])
def test_a_failed_run_never_replaces_an_older_recording(tmp_path: Path, name: str) -> None:
    old = tmp_path / name
    old.write_bytes(b"precious")
    for ending in (".incomplete.mp4", ".incomplete-2.mp4"):
        sink, expected = video_sink(old, overwrite=True), old.with_name(old.stem + ending)
        sink.write(output(0))
        assert sink.close(complete=False) == expected
        assert len(play(expected)) == 1
    assert old.read_bytes() == b"precious"


def test_overwrite_replaces_only_a_whole_recording(tmp_path: Path) -> None:
    old = tmp_path / "out.mp4"
    old.write_bytes(b"old")
    sink = video_sink(old, overwrite=True)
    sink.write(output(0))
    assert old.read_bytes() == b"old"
    assert sink.close(complete=True) == old
    assert len(play(old)) == 1
    assert names(tmp_path) == ["out.mp4"]


def test_a_file_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    (tmp_path / "out.mp4").write_bytes(b"theirs")
    sink.write(output(0))
    assert sink.close(complete=True) == tmp_path / "out.incomplete.mp4"
    assert (tmp_path / "out.mp4").read_bytes() == b"theirs"


def test_nothing_of_a_recording_is_left_behind_in_threads(tmp_path: Path) -> None:
    sink = video_sink(tmp_path / "out.mp4")
    sink.write(output(0))
    sink.close(complete=True)
    assert not [thread for thread in threading.enumerate() if thread.name == "disk"]


def test_segments_by_duration_lose_no_frame(tmp_path: Path) -> None:
    sink = VideoSink(Segments(tmp_path / "out.mp4", SegmentLimit(duration_s=1.0)))
    sink.start(10.0)
    for index in range(35):
        sink.write(output(index, 50.0 + index / 10.0, level=7 * index))
    assert sink.close(complete=True) == tmp_path
    levels: list[int] = []
    files = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    for path in files:
        levels += [round(float(f.mean()) / 7) for f in play(path)]
        assert times_s(path)[0] == 0.0
    assert levels == list(range(35)) and len(files) == 4


def test_segments_by_size(tmp_path: Path) -> None:
    sink = VideoSink(Segments(tmp_path / "out.mp4", SegmentLimit(size_bytes=20_000)))
    sink.start(30.0)
    rng = np.random.default_rng(0)
    for index in range(120):
        one = output(index, index / 30.0)
        assert one.picture is not None
        one.picture[:] = rng.integers(0, 255, one.picture.shape, dtype=np.uint8)
        sink.write(one)
    sink.close(complete=True)
    files = list(tmp_path.iterdir())
    assert len(files) > 2 and sum(len(play(path)) for path in files) == 120
