"""Names of segments, what is deleted of them, and log files that are rotated and reopened."""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.live_command import play, vr_live
from tests.sink_outputs import names, output
from vr.runtime.errors import InputError, OutputError
from vr.runtime.live_options import LiveOptions
from vr.runtime.sinks import TransformSink, VideoSink, open_recording, open_transforms
from vr.runtime.sinks.segments import Segments
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.storage import SegmentLimit, StorageOptions

HOURLY = SegmentLimit(duration_s=3600.0)


def stamp(days_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y%m%dT%H%M%SZ")


def indices(path: Path) -> list[int]:
    return [json.loads(line)["index"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("90s", SegmentLimit(duration_s=90.0)),
        ("10m", SegmentLimit(duration_s=600.0)),
        ("1h", SegmentLimit(duration_s=3600.0)),
        ("0.5d", SegmentLimit(duration_s=43200.0)),
        ("500MB", SegmentLimit(size_bytes=5e8)),
        ("2 GB", SegmentLimit(size_bytes=2e9)),
    ],
)
def test_limits_of_segments(text: str, limit: SegmentLimit) -> None:
    assert SegmentLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "10", "h", "-1h", "0s", "0.5s", "0.1MB", "1e3s", "10 minutes", "1H", "nanh"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"--segment is .* expected a duration"):
        SegmentLimit.parse(text)


def test_what_is_kept_of_segments_needs_segments() -> None:
    for options in (StorageOptions(keep_days=3.0), StorageOptions(keep_gb=3.0)):
        with pytest.raises(InputError, match="needs --segment"):
            options.check()
    StorageOptions(segment="1h", keep_days=3.0, keep_gb=3.0).check()


def test_segments_are_named_by_the_time_at_which_they_begin(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    segments = Segments(tmp_path / "gate.mp4", HOURLY)
    made: list[Path | None] = []
    for _ in range(3):
        segments.create().close()
        made.append(segments.written)
    for path in made:
        assert path is not None and re.fullmatch(r"gate-\d{8}T\d{6}Z(_[23])?\.mp4", path.name)
        began = datetime.strptime(path.name[5:21], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert before <= began <= datetime.now(UTC)
    assert len(set(made)) == 3


def test_segments_go_beside_those_of_earlier_runs(tmp_path: Path) -> None:
    (tmp_path / "gate.mp4").write_bytes(b"an older recording without segments")
    storage = StorageOptions(segment="1h")
    for _ in range(3):
        sink = open_recording(tmp_path / "gate.mp4", overwrite=False, storage=storage)
        sink.write(output(0))
        path = sink.close(complete=True)
        assert path is not None and path.name.startswith("gate-") and len(play(path)) == 1
    assert len(names(tmp_path)) == 4
    assert (tmp_path / "gate.mp4").read_bytes() == b"an older recording without segments"


def test_only_old_segments_of_this_recording_are_deleted(tmp_path: Path) -> None:
    old, older, young = (f"gate-{stamp(days)}" for days in (3.1, 40.0, 2.9))
    others = [f"yard-{stamp(9)}.mp4", f"gate-{stamp(9)}.mp4.bak", f"gate-{stamp(9)}x.mp4", f"gate-{stamp(9)}.jsonl"]
    others += ["gate.mp4", "gate-2.mp4", f"the-gate-{stamp(9)}.mp4", "gate-20261399T999999Z.mp4", f"{young}_2.mp4"]
    for name in [*others, f"{old}.mp4", f"{old}_2.mp4", f"{older}.mp4", f"{young}.mp4"]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / f"gate-{stamp(50)}.mp4").symlink_to(tmp_path / "gate.mp4")
    (tmp_path / f"gate-{stamp(60)}.mp4").mkdir()
    before = set(names(tmp_path))
    Segments(tmp_path / "gate.mp4", HOURLY, keep_days=3.0).tidy()
    assert before - set(names(tmp_path)) == {f"{old}.mp4", f"{old}_2.mp4", f"{older}.mp4"}


def test_the_oldest_segments_are_deleted_where_all_are_too_large(tmp_path: Path) -> None:
    files = [tmp_path / f"gate-{stamp(days)}.mp4" for days in (9.0, 5.0, 4.0, 1.0)]
    for path in files:
        path.write_bytes(bytes(300_000))
        os.utime(path, (time.time(), time.time()))
    segments = Segments(tmp_path / "gate.mp4", HOURLY, keep_gb=0.001)
    segments.create().close()
    assert segments.written is not None
    segments.written.write_bytes(bytes(350_000))
    segments.tidy()
    assert [path.exists() for path in files] == [False, False, True, True]
    segments.written.write_bytes(bytes(2_000_000))
    segments.tidy()
    assert names(tmp_path) == [segments.written.name], "what is being written stays, however large it is"


def test_a_recording_deletes_by_itself(tmp_path: Path) -> None:
    (tmp_path / f"gate-{stamp(9)}.mp4").write_bytes(b"x")
    sink = VideoSink(Segments(tmp_path / "gate.mp4", HOURLY, keep_days=3.0))
    sink.write(output(0))
    path = sink.close(complete=True)
    assert path is not None and names(tmp_path) == [path.name]


def test_segments_of_a_folder_of_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--segment divides a video"):
        open_recording(tmp_path / "png", overwrite=False, storage=StorageOptions(segment="1h"))


def test_segments_on_the_command_line(tmp_path: Path) -> None:
    cameras = ("--ir", "sim:size=160x120", "--rgb", "sim:size=160x120", "--no-window", "--model", "small")
    ended = vr_live(*cameras, "--frames", 90, "--record", tmp_path / "out.mp4", "--segment", "1s")
    assert (ended.code, ended.err) == (0, "")
    assert [len(play(path)) for path in sorted(tmp_path.iterdir())] == [30, 30, 30]
    assert names(tmp_path)[0].startswith("out-2")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (StorageOptions(segment="1 fortnight"), "--segment is '1 fortnight'"),
        (StorageOptions(segment="1h", keep_days=0.0), "--keep-days is 0; expected more than 0"),
        (StorageOptions(segment="1h", keep_gb=-1.0), "--keep-gb is -1; expected more than 0"),
        (StorageOptions(keep_free_mb=-1.0), "--keep-free-mb is -1; expected 0 or more"),
        (StorageOptions(transforms_max_mb=0.0), "--transforms-max-mb is 0; expected more than 0"),
        (StorageOptions(transforms_keep=0), "--transforms-keep is 0; expected 1 or more"),
    ],
)
def test_values_that_cannot_be_meant(storage: StorageOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LiveOptions("sim:", "sim:", storage=storage).check()


def test_full_log_files_are_numbered_and_the_oldest_goes(tmp_path: Path) -> None:
    line_bytes = 400
    sink = open_transforms(
        tmp_path / "t.jsonl", False, StorageOptions(transforms_max_mb=10 * line_bytes / 1e6, transforms_keep=2)
    )
    for index in range(100):
        sink.write(output(index))
    assert sink.close(complete=True) == tmp_path / "t.jsonl"
    assert names(tmp_path) == ["t.1.jsonl", "t.2.jsonl", "t.jsonl"]
    kept = [indices(tmp_path / name) for name in ("t.2.jsonl", "t.1.jsonl", "t.jsonl")]
    together = [index for one in kept for index in one]
    assert together == list(range(together[0], 100)) and 0 < together[0] < 80
    assert len(kept[0]) == len(kept[1]) >= 10


def test_a_log_file_is_continued_by_the_next_run(tmp_path: Path) -> None:
    path, storage = tmp_path / "t.jsonl", StorageOptions(transforms_max_mb=1.0)
    for index in (1, 2):
        sink = open_transforms(path, overwrite=False, storage=storage)
        sink.write(output(index))
        sink.close(complete=True)
    with path.open("a") as stream:
        stream.write('{"index": 3, "torn by a power c')
    sink = open_transforms(path, overwrite=False, storage=storage)
    sink.write(output(4))
    sink.close(complete=True)
    lines = path.read_text().splitlines()
    assert [json.loads(line)["index"] for line in (*lines[:2], lines[3])] == [1, 2, 4] and len(lines) == 4


def test_a_moved_log_file_is_made_anew_after_reopening(tmp_path: Path) -> None:
    sink = TransformSink(FileTarget(tmp_path / "t.jsonl", overwrite=False))
    sink.reopen()
    sink.write(output(0))
    (tmp_path / "t.jsonl").rename(tmp_path / "t.jsonl.1")
    sink.write(output(1))
    sink.reopen()
    sink.write(output(2))
    sink.reopen()
    sink.write(output(3))
    assert sink.close(complete=True) == tmp_path / "t.jsonl"
    assert (indices(tmp_path / "t.jsonl.1"), indices(tmp_path / "t.jsonl")) == ([0, 1], [2, 3])


def test_a_log_file_that_is_cut_in_place_has_no_hole(tmp_path: Path) -> None:
    sink = TransformSink(FileTarget(tmp_path / "t.jsonl", overwrite=False))
    sink.write(output(0))
    os.truncate(tmp_path / "t.jsonl", 0)
    sink.write(output(1))
    sink.close(complete=True)
    assert indices(tmp_path / "t.jsonl") == [1]
