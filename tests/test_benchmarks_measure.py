"""The measuring tools themselves: figures of known distributions, and the README's table."""

import json
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from benchmarks import table
from benchmarks.measure import machine_facts, measure, summarise
from benchmarks.speed import run_pipeline
from tests.helpers import smooth_scene
from tests.onnx_models import affine_info, write_affine
from vr.runtime import Aligner

SPEED = {
    "machine": {"cpu": "Test CPU", "cores": 2, "load_1min": 0.1, "commit": "abc", "date": "2026-01-02"}
    | {"onnxruntime": "1.31.1", "torch": "2.13.0"},
    "threads": 1,
    "network": [
        {"name": "match", "height_x_width": "240x320", "fps": 100.4, "median_ms": 9.96, "p95_ms": 11.0, "size_mb": 1.5}
    ],
    "pipeline": [{"name": "all", "height_x_width": "480x640", "fps": 50.0, "median_ms": 20.0, "p95_ms": 22.25}],
}


def test_summary_of_known_times() -> None:
    timing = summarise([float(ms) for ms in range(1, 101)])
    assert timing.median_ms == 50.5
    assert timing.iqr_ms == pytest.approx(49.5)
    assert timing.p95_ms == pytest.approx(95.05)
    assert timing.fps == pytest.approx(1000 / 50.5)


def test_warm_up_calls_are_not_timed() -> None:
    calls = count()
    timing = measure(lambda: next(calls), calls=30, warm_up=7)
    assert timing.calls == 30
    assert next(calls) == 37


def test_slow_calls_stop_at_the_limit_but_not_before_ten() -> None:
    assert measure(lambda: None, calls=1000, warm_up=0, limit_s=0.0).calls == 10


def test_machine_facts_name_processor_commit_and_versions() -> None:
    facts = machine_facts()
    assert {"cpu", "cores", "commit", "date", "python", "numpy"} <= set(facts)
    assert facts["numpy"] == np.__version__


def test_pipeline_times_every_stage_of_every_frame(tmp_path: Path) -> None:
    path = write_affine(tmp_path / "m.onnx", info=affine_info(has_confidence=False))
    frame = smooth_scene(0, (48, 64))
    times, refused = run_pipeline(Aligner.load(path, "cpu", 1), [(frame, np.dstack([frame] * 3))], frames=5, warm_up=1)
    assert set(times) == {"preprocess", "estimate", "filter", "warp and blend", "total"}
    assert {len(values) for values in times.values()} == {5}
    assert refused == 0
    stages = sum(np.sum(values) for name, values in times.items() if name != "total")
    assert stages <= np.sum(times["total"])


def test_refused_frames_are_counted_and_not_timed(tmp_path: Path) -> None:
    """The test model's confidence is the brightness of the IR frame: too dark."""
    dark = (smooth_scene(0, (48, 64)) // 4).astype(np.uint8)
    aligner = Aligner.load(write_affine(tmp_path / "m.onnx"), "cpu", 1)
    assert run_pipeline(aligner, [(dark, np.dstack([dark] * 3))], frames=4, warm_up=1) == ({}, 4)


def test_table_stands_between_the_markers_and_is_stable(tmp_path: Path) -> None:
    readme = "# Title\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nrest\n"
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))
    once = table.update(readme, tmp_path)
    assert "| match | 240x320 | 100 | 10.0 | 11.0 | 1.5 |" in once
    assert "old" not in once
    assert once.startswith("# Title\n")
    assert once.endswith("\nrest\n")
    assert table.update(once, tmp_path) == once


def test_accuracy_table_shows_shares_and_refusals() -> None:
    shares = {"below_3_px": 0.5, "below_5_px": 0.75, "below_10_px": 1.0}
    one = {"pairs": 4, "median_px": 2.345, **shares, "refused": 1, "confidently_wrong": 0}
    result = {"machine": SPEED["machine"], "run": "r-1", "protocol_s": {"tno": {"ours": one}}}
    assert "| tno (4) | ours | 2.3 | 50 % | 75 % | 100 % | 1 | 0 |" in table.render_accuracy(result)
    one["median_px"] = -1.0
    assert "| ours | refused |" in table.render_accuracy(result)


BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"


@pytest.mark.parametrize("readme", ["nothing", f"{END}\n{BEGIN}", BEGIN * 2 + END])
def test_readme_without_its_markers_is_refused(readme: str) -> None:
    with pytest.raises(ValueError, match="speed:begin"):
        table.insert_table(readme, "speed", "table")
