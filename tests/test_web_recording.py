"""A recording that is switched on and off while a pair runs: its files, and what becomes of it when the disk fails."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.live_command import play
from tests.web_rig import TIMEOUT_S, make_output
from vr.runtime.errors import OutputError
from vr.runtime.sinks import Output
from vr.runtime.storage import StorageOptions
from vr.runtime.web.recording import RecordingSwitch

NO_LIMIT = StorageOptions(keep_free_mb=0.0)


def output(index: int, size_hw: tuple[int, int] = (48, 64)) -> Output:
    return replace(make_output(index), time_s=index / 30.0, picture=np.full((*size_hw, 3), 90, np.uint8))


def wait_until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def write(switch: RecordingSwitch, outputs: list[Output]) -> None:
    """No more than the switch has room for, so that none is lost however slow the machine is."""
    assert len(outputs) <= 8
    for one in outputs:
        switch.write(one)


def test_nothing_is_made_before_it_is_switched_on(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path / "folder", "gate", NO_LIMIT)
    write(switch, [output(0)])
    assert switch.now is None and switch.files() == [] and not (tmp_path / "folder").exists()
    assert switch.close(complete=True) is None


def test_each_time_it_is_switched_on_is_a_file(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path / "folder", "gate", NO_LIMIT)
    for _ in range(2):
        switch.switch_on()
        switch.switch_on()
        write(switch, [output(index) for index in range(8)])
        switch.switch_off()
    write(switch, [output(8)])
    first, second = switch.files()
    assert first.id != second.id and (first.seconds, second.seconds) == (0.2, 0.2)
    assert [len(play(file.path)) for file in (first, second)] == [8, 8]


def test_a_picture_of_another_size_begins_another_file(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path, "gate", NO_LIMIT)
    switch.switch_on()
    now = switch.now
    write(switch, [*(output(index) for index in range(3)), *(output(index, (64, 80)) for index in range(3, 8))])
    switch.switch_off()
    files = switch.files()
    assert now is not None and files[0].id == now[0]
    assert [len(play(file.path)) for file in files] == [3, 5]


def test_the_end_of_the_run_ends_the_file(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path, "gate", NO_LIMIT)
    switch.switch_on()
    write(switch, [output(index) for index in range(5)])
    assert switch.close(complete=True) == tmp_path
    assert len(play(switch.files()[0].path)) == 5
    switch.switch_on()
    assert switch.now is None


@pytest.mark.parametrize("name", ["../../gate", "a/b", "gate 1", "..", "", "\0", "Tür"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    switch = RecordingSwitch(tmp_path / "folder", name, NO_LIMIT)
    switch.switch_on()
    write(switch, [output(0)])
    switch.switch_off()
    assert [path.parent for path in tmp_path.rglob("*.mp4")] == [tmp_path / "folder"]
    assert len(switch.files()) == 1


def test_files_of_earlier_runs_are_listed_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "gate-20260101T000000Z.mp4").write_bytes(b"x")
    (tmp_path / "gate-20260101T000000Z_2.mp4").write_bytes(b"xy")
    (tmp_path / "other-20260101T000000Z.mp4").write_bytes(b"x")
    (tmp_path / "gate-1.mp4").write_bytes(b"x")
    (tmp_path / "gate-20260101T000001Z.mp4").symlink_to("/etc/passwd")
    switch = RecordingSwitch(tmp_path, "gate", NO_LIMIT)
    assert [file.as_json()["bytes"] for file in switch.files()] == [1, 2]
    assert switch.files()[0].seconds is None and switch.find(switch.files()[1].id) == switch.files()[1]
    assert switch.find("gate-20260101T000000Z.mp4") is None


def test_a_folder_that_goes_away_is_told_and_stops_nobody(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path / "folder", "gate", NO_LIMIT)
    switch.switch_on()
    (tmp_path / "folder").rmdir()
    write(switch, [output(0)])
    wait_until(lambda: switch.notice is not None)
    assert switch.notice is not None and switch.notice.what == "recording off"
    switch.switch_off()
    assert switch.notice is None


def test_too_little_room_is_told(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path, "gate", StorageOptions(keep_free_mb=1e12))
    switch.switch_on()
    write(switch, [output(0)])
    wait_until(lambda: switch.notice is not None)
    switch.switch_off()
    assert switch.files() == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        RecordingSwitch(tmp_path / "file" / "folder", "gate", NO_LIMIT).switch_on()


def test_the_files_are_for_browsers(tmp_path: Path) -> None:
    switch = RecordingSwitch(tmp_path, "gate", NO_LIMIT)
    switch.switch_on()
    write(switch, [output(index) for index in range(3)])
    switch.switch_off()
    capture = cv2.VideoCapture(str(switch.files()[0].path))
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    capture.release()
    assert codec in (b"h264", b"avc1")
