"""`vr-live` from sources to files, with real videos, real sockets, real signals and a real session."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers import shared_data
from tests.live_command import play, screenless, start_vr_live, vr_live, write_images, write_video
from tests.live_models import write_flow_model, write_theta_model
from tests.live_server import mjpeg_camera
from vr.runtime.geometry import IDENTITY_THETA, apply_affine, grid_error_px, theta_to_matrix
from vr.runtime.live import LiveOptions, run_live
from vr.runtime.report import alignment_error_px
from vr.runtime.sim import DEFAULT_MISALIGNMENT, Simulator

SMALL_SIM = "sim:size=160x120"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_theta_model(tmp_path / "model.onnx", confidence=0.9)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_folders_of_different_sizes_to_every_output(tmp_path: Path, model: Path) -> None:
    ir = write_images(tmp_path / "ir", 12, (60, 80), channels=1)
    rgb = write_images(tmp_path / "rgb", 12, (96, 128))
    ended = vr_live(
        *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window", "--record", tmp_path / "out.mp4"),
        *("--transforms", tmp_path / "t.jsonl", "--flows", tmp_path / "flows"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert "provider: cpu" in ended.out and "constant (affine)" in ended.out
    frames = play(tmp_path / "out.mp4")
    assert len(frames) == 12 and frames[0].shape == (96, 128, 3)
    lines = records(tmp_path / "t.jsonl")
    assert [line["index"] for line in lines] == list(range(12))
    expected = theta_to_matrix(IDENTITY_THETA, (96, 128), (60, 80))
    for line in lines:
        assert line["state"] == "estimated" and line["confidence"] == pytest.approx(0.9)
        np.testing.assert_allclose(line["matrix_rgb_to_ir"], expected, atol=1e-6)
        assert {"read", "preprocess", "estimate", "draw", "total"} <= set(line["latency_ms"])
    source_xy = np.load(tmp_path / "flows" / "11.npy")
    np.testing.assert_allclose(source_xy[50, 70], apply_affine(expected, (70.0, 50.0)), atol=1e-4)


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 8), (1, 16)])
def test_every_kind_of_infrared_gives_a_picture(tmp_path: Path, model: Path, channels: int, bits: int) -> None:
    ir = write_images(tmp_path / "ir", 2, (60, 80), channels, bits)
    rgb = write_images(tmp_path / "rgb", 2, (96, 128))
    options = LiveOptions(str(ir), str(rgb), model, alpha=1.0, window=False, record=tmp_path / "png", provider="cpu")
    assert run_live(options).states["estimated"] == 2
    picture = cv2.imread(str(tmp_path / "png" / "000000.png"))
    assert picture is not None and picture.shape == (96, 128, 3)
    assert picture[48, 32].min() > 180 and picture[48, 110].max() < 60, "the blob is where the infrared has it"


def test_two_frame_rates_pair_by_time(tmp_path: Path, model: Path) -> None:
    ir = write_video(tmp_path / "ir.mp4", 10, 10.0, (60, 80))
    rgb = write_video(tmp_path / "rgb.mp4", 25, 25.0, (96, 128))
    ended = vr_live(
        *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window", "--slop-ms", 60),
        *("--transforms", tmp_path / "t.jsonl", "--record", tmp_path / "o.mp4"),
    )
    assert ended.code == 0, ended.err
    lines = records(tmp_path / "t.jsonl")
    assert [line["rgb_time_s"] for line in lines] == pytest.approx([i / 25 for i in range(25)], abs=1e-3)
    ir_times_s = np.arange(10) / 10
    for line in lines:
        nearest_s = np.abs(ir_times_s - line["rgb_time_s"]).min()
        assert abs(line["ir_time_s"] - line["rgb_time_s"]) == pytest.approx(nearest_s, abs=1e-3)
    recording = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert recording.get(cv2.CAP_PROP_FPS) == 25.0 and recording.get(cv2.CAP_PROP_FRAME_COUNT) == 25


def test_refused_frames_are_marked_everywhere(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "unsure.onnx", confidence=0.1)
    images = write_images(tmp_path / "rgb", 3, (96, 128))
    options = LiveOptions(
        *(str(images), str(images), model),
        window=False,
        record=tmp_path / "png",
        transforms=tmp_path / "t.jsonl",
        flows=tmp_path / "flows",
    )
    report = run_live(options)
    assert report.states == {"estimated": 0, "held": 0, "refused": 3}
    assert all(line["matrix_rgb_to_ir"] is None for line in records(tmp_path / "t.jsonl"))
    assert list((tmp_path / "flows").iterdir()) == []
    picture, rgb = cv2.imread(str(tmp_path / "png" / "000001.png")), cv2.imread(str(images / "1.png"))
    assert picture is not None and rgb is not None
    np.testing.assert_array_equal(picture[40:-20], rgb[40:-20])
    assert (picture[:5] != rgb[:5]).any(axis=2).all()


def test_dense_model_writes_flows_and_no_matrix(tmp_path: Path) -> None:
    """A shift of 2, 1 on the 32x24 grid is 8, 4 px of a 128x96 frame."""
    model = write_flow_model(tmp_path / "dense.onnx", (2.0, 1.0))
    images = write_images(tmp_path / "rgb", 2, (96, 128))
    options = LiveOptions(
        *(str(images), str(images), model),
        window=False,
        transforms=tmp_path / "t.jsonl",
        flows=tmp_path / "flows",
    )
    run_live(options)
    assert records(tmp_path / "t.jsonl")[0]["matrix_rgb_to_ir"] is None
    np.testing.assert_allclose(np.load(tmp_path / "flows" / "0.npy")[20, 30], [38.0, 24.0], atol=1e-3)


def test_simulated_cameras_report_the_error_before_and_after(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "sim.onnx", DEFAULT_MISALIGNMENT)
    report = run_live(LiveOptions(SMALL_SIM, SMALL_SIM, model, window=False, frames=20))
    simulator = Simulator(rgb_hw=(120, 160), ir_hw=(120, 160))
    same = theta_to_matrix(IDENTITY_THETA, (120, 160), (120, 160))
    before = [grid_error_px(same, simulator.matrix_rgb_to_ir(i), (120, 160)) for i in range(20)]
    used = theta_to_matrix(DEFAULT_MISALIGNMENT, (120, 160), (120, 160))
    after = [grid_error_px(used, simulator.matrix_rgb_to_ir(i), (120, 160)) for i in range(20)]
    assert report.error_before_px is not None and report.error_after_px is not None
    assert report.error_before_px.p50 == pytest.approx(np.median(before))
    assert report.error_before_px.p95 == pytest.approx(np.percentile(before, 95))
    assert report.error_after_px.p50 == pytest.approx(np.median(after), abs=1e-4)
    assert report.frames == 20 and report.fps > 0


def test_a_wide_search_says_what_it_found(tmp_path: Path) -> None:
    shared = ("--ir", SMALL_SIM, "--rgb", SMALL_SIM, "--no-window", "--frames", 3, "--search", "wide", "--model")
    found = vr_live(*shared, write_theta_model(tmp_path / "sure.onnx", DEFAULT_MISALIGNMENT, confidence=0.9))
    assert (found.code, found.err) == (0, "")
    assert "search        found at 3 degrees, scale 0.92, after 1 try\n" in found.out
    nothing = vr_live(*shared, write_theta_model(tmp_path / "unsure.onnx", confidence=0.05))
    assert "search        nothing found in 18 tries" in nothing.out
    assert "\nsearch " not in vr_live(*shared[:-3], "--model", tmp_path / "sure.onnx").out


def test_refused_frames_count_as_not_aligned(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "unsure.onnx", DEFAULT_MISALIGNMENT, confidence=0.1)
    report = run_live(LiveOptions(SMALL_SIM, SMALL_SIM, model, window=False, frames=5))
    assert report.error_after_px == report.error_before_px


def test_error_of_a_dense_alignment(tmp_path: Path) -> None:
    from vr.runtime.alignment import Alignment

    flow = np.zeros((2, 24, 32), np.float32)
    flow[0] = 2.0
    dense = Alignment("estimated", None, None, flow, (96, 128), np.zeros((96, 128), np.uint8))
    truth = np.array([[1.0, 0.0, 8.0], [0.0, 1.0, 3.0]])
    assert alignment_error_px(dense, truth) == pytest.approx(3.0, abs=1e-4)


def test_two_network_cameras(tmp_path: Path, model: Path) -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8), (0, 0), 3.0)
    with (
        mjpeg_camera(lambda _index: picture, fps=15.0) as ir,  # type: ignore[arg-type, return-value]
        mjpeg_camera(lambda _index: picture, fps=30.0) as rgb,  # type: ignore[arg-type, return-value]
    ):
        options = LiveOptions(
            *(ir, rgb, model), window=False, frames=30, transforms=tmp_path / "t.jsonl", slop_ms="150"
        )
        report = run_live(options)
    assert report.frames == 30 and report.pairing.unpaired_rgb < 10
    lines = records(tmp_path / "t.jsonl")
    assert all(abs(line["ir_time_s"] - line["rgb_time_s"]) <= 0.1501 for line in lines)
    times_s = [line["rgb_time_s"] for line in lines]
    assert times_s == sorted(set(times_s)) and abs(times_s[-1] - time.monotonic()) < 60
    assert not [t.name for t in threading.enumerate() if t.name.startswith("camera ")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_recording_plays(tmp_path: Path, model: Path, number: signal.Signals) -> None:
    process = start_vr_live(
        *("--ir", SMALL_SIM, "--rgb", SMALL_SIM, "--model", model, "--no-window"),
        *("--record", tmp_path / "out.mp4", "--transforms", tmp_path / "t.jsonl"),
    )
    wait_for_lines(process, tmp_path / "t.jsonl", 10)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "fps" in out
    lines = records(tmp_path / "t.jsonl")
    assert len(play(tmp_path / "out.mp4")) == len(lines) >= 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "out.mp4", "t.jsonl"]


def test_ctrl_c_ends_the_wait_for_a_camera_that_pauses(tmp_path: Path, model: Path) -> None:
    picture = np.full((96, 128, 3), 90, np.uint8)
    pause = threading.Event()

    def pausing(index: int) -> np.ndarray:
        if index >= 20:
            pause.wait(30)
        return picture

    with mjpeg_camera(pausing) as ir, mjpeg_camera(pausing) as rgb:
        process = start_vr_live(
            *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window"),
            *("--record", tmp_path / "out.mp4", "--transforms", tmp_path / "t.jsonl"),
        )
        wait_for_lines(process, tmp_path / "t.jsonl", 1)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=8)
        pause.set()
    assert (process.returncode, err) == (0, "")
    assert len(play(tmp_path / "out.mp4")) >= 1


def wait_for_lines(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline_s = time.monotonic() + 30
    while not path.exists() or path.read_text().count("\n") < count:
        assert process.poll() is None and time.monotonic() < deadline_s, process.communicate()
        time.sleep(0.02)


def test_side_by_side_is_twice_as_wide(tmp_path: Path, model: Path) -> None:
    images = write_images(tmp_path / "rgb", 2, (96, 128))
    options = LiveOptions(
        *(str(images), str(images), model), view="side-by-side", window=False, record=tmp_path / "a.mp4"
    )
    run_live(options)
    assert play(tmp_path / "a.mp4")[0].shape == (96, 256, 3)


def test_a_bad_frame_in_the_middle_keeps_what_was_recorded(tmp_path: Path, model: Path) -> None:
    ir = write_images(tmp_path / "ir", 6, (96, 128))
    rgb = write_images(tmp_path / "rgb", 6, (96, 128))
    (ir / "4.png").write_bytes(b"damaged")
    (tmp_path / "out.mp4").write_bytes(b"precious")
    ended = vr_live(
        *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window", "--overwrite"),
        *("--record", tmp_path / "out.mp4", "--transforms", tmp_path / "t.jsonl"),
    )
    assert ended.code == 2
    assert ended.err.startswith("error: cannot read") and "4.png" in ended.err and ended.err.count("\n") == 1
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    assert len(play(tmp_path / "out.incomplete.mp4")) == 4 == len(records(tmp_path / "t.jsonl"))
    assert "out.incomplete.mp4" in ended.out


def test_without_a_display_it_runs_and_says_so(model: Path) -> None:
    ended = vr_live("--ir", SMALL_SIM, "--rgb", SMALL_SIM, "--model", model, "--frames", 2)
    assert (ended.code, ended.err) == (0, "")
    assert "no display found" in ended.out


def test_quiet_prints_nothing(model: Path) -> None:
    ended = vr_live("--ir", SMALL_SIM, "--rgb", SMALL_SIM, "--model", model, "--frames", 2, "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_help_needs_neither_torch_nor_onnxruntime() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnxruntime'] = None;"
        "sys.argv = ['vr-live', '--help']; from vr.runtime.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=screenless())
    assert done.returncode == 0, done.stderr
    for option in ("--ir", "--rgb", "--provider", "--record", "--transforms", "--flows", "--slop-ms"):
        assert option in done.stdout


def test_version() -> None:
    from vr.runtime import package_version

    assert vr_live("--version").out == f"vr-live {package_version()}\n"


def test_a_live_run_never_imports_torch(model: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['vr-live', *sys.argv[1:]];"
        "from vr.runtime.cli import main; main()"
    )
    arguments = ["--ir", SMALL_SIM, "--rgb", SMALL_SIM, "--model", str(model), "--frames", "2", "--no-window"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=screenless())
    assert done.returncode == 0, done.stderr


def test_real_clip(tmp_path: Path, model: Path) -> None:
    clip = shared_data("m3svd/0111_1753")
    options = LiveOptions(
        *(str(clip / "ir"), str(clip / "rgb" / "*"), model),
        window=False,
        record=tmp_path / "out.mp4",
        transforms=tmp_path / "t.jsonl",
    )
    report = run_live(options)
    assert report.frames == 20 == len(play(tmp_path / "out.mp4")) == len(records(tmp_path / "t.jsonl"))
