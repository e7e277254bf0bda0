"""`vr-live calibrate` as users run it: what it finds, writes, and refuses."""

import os
import pty
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.live_command import COMMAND, screenless, snapshot, start_vr_live, vr_live
from tests.live_server import mjpeg_camera
from tests.rig_footage import SIZE_HW, rig, write_rig
from vr.runtime.calibration.fusing import corners_off_px
from vr.runtime.calibration.session import calibrate_rig
from vr.runtime.geometry import Float64Array
from vr.runtime.live_options import DEFAULTS, with_values
from vr.runtime.rig_transform import rig_transform
from vr.runtime.sim import Simulator
from vr.runtime.stopping import Stop

FAST = ("--model", "small", "--threads", 1)


def calibrated(folder: Path, truth: Float64Array, seed: int) -> tuple[float, float]:
    """How far a corner is off, and with 95 % probability at most is said to be, px."""
    ir, rgb = write_rig(folder, truth, seed, 20, step=30)
    values = {"ir": str(ir), "rgb": str(rgb), "fps": 1.0, "model": Path("small"), "threads": 1, "ir_offset_ms": "0"}
    found = calibrate_rig(with_values(DEFAULTS, values), 20.0, Stop(), lambda _share, _hint: None)
    assert found.rig.looked == 20 and found.rig.agreeing >= 15
    return corners_off_px(found.rig.theta, truth, SIZE_HW), found.rig.uncertainty_px


@pytest.mark.parametrize("seed", [4100, 4101])
def test_a_known_rig_is_found_within_the_stated_uncertainty(tmp_path: Path, seed: int) -> None:
    off_px, uncertainty_px = calibrated(tmp_path, rig(5.0, 0.9), seed)
    assert off_px <= uncertainty_px < 4.0


@pytest.mark.slow
def test_nineteen_of_twenty_lie_within_the_uncertainty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(4200, 4220):
        truth = rig(float(rng.uniform(-12, 12)), float(rng.uniform(0.8, 1.25)))
        off_px, uncertainty_px = calibrated(tmp_path / str(seed), truth, seed)
        inside += off_px <= uncertainty_px
    assert inside >= 18


def test_the_command_writes_what_a_run_takes(tmp_path: Path) -> None:
    """A rig turned by 150 degrees, which a run does not find without it."""
    truth = rig(150.0, 1.1)
    write_rig(tmp_path, truth, 203, 16)
    toml = tmp_path / "my.toml"
    sources = ("--ir", tmp_path / "ir", "--rgb", tmp_path / "rgb")
    ended = vr_live("calibrate", *sources, *FAST, "--fps", 2, "--seconds", 8, "--ir-offset-ms", 0, "--out", toml)
    assert (ended.code, ended.err) == (0, "")
    assert "16 of 16 agree" in ended.out or "15 of 16 agree" in ended.out
    assert f"vr-live --config {toml}" in ended.out.replace("\n", " ")
    written = tomllib.loads(toml.read_text())
    assert set(written) == {"ir", "rgb", "ir_offset_ms", "rig", "model", "rig_transform", "fps", "threads"}
    assert written["ir"] == str(tmp_path / "ir") and written["ir_offset_ms"] == 0
    assert corners_off_px(rig_transform(written["rig_transform"]).theta(), truth, SIZE_HW) < 4.0
    assert "# From 1" in toml.read_text() and "no corner" in toml.read_text()
    picture = cv2.imread(str(tmp_path / "my.png"))
    assert picture is not None and picture.shape[1] == 640 and picture.shape[0] > 720
    run = vr_live("--config", toml, "--no-window", "--frames", 4)
    assert (run.code, run.err) == (0, "") and "estimated 4, held 0, refused 0" in run.out


def test_nothing_is_overwritten_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rig.png").write_bytes(b"precious")
    before = snapshot(tmp_path)
    for name, says in (("rig.toml", "exists"), ("no/rig.toml", "does not exist"), ("rig.png", "name of a picture")):
        ended = vr_live("calibrate", "--ir", "sim:", "--rgb", "sim:", "--out", tmp_path / name)
        assert ended.code == 2 and says in ended.err and len(ended.err.splitlines()) == 1
    assert snapshot(tmp_path) == before


SMALL = ("--ir", "sim:size=160x120", "--rgb", "sim:size=160x120", *FAST, "--seconds", 2)


def test_a_simulated_pair_needs_no_offset(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text("old")
    ended = vr_live("calibrate", *SMALL, "--out", tmp_path / "rig.toml", "--overwrite")
    assert (ended.code, ended.err) == (0, "") and "one clock" in ended.out
    assert {path.name for path in tmp_path.iterdir()} == {"rig.toml", "rig.png"}


def test_frames_that_do_not_agree_leave_nothing(tmp_path: Path) -> None:
    """Infrared of one scene beside colour of another."""
    write_rig(tmp_path / "a", rig(), 100, 10)
    write_rig(tmp_path / "b", rig(), 151, 10)
    before = snapshot(tmp_path)
    sources = ("--ir", tmp_path / "a" / "ir", "--rgb", tmp_path / "b" / "rgb", "--ir-offset-ms", 0)
    ended = vr_live("calibrate", *sources, *FAST, "--out", tmp_path / "rig.toml")
    assert ended.code == 2 and "expected at least 8" in ended.err and "Traceback" not in ended.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ir", "sim:"), "no --rgb"),
        (("--ir", "sim:", "--rgb", "sim:", "--seconds", 1), "--seconds is 1; expected 2 to 600"),
        (("--ir", "sim:", "--rgb", "sim:", "--model", "dense"), "this one is dense"),
        (("--ir", "gone.mp4", "--rgb", "gone.mp4"), "gone.mp4 does not exist"),
        (("--ir", "sim:", "--rgb", "gone.mp4"), "show different scenes"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, arguments: tuple[object, ...], says: str) -> None:
    ended = vr_live("calibrate", *arguments, "--out", tmp_path / "rig.toml")
    assert ended.code == 2 and says in ended.err and len(ended.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def cameras(seed: int, count: int = 20) -> list[list[np.ndarray]]:
    """Frames of either camera of a rig, to be played to and fro."""
    scene = Simulator(seed, (240, 320), (240, 320), misalignment=rig(4.0), drift_px_s=0.0)
    both = [[np.asarray(frame) for frame in scene.frames(3 * number)] for number in range(count)]
    return [[*frames, *frames[::-1]] for frames in map(list, zip(*both, strict=True))]


def test_cameras_with_passwords_are_written_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ir, rgb = cameras(11)
    logins: list[str] = []
    monkeypatch.setenv("CAM_USER", "ada")
    monkeypatch.setenv("CAM_PASSWORD", "secret")
    toml = tmp_path / "rig.toml"
    with (
        mjpeg_camera(lambda number: ir[number % len(ir)], 15.0, logins=logins) as ir_url,
        mjpeg_camera(lambda number: rgb[number % len(rgb)], 15.0, logins=logins) as rgb_url,
    ):
        referred = ir_url.replace("//", "//${CAM_USER}:${CAM_PASSWORD}@")
        literal = rgb_url.replace("//", "//ada:secret@")
        ended = vr_live("calibrate", "--ir", referred, "--rgb", literal, *FAST, "--seconds", 4, "--out", toml)
    assert (ended.code, ended.err) == (0, ""), ended.err
    assert logins and "--rgb has a password in it" in ended.out
    assert "secret" not in toml.read_text() + ended.out.replace("password", "")
    written = tomllib.loads(toml.read_text())
    assert (written["ir"], written["rgb"], written["ir_offset_ms"]) == (referred, rgb_url, "auto")
    assert "VR_RGB_PASSWORD" in toml.read_text() and "not found: too little moved" in ended.out.replace("\n", " ")


@pytest.mark.parametrize(("answer", "kept"), [("\n", True), ("n\n", False)])
def test_at_a_terminal_it_asks(tmp_path: Path, answer: str, kept: bool) -> None:
    terminal, stdin = pty.openpty()
    command = [*COMMAND, "calibrate", *map(str, SMALL), "--out", str(tmp_path / "rig.toml")]
    os.write(terminal, answer.encode())
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=60, env=screenless())
    os.close(terminal)
    os.close(stdin)
    assert done.returncode == 0, done.stderr
    assert "rig.preview.png" in done.stdout and "[Y/n]" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == ({"rig.toml", "rig.png"} if kept else set())


def test_it_can_be_stopped(tmp_path: Path) -> None:
    process = start_vr_live("calibrate", *SMALL[:-1], 600, "--out", tmp_path / "rig.toml")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2 and "nothing is written" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["calibrate", "doctor"])
def test_options_before_a_subcommand_are_refused(command: str) -> None:
    ended = vr_live("--alpha", 0.5, "--ir", "sim:", command)
    assert ended.code == 2 and ended.out == ""
    assert f"--ir, --alpha before {command}" in ended.err or f"--alpha, --ir before {command}" in ended.err


def test_the_help_names_the_subcommands() -> None:
    shown = vr_live("--help").out
    assert "calibrate" in shown and "doctor" in shown and "--rig-transform" in shown
    assert "--seconds" in vr_live("calibrate", "--help").out


@pytest.mark.slow
def test_an_infrared_camera_that_is_late_is_found_out(tmp_path: Path) -> None:
    """Six frames at 15 per second: 400 ms, found while both cameras run."""
    scene = Simulator(7, (120, 160), (120, 160), misalignment=rig(4.0), drift_px_s=0.0)
    both = [scene.frames(2 * number) for number in range(750)]
    with (
        mjpeg_camera(lambda number: both[max(0, number - 6) % 750][0], 15.0) as ir,
        mjpeg_camera(lambda number: both[number % 750][1], 15.0) as rgb,
    ):
        toml = tmp_path / "rig.toml"
        ended = vr_live("calibrate", "--ir", ir, "--rgb", rgb, *FAST, "--seconds", 40, "--out", toml)
    assert (ended.code, ended.err) == (0, "")
    assert "by what moved" in ended.out.replace("\n", " ")
    assert float(tomllib.loads(toml.read_text())["ir_offset_ms"]) == pytest.approx(-400.0, abs=60.0)
