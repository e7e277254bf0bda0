"""How fast: `python -m benchmarks.speed [MODEL.onnx ...] [--threads 1] [--out FILE]`.

- network: each model in onnxruntime (without a model: the built-in one), and the thesis's two networks in
  PyTorch eager as the baseline of the same run, all from float32 images to the transform, 240x320 unless the
  model says otherwise. - pipeline: frames of the simulator, drawn beforehand, through preprocessing, network,
  filter, warp and blend, at the sizes of PIPELINE_SIZES. Reading, decoding, window and recording are not in
  it.

Everything runs on the CPU with the same number of threads. Writes JSON; `benchmarks.table` makes the README's
table.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Timing, machine_facts, measure, pin_threads, summarise
from vr.runtime import Aligner
from vr.runtime.embedded import embedded_path
from vr.runtime.session import Session
from vr.runtime.sim import Simulator

RESULTS = Path(__file__).parent / "results" / "speed.json"
PIPELINE_SIZES = ((480, 640), (1080, 1920))
IR_HW = (480, 640)
BASELINE_HW = (240, 320)
SCENE_FRAMES = 20
Scene = list[tuple[np.ndarray, np.ndarray]]
PIPELINE_FRAMES = 120


def main() -> None:
    """Parses, measures, writes, prints."""
    parser = argparse.ArgumentParser(description="Measures the speed of models and of the whole pipeline.")
    parser.add_argument(
        "models", nargs="*", type=Path, help="ONNX estimate graphs; default: the default and the small model"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of everything (default 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to write (default {RESULTS.name})")
    args = parser.parse_args()
    pin_threads(args.threads)
    models = args.models or [embedded_path(name) for name in ("default", "small")]
    result = {
        "machine": machine_facts(),
        "threads": args.threads,
        "network": [*measure_models(models, args.threads), *measure_baselines(args.threads)],
        "pipeline": [row for model in models for row in measure_pipelines(model, args.threads)],
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    for row in [*result["network"], *result["pipeline"]]:
        print(f"{row['name']:40} {row['fps']:8.1f} fps  median {row['median_ms']:7.2f}  p95 {row['p95_ms']:7.2f} ms")


def measure_models(models: list[Path], threads: int) -> list[dict[str, Any]]:
    """Network alone in onnxruntime; only what the aligner asks for."""
    rows: list[dict[str, Any]] = []
    for path in models:
        session = Session(path, "cpu", threads, transform_only=True)
        outputs = session.output_names
        moving, fixed = _noise(session.info.size_hw)
        timing = measure(lambda s=session, m=moving, f=fixed, o=outputs: s.run({"moving": m, "fixed": f}, o))
        size = "x".join(map(str, session.info.size_hw))
        rows.append(_row(f"{path.stem} ({session.info.network}), onnxruntime", size, timing, path.stat().st_size))
    return rows


def measure_baselines(threads: int) -> list[dict[str, Any]]:
    """The thesis's networks as the thesis ran them: PyTorch eager."""
    import torch

    from vr.models import registry

    torch.set_num_threads(threads)
    moving, fixed = (torch.from_numpy(image) for image in _noise(BASELINE_HW))
    rows: list[dict[str, Any]] = []
    for name in ("affine", "voxelmorph"):
        net = registry.build(name, {"size_hw": list(BASELINE_HW)}).eval()
        with torch.inference_mode():
            timing = measure(lambda n=net: n(moving, fixed))
        weights_bytes = sum(p.numel() * p.element_size() for p in net.parameters())
        rows.append(_row(f"{name} (thesis), PyTorch eager", "x".join(map(str, BASELINE_HW)), timing, weights_bytes))
    return rows


def measure_pipelines(model: Path, threads: int) -> list[dict[str, Any]]:
    """Frames in, overlay out, by stage and end to end. A model of mode `mask` gets the simulator's true
    masks.
    """
    rows: list[dict[str, Any]] = []
    for rgb_hw in PIPELINE_SIZES:
        aligner = Aligner.load(model, provider="cpu", threads=threads)
        scene = draw_scene(Simulator(seed=0, rgb_hw=rgb_hw, ir_hw=IR_HW), aligner.info.mode)
        stages, refused = run_pipeline(aligner, scene, PIPELINE_FRAMES)
        if "total" not in stages:
            raise SystemExit(f"{model}: every frame of the simulator was refused, there is nothing to time")
        row = _row(
            f"{model.stem} ({aligner.info.network}), pipeline",
            "x".join(map(str, rgb_hw)),
            summarise(stages.pop("total")),
            None,
        )
        row["refused_frames"] = refused
        row["stages_median_ms"] = {name: round(summarise(times).median_ms, 3) for name, times in stages.items()}
        rows.append(row)
    return rows


def draw_scene(simulator: Simulator, mode: str) -> Scene:
    """Pairs of IR and RGB frames, or of masks, drawn beforehand."""
    if mode != "mask":
        return [simulator.frames(index) for index in range(SCENE_FRAMES)]
    masks = [simulator.person_masks(index) for index in range(SCENE_FRAMES)]
    return [(ir, np.dstack([rgb] * 3)) for ir, rgb in masks]


def run_pipeline(aligner: Aligner, scene: Scene, frames: int, warm_up: int = 10) -> tuple[dict[str, list[float]], int]:
    """Times in ms by stage, and "total", of each frame that was drawn; and how many were refused instead.

    Refused frames are cheaper, and would flatter the figures. The scene is played over and over.
    """
    times: dict[str, list[float]] = {}
    refused = 0
    for index in range(warm_up + frames):
        ir, rgb = scene[index % len(scene)]
        start = time.perf_counter()
        now = aligner(ir, rgb, time_s=index / 30.0)
        aligned = time.perf_counter()
        now.overlay(rgb)
        end = time.perf_counter()
        if index < warm_up:
            continue
        if now.state == "refused":
            refused += 1
            continue
        one = {**now.timings_ms, "warp and blend": (end - aligned) * 1000.0, "total": (end - start) * 1000.0}
        for name, value in one.items():
            times.setdefault(name, []).append(value)
    return times, refused


def _row(name: str, size: str, timing: Timing, file_bytes: int | None) -> dict[str, Any]:
    size_mb = {} if file_bytes is None else {"size_mb": round(file_bytes / 1e6, 2)}
    return {"name": name, "height_x_width": size, **size_mb, **timing.to_json()}


def _noise(size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    moving, fixed = (rng.random((1, 1, *size_hw), dtype=np.float32) for _ in range(2))
    return moving, fixed


if __name__ == "__main__":
    main()
