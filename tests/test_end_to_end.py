"""The whole way of a user with two cameras: two raw videos, four commands, nothing by hand in between."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.footage import Shoot, record
from tests.live_command import vr_live
from tests.test_export_cli import run_cli
from tests.train_command import vr_train_here
from vr.runtime.geometry import grid_error_px

RAW = Shoot(
    seed=8,
    size_hw=(240, 320),
    ir_hw=(192, 256),
    ir_fps=9.0,
    rgb_fps=30.0,
    offset_s=1.3,
    dark_s=(7.0, 9.0),
    frozen_s=(4.0, 5.5),
    clock=True,
    drift_px_s=0.0,
)


@pytest.mark.slow
def test_from_two_raw_videos_to_a_live_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = record(tmp_path / "raw", RAW)
    data, run, model, lines = (tmp_path / name for name in ("data", "run", "mine.onnx", "lines.jsonl"))

    prepared = vr_train_here("prepare", "--pair", raw.ir, raw.rgb, "--out", data)
    assert prepared.returncode == 0, prepared.stderr
    found = json.loads((data / "report.json").read_text())["sources"][0]
    assert abs(found["offset_ms"] - 1300.0) < 1000.0 / 30.0

    trained = vr_train_here("match", data, "--finetune", "small", "--out", run)
    assert trained.returncode == 0, trained.stderr
    assert run_cli(monkeypatch, run / "best.pt", "-o", model) == 0

    offset = ("--ir-offset-ms", found["offset_ms"])
    shown = vr_live("--ir", raw.ir, "--rgb", raw.rgb, *offset, "--model", model, "--transforms", lines, "--no-window")
    assert shown.code == 0, shown.err
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    truth = RAW.simulator().matrix_rgb_to_ir(0)
    errors_px = [
        grid_error_px(row["matrix_rgb_to_ir"], truth, RAW.size_hw) for row in rows if row["state"] != "refused"
    ]
    assert len(errors_px) >= 0.9 * len(rows)
    assert np.median(errors_px) < 1.5
