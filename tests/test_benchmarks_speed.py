"""The speed suites on a toy model: what they run, what they count, and what is drawn of it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.measure import Timing
from benchmarks.speed import feeds, network, paced, plots, process, stages, whole
from benchmarks.table_speed import render_roofline, render_speed
from tests.onnx_models import write_affine
from vr.runtime import Aligner
from vr.runtime.cores import Shares
from vr.runtime.estimation import EveryNth, InBackground
from vr.runtime.stopping import Stop

MACHINE = {"cpu": "Test CPU", "cores": 2, "load_1min": 0.1, "commit": "abc", "date": "2026-01-02", "onnxruntime": "1"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_affine(tmp_path / "m.onnx")


@pytest.fixture(scope="module")
def scene() -> feeds.Scene:
    return feeds.draw_scene((120, 160), (120, 160))


def test_pairs_of_memory_are_those_of_the_scene_over_and_over(scene: feeds.Scene) -> None:
    pairs = feeds.MemoryPairs(scene, 45)
    given = [pairs.next(Stop()) for _ in range(46)]
    assert given[45] is None and given[44] is not None
    assert given[44].rgb.frame is scene[4][1] and given[44].rgb.time_s == pytest.approx(44 / 30)


def test_the_pipeline_draws_every_frame_of_the_scene(model: Path, scene: feeds.Scene) -> None:
    row = whole.pipeline_row(Aligner.load(model, "cpu", 1), scene, 30, "1", workers=2)
    assert sum(row["states"].values()) == 30 and row["fps"] > 0
    assert {"read", "preprocess", "estimate", "filter", "draw"} <= set(row["stages_median_ms"])
    assert whole.pipeline_row(Aligner.load(model, "cpu", 1), scene, 30, "auto", 1)["estimate_every"] == "auto"


def test_both_baselines_run_the_same_frames(model: Path, scene: feeds.Scene) -> None:
    assert whole.one_by_one_row(Aligner.load(model, "cpu", 1), scene, 5)["fps"] > 0
    assert whole.thesis_row(scene, 2)["fps"] > 0


def test_pairs_share_one_session(model: Path) -> None:
    rows = whole.pairs_rows("toy", model, Shares(1, 2), 5, (1, 2))
    assert [row["pairs"] for row in rows] == [1, 2]
    assert rows[1]["fps"] == pytest.approx(2 * rows[1]["fps_per_pair"], abs=0.2)


def test_cameras_are_paced_and_every_frame_is_clocked(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "SIZE_HW", (120, 160))
    monkeypatch.setattr(paced, "_SETTLING_FRAMES", 2)
    row = paced.paced_row("toy", model, 1, 20, "1")
    assert sum(row["histogram_ms"].values()) == 18 == row["calls"]
    assert row["max_ms"] >= row["p99_ms"] >= row["median_ms"] > 0 and row["resident_mb"][0] > 20


def test_stages_and_the_share_of_all_but_network_and_codec(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = stages.stage_rows({"toy": model}, 10)
    named = ["preprocess", "estimate", "filter", "warp", "blend", "decode", "encode"]
    assert [row["stage"] for row in rows[:-1]] == named and 0.0 < rows[-1]["share"] < 1.0
    times = {"preprocess": 1.0, "estimate": 7.0, "filter": 0.5, "warp": 1.0, "blend": 0.5, "decode": 9.0, "encode": 9.0}
    timings = {name: Timing(10, ms, ms, ms, 0.0) for name, ms in times.items()}
    assert stages.overhead_share(timings) == pytest.approx(0.3)


def test_the_process_tells_its_first_overlay_and_memory(model: Path, tmp_path: Path, scene: feeds.Scene) -> None:
    video = stages.write_video(tmp_path / "v.mp4", [np.asarray(rgb, np.uint8) for _, rgb in scene], 12)
    row = process.run_process(tmp_path, str(video), str(video), model, "1", 12)
    assert row["frames"] == 12 and row["fps"] > 0 and row["peak_mb"] > 20
    assert row["first_overlay_s"] is None or row["first_overlay_s"] < 60


def test_the_network_is_compared_with_the_thesis_in_the_same_run(model: Path) -> None:
    rows = network.network_rows({"toy": model}, 1, 10)
    thesis = next(row for row in rows if row["name"].startswith("affine (thesis)"))
    assert thesis["times_thesis"] == 1.0 and thesis["runtime"] == "PyTorch eager"
    toy = next(row for row in rows if row["name"].startswith("toy"))
    assert toy["times_thesis"] == pytest.approx(thesis["median_ms"] / toy["median_ms"], rel=0.05)


def speed_result() -> dict[str, object]:
    whole_rows = [
        {"name": name, "size": size, "fps": fps, "estimate_every": every}
        for name, every, fps in (("thesis's path", "1", 30.4), ("small, pipeline", "auto", 400.0))
        for size in ("320x240", "640x480")
    ]
    latency = {"name": "small", "estimate_every": "1", "frames": 100, "median_ms": 5.04, "p95_ms": 6.0, "p99_ms": 7.0}
    latency |= {"max_ms": 9.0, "dropped_rgb": 0, "cpu_percent": 17.2, "histogram_ms": {"4.5": 3, "5.0": 97}}
    return {
        "whole": {"machine": MACHINE, "rows": whole_rows},
        "latency": {"machine": MACHINE, "rows": [latency]},
        "pairs": {"machine": MACHINE, "rows": [{"name": "small", "pairs": 4, "fps": 200.0, "fps_per_pair": 50.0}]},
    }


def test_tables_hold_the_suites_that_were_run() -> None:
    shown = render_speed(speed_result())
    assert "| small, pipeline | auto | 400 | 400 |" in shown and "| thesis's path | 1 | 30 | 30 |" in shown
    assert "| small | 1 | 100 | 5.0 | 6.0 | 7.0 | 9.0 | 0 | 17 |" in shown
    assert "| small | 4 | 200 | 50 |" in shown and "threads of a network" not in shown


def test_plots_are_drawn(tmp_path: Path) -> None:
    written = plots.write_plots(json.loads(json.dumps(speed_result())), tmp_path)
    assert [path.name for path in written] == ["speed-resolution.png", "speed-latency.png"]
    for path in written:
        picture = cv2.imread(str(path))
        assert picture is not None and picture.std() > 5


def test_what_is_measured_is_what_is_named() -> None:
    aligner = Aligner.load("small", "cpu", 1)
    pairs = feeds.draw_scene((120, 160), (120, 160))
    every = whole.build_pipeline(aligner, pairs, 3, "1", 1, whole.Counting())
    auto = whole.build_pipeline(aligner, pairs, 3, "auto", 1, whole.Counting())
    assert isinstance(every._estimation, EveryNth) and isinstance(auto._estimation, InBackground)
    auto._estimation.close()


def test_the_roofline_says_what_is_reached_and_where_the_time_goes() -> None:
    ops = [{"op": "Conv", "nodes": 3, "ms": 1.0, "share": 0.4}, {"op": "Mul", "nodes": 9, "ms": 0.5, "share": 0.2}]
    model = {"name": "default", "mflops": {"Conv": 600.0, "MatMul": 50.4}, "median_ms": 6.04, "nodes": 800, "ops": ops}
    model["share_of_peak"] = {"network": 0.467, "convolutions": 0.81}
    roofline = {"machine": MACHINE, "peak_gflops_per_s": 249.3, "copy_gb_per_s": 40.0, "models": [model]}
    shown = render_roofline(roofline, {})
    assert "| default | 650 | 6.0 | 47 % | 81 % | 800 | Conv 40 %, Mul 20 % |" in shown and "249 GFLOP/s" in shown
    rows = [{"name": "default", "stage": stage, "median_ms": ms} for stage, ms in (("warp", 0.4), ("blend", 0.1376))]
    shown = render_roofline(roofline, {"stages": {"rows": rows}})
    assert "moving 2.2 MB; warp and blend take 0.54 ms for it, 4.0 GB/s or 10 % of the copy's bandwidth" in shown
