"""`vr-live` on cameras that break off, stall and come late: real processes, real sockets."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.faults.live import live_run, load_aligner, settled_resources
from benchmarks.faults.witness import Seen, judge
from tests.bench.processes import SpoiledCamera
from tests.bench.script import Step, play
from tests.bench.serve_rtsp import why_no_rtsp
from vr.runtime.errors import InputError
from vr.runtime.sim import Simulator
from vr.runtime.sources.files import open_files
from vr.runtime.time_offset.finding import UNKNOWN, OffsetFinder, find_recorded

Line = dict[str, Any]
_WIDE_MS = 300.0
"""The slop, and what a machine that tests other things meanwhile may add."""


class Watched:
    """A running `vr-live` and the lines that it has written so far."""

    def __init__(self, folder: Path, ir: str, rgb: str, *options: str) -> None:
        self._path = folder / "out.jsonl"
        command = [sys.executable, "-m", "vr.runtime.cli", "--ir", ir, "--rgb", rgb, "--no-window", "--model", "small"]
        command += ["--threads", "1", "--transforms", str(self._path), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lines(self) -> list[Line]:
        text = self._path.read_text() if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, what: Callable[[list[Line]], bool], seconds: float = 15.0) -> list[Line]:
        end_s = time.monotonic() + seconds
        while not what(lines := self.lines()):
            assert time.monotonic() < end_s and self.process.poll() is None, self.process.stderr
            time.sleep(0.05)
        return lines

    def end(self) -> tuple[str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return out, err


def both_there(lines: list[Line]) -> int:
    return sum(line["ir_time_s"] is not None and line["rgb_time_s"] is not None for line in lines)


@pytest.mark.parametrize("lost", ["ir", "rgb"])
def test_one_camera_is_cut_off_and_the_other_stays_on_the_screen(lost: str, tmp_path: Path) -> None:
    with SpoiledCamera("ir", "http") as ir, SpoiledCamera("rgb", "http") as rgb:
        run = Watched(tmp_path, ir.url, rgb.url, "--record", str(tmp_path / "out.mp4"))
        run.wait_for(lambda lines: both_there(lines) > 20)
        {"ir": ir, "rgb": rgb}[lost].fault("cut", 1.5)
        alone = run.wait_for(lambda lines: any(line["notices"] == [f"{lost} lost"] for line in lines))
        before = both_there(alone)
        lines = run.wait_for(lambda lines: both_there(lines) > before + 20)
        out, err = run.end()
    lonely = [line for line in lines if line["notices"] == [f"{lost} lost"]]
    assert all(line[f"{lost}_time_s"] is None and line["state"] == "refused" for line in lonely)
    assert all(line["matrix_rgb_to_ir"] is None for line in lonely)
    assert sum(line["ir_time_s"] is not None or line["rgb_time_s"] is not None for line in lonely) > 5
    assert lines[-1]["notices"] == []
    assert re.search(rf"{lost.upper()} camera +\d+ frames, .*1 reconnects", out)
    assert "trying again" in err and "open again" in err
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert capture.read()[0], "the recording goes on in one file"


@pytest.mark.skipif(why_no_rtsp() is not None, reason=str(why_no_rtsp()))
def test_a_stream_over_rtsp_is_aligned_and_its_password_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "very/secret")
    with SpoiledCamera("ir", "rtsp", "--login", "me:very/secret") as ir, SpoiledCamera("rgb", "http") as rgb:
        address = ir.url.replace("rtsp://", "rtsp://me:${CAM_PASSWORD}@")
        run = Watched(tmp_path, address, rgb.url)
        run.wait_for(lambda lines: sum(line["state"] == "estimated" for line in lines) > 10)
        shown = Path(f"/proc/{run.process.pid}/cmdline").read_text()
        out, err = run.end()
    for text in (out, err, shown, (tmp_path / "out.jsonl").read_text()):
        assert "very" not in text


def write_film(path: Path, frames: list[np.ndarray], fps: float) -> None:
    h, w = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (w, h))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) if frame.ndim == 2 else frame)
    writer.release()


@pytest.mark.slow
def test_the_offset_of_two_recordings_is_found(tmp_path: Path) -> None:
    scene = Simulator(seed=3, rgb_hw=(120, 160), ir_hw=(120, 160))
    late = round(0.4 * scene.fps)
    pairs = [scene.frames(index) for index in range(round(50 * scene.fps))]
    write_film(tmp_path / "ir.mp4", [ir for ir, _ in pairs[late:]], scene.fps)
    write_film(tmp_path / "rgb.mp4", [rgb for _, rgb in pairs], scene.fps)
    found = find_recorded(open_files(str(tmp_path / "ir.mp4"), "ir"), open_files(str(tmp_path / "rgb.mp4"), "rgb"))
    assert found.offset_ms == pytest.approx(1000.0 * late / scene.fps, abs=20.0)


def test_recordings_in_which_nothing_moves_have_no_offset(tmp_path: Path) -> None:
    for role in ("ir", "rgb"):
        write_film(tmp_path / f"{role}.mp4", [np.full((48, 64), 90, np.uint8)] * 60, 30.0)
    with pytest.raises(InputError, match=r"the offset in time cannot be told.*--ir-offset-ms"):
        find_recorded(open_files(str(tmp_path / "ir.mp4"), "ir"), open_files(str(tmp_path / "rgb.mp4"), "rgb"))


def test_until_the_offset_is_found_a_notice_says_so() -> None:
    finder = OffsetFinder()
    assert finder.offset_ms() == 0.0
    assert finder.notice is not None and finder.notice.what == UNKNOWN
    assert finder.text == "not found, 0 used"


@pytest.mark.slow
def test_a_script_of_faults_shows_no_frame_with_a_wrong_partner_and_leaves_nothing_behind() -> None:
    script = [
        *(Step(0.0, "cut", "ir", 1.5), Step(5.0, "freeze", "rgb", 1.5), Step(8.0, "half", "ir", 1.5)),
        *(Step(11.0, "resolution", "rgb", 1.5), Step(14.0, "stall", "ir", 5.0), Step(22.0, "rate", "rgb", 1.5)),
    ]
    seen: list[Seen] = []
    with (
        SpoiledCamera("ir", "http") as ir,
        SpoiledCamera("rgb", "http") as rgb,
        live_run(load_aligner(), ir.url, rgb.url, seen) as run,
    ):
        assert run.wait_recovered(time.monotonic(), _WIDE_MS, 20.0) is not None
        before = settled_resources()
        for _ in play(script, {"ir": ir, "rgb": rgb}):
            assert run.pipeline.running
        time.sleep(2.0)
        assert run.wait_recovered(time.monotonic(), _WIDE_MS, 10.0) is not None
        after, counts = settled_resources(), run.counts("ir")
    verdict = judge(seen, _WIDE_MS)
    assert verdict.wrong == 0 and verdict.shown > 300, verdict
    assert (counts["stalls"], counts["reconnects"]) == (1, 2) and counts["decode_errors"] > 5
    assert (after["threads"], after["handles"]) == (before["threads"], before["handles"])
