"""The GPU benchmark on the CPU, with small models and frames: that it runs, and what it says."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu
from tests.overlay_models import SureAffine, exported
from vr.runtime.errors import ModelError


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for graph in ("estimate", "overlay"):
        shutil.copy(exported(SureAffine, graph), folder / f"{graph}-fp32.onnx")
    return folder


def options(models: Path, *providers: str) -> gpu.Options:
    return gpu.Options(
        models, providers=providers, precisions=["fp32"], frames=[(96, 128)], ir_hw=(60, 80), calls=12, warm_up=1
    )


def test_rows_of_the_cpu(models: Path) -> None:
    result = gpu.run(options(models, "cpu"))
    estimate, overlay = result["rows"]
    assert (estimate["what"], overlay["what"], overlay["height_x_width"]) == ("estimate", "overlay", "96x128")
    for row in (estimate, overlay):
        assert row["calls"] == 12
        assert row["fps"] > 0.0
        assert row["nodes_elsewhere"] == 0
        assert row["theta_from_cpu_px"] < 0.01
        assert "all " in gpu.describe(row)
    assert overlay["pixels_from_cpu"] == 0.0
    assert overlay["cuda_graph"] is False
    assert "bar_fps" not in overlay
    assert {"cpu", "commit"} <= set(result["machine"])


def test_bars_belong_to_their_frame_sizes() -> None:
    assert set(gpu.BAR_FPS) == set(gpu.FRAMES)
    row = {"what": "overlay", "height_x_width": "480x640", "provider": "cuda", "precision": "fp32"}
    line = gpu.describe(row | {"fps": 1600.0, "bar_fps": 1500, "p99_ms": 1.0, "placement": "all 9 nodes on cuda"})
    assert "1600.0 fps  (bar 1500)" in line


def test_provider_that_does_not_start_is_a_row_with_its_error(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("provider cuda is not in the installed onnxruntime")

    monkeypatch.setattr(gpu, "Session", fail)
    monkeypatch.setattr(gpu, "DeviceOverlay", fail)
    rows = gpu.run(options(models, "cuda"))["rows"]
    assert [row["error"] for row in rows] == ["provider cuda is not in the installed onnxruntime"] * 2
    assert rows[1]["error"] in gpu.describe(rows[1])


def test_error_of_a_theta_is_measured_at_the_corners_in_px() -> None:
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    shifted = np.array([[1.0, 0.0, 2.0 / 320], [0.0, 1.0, 0.0]])
    assert gpu.theta_error_px(shifted, identity) == pytest.approx(1.0)


def test_peak_is_empty_without_a_gpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert gpu.peak() == {}


def test_command_writes_what_it_prints(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one row: the frames of the command are of full size, and slow on a CPU."""
    monkeypatch.setattr(
        gpu,
        "run",
        lambda chosen: {
            "rows": [{"what": "estimate", "error": str(chosen.frames)} | {"provider": "cpu", "precision": "fp32"}]
        },
    )
    out = tmp_path / "results" / "gpu.json"
    arguments = ["--providers", "cpu", "--precisions", "fp32", "--frames", "96x128", "--models", str(models)]
    monkeypatch.setattr(sys, "argv", ["gpu", *arguments, "--out", str(out)])
    gpu.main()
    assert "[(96, 128)]" in capsys.readouterr().out
    assert "96, 128" in out.read_text()
