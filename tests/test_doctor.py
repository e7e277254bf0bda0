"""`vr-live doctor` as users run it, and its checks on machines that are not this one."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.live_command import vr_live
from tests.live_server import mjpeg_camera
from vr.runtime.doctor.finding import Finding, worst
from vr.runtime.doctor.machine import Gpus, ask_gpus, cpu_finding, gpu_finding, memory_finding
from vr.runtime.doctor.packages import onnxruntime_finding
from vr.runtime.doctor.providers import check_providers, expected_answer
from vr.runtime.doctor.report import Report, guarded
from vr.runtime.doctor.speed import Speed, advice_of
from vr.runtime.sim import Simulator


def findings(*arguments: object) -> tuple[int, dict[str, dict[str, Any]]]:
    ended = vr_live("doctor", "--json", *arguments)
    assert ended.err == ""
    whole = json.loads(ended.out)
    assert (whole["verdict"] == "fail") == (ended.code == 1)
    return ended.code, {one["name"]: one for one in whole["findings"]}


def test_this_machine_works_without_camera_and_screen() -> None:
    code, found = findings("--quick")
    assert code == 0
    assert {found[name]["verdict"] for name in ("Python", "onnxruntime", "OpenCV", "PyAV", "provider cpu")} == {"ok"}
    assert found["display"]["verdict"] == "warn" and "--record" in found["display"]["advice"]
    assert "cores" in found["processor"]["text"] or "core " in found["processor"]["text"]
    assert not any(name.startswith("speed") for name in found)


def test_the_table_ends_with_a_verdict_and_the_speed_leads_to_advice() -> None:
    ended = vr_live("doctor")
    assert (ended.code, ended.err) == (0, "")
    assert "Works." in ended.out.splitlines()[-1] or ended.out.splitlines()[-1] == "Everything works."
    for word in ("WARN", "speed cpu, 1 thread", "small", "what to use", "--provider cpu"):
        assert word in ended.out


def test_a_source_that_is_not_there_fails_and_nothing_else_does() -> None:
    code, found = findings("--quick", "--ir", "rtsp://ada:secret@127.0.0.1:9/ir", "--seconds", 1)
    assert code == 1
    assert [name for name, one in found.items() if one["verdict"] == "fail"] == ["--ir"]
    assert "secret" not in json.dumps(found) and "127.0.0.1" in found["--ir"]["text"]


def picture(index: int) -> np.ndarray:
    frame = np.full((120, 160, 3), 60, np.uint8)
    cv2.circle(frame, (20 + 4 * index % 120, 60), 20, (200, 200, 200), cv2.FILLED)
    return frame


def test_two_cameras_on_the_network_are_measured() -> None:
    with mjpeg_camera(picture, fps=10.0) as ir, mjpeg_camera(picture, fps=20.0) as rgb:
        code, found = findings("--quick", "--ir", ir, "--rgb", rgb, "--seconds", 2)
    assert code == 0
    for name, rate in (("--ir", 10.0), ("--rgb", 20.0)):
        text = found[name]["text"]
        assert "160x120, 8 bit" in text
        assert float(text.split(" frames per second")[0].split()[-1]) == pytest.approx(rate, rel=0.25)
    assert found["time offset"]["text"] == "It could not be told in 2 s."


def test_recordings_say_what_they_hold(tmp_path: Path) -> None:
    scene = Simulator(5, (96, 128), (96, 128))
    for number in range(12):
        ir, rgb = scene.frames(number)
        for role, frame in (("ir", ir.astype(np.uint16) * 40 + 7000), ("rgb", rgb)):
            (tmp_path / role).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / role / f"{number:02d}.png"), np.asarray(frame))
    code, found = findings("--quick", "--ir", tmp_path / "ir", "--rgb", tmp_path / "rgb")
    assert code == 0
    assert "128x96, 16 bit grey, 30.0 frames per second" in found["--ir"]["text"] and "gain" in found["--ir"]["text"]
    assert "128x96, 8 bit colour" in found["--rgb"]["text"]


def test_flavours_of_onnxruntime() -> None:
    assert onnxruntime_finding({"onnxruntime": "1.31.1"}).verdict == "ok"
    both = onnxruntime_finding({"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"})
    assert both.verdict == "fail" and "pip uninstall -y onnxruntime onnxruntime-gpu" in both.advice
    assert onnxruntime_finding({}).verdict == "fail"


def test_a_gpu_that_onnxruntime_cannot_use_is_said() -> None:
    without, working = check_providers(has_gpu=False)
    assert [one.name for one in without] == ["provider cpu"] and working == ["cpu"]
    assert check_providers(has_gpu=True)[0][-1].verdict == "warn"


def test_the_tiny_graph_is_a_convolution_by_cv2() -> None:
    x = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    kernel = np.array([[0, 0.25, 0], [0.25, -1.5, 0.25], [0, 0.25, 0.5]], np.float32)
    wanted = np.maximum(cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_CONSTANT), 0) + x
    np.testing.assert_allclose(expected_answer(x[None, None])[0, 0], wanted, atol=1e-5)


def write_smi(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program named nvidia-smi, first in the path."""
    script = folder / "nvidia-smi"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_gpus_by_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_finding(Gpus()).verdict == "ok"
    write_smi(tmp_path, "echo 'NVIDIA T4, 580.65, 15360 MiB'", monkeypatch)
    assert gpu_finding(ask_gpus()).text == "NVIDIA T4, driver 580.65, 15360 MiB."
    write_smi(tmp_path, "echo 'no devices were found' >&2; exit 6", monkeypatch)
    broken = gpu_finding(ask_gpus())
    assert broken.verdict == "warn" and "no devices were found" in broken.text and not ask_gpus().lines


def test_processor_and_memory() -> None:
    intel = cpu_finding("model name\t: Intel(R) N100\nflags\t\t: sse2 avx2 avx_vnni\n", 4)
    assert intel.text == "Intel(R) N100, 4 cores for this process, AVX2 and VNNI."
    assert cpu_finding("", 4).verdict == "ok"
    assert memory_finding("MemTotal: 4000000 kB\nMemAvailable: 200000 kB\n").verdict == "warn"
    assert memory_finding("MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n").text == "4.0 GB of memory, 2.0 GB free."


def speeds(default_ms: float, small_ms: float) -> list[Speed]:
    times = {"default": default_ms, "small": small_ms, "clean": default_ms, "dense": 2 * default_ms}
    return [Speed(model, "cpu", 1, ms) for model, ms in times.items()]


def test_advice_follows_from_the_speed() -> None:
    assert "keeps up" in advice_of(speeds(8.0, 2.0)).text
    assert "--estimate-every auto, or --model small" in advice_of(speeds(40.0, 12.0)).advice
    slow = advice_of(speeds(200.0, 60.0))
    assert slow.verdict == "warn" and "--model small --estimate-every auto" in slow.advice


def test_a_check_that_breaks_does_not_end_the_others() -> None:
    def broken() -> list[Finding]:
        raise RuntimeError("two\nlines")

    found = guarded("cameras", broken)
    assert found[0].verdict == "fail" and "RuntimeError, two lines" in found[0].text
    assert worst([]) == "ok"
    report = Report([*found, Finding("display", "warn", "None.")])
    assert report.failed and report.verdict.startswith("Does not work: cameras.")
