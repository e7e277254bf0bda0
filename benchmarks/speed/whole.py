"""From frames in memory to overlays: the pipeline of `vr-live`, the same without threads, and the thesis's path.

`fps` is frames over wall time, from the first one asked for to the last one drawn.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.speed.feeds import SCENE_FPS, MemoryPairs, Scene, draw_scene
from vr.runtime import Aligner
from vr.runtime.alignment import DEFAULT_ALPHA
from vr.runtime.batching import share
from vr.runtime.controls import Controls
from vr.runtime.cores import Shares, available_cores
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.session import Session
from vr.runtime.sinks import Output
from vr.runtime.stopping import Stop

Row = dict[str, Any]
SIZES = {"320x240": (240, 320), "640x480": (480, 640), "1280x720": (720, 1280), "1920x1080": (1080, 1920)}
LARGE_SIZES = {"3840x2160": (2160, 3840)}
THESIS_HW = (240, 320)
_WARM_UP = 20


class Counting:
    """A sink that only counts: what a picture costs, not what becomes of it."""

    wants_picture = True

    def __init__(self) -> None:
        self.outputs: list[tuple[str, dict[str, float]]] = []

    def write(self, output: Output) -> None:
        """See `Sink`."""
        self.outputs.append((output.state, output.latency_ms))

    def close(self, complete: bool) -> Path | None:
        """Nothing to close."""
        return None


def pipeline_row(aligner: Aligner, scene: Scene, frames: int, every: str, workers: int) -> Row:
    """`vr-live` between its sources and its sinks."""
    for count in (_WARM_UP, frames):
        sink = Counting()
        start_s = time.perf_counter()
        pipeline = build_pipeline(aligner, scene, count, every, workers, sink)
        pipeline.start()
        pipeline.join()
        elapsed_s = time.perf_counter() - start_s
    return {"fps": round(frames / elapsed_s, 1), "estimate_every": every, **_described(sink)}


def build_pipeline(aligner: Aligner, scene: Scene, frames: int, every: str, workers: int, sink: Counting) -> Pipeline:
    """A recording in memory on its way to `sink`."""
    estimation = estimation_for(aligner, parse_every(every), rig_prior(DEFAULT_RIG), live=False, workers=workers)
    return Pipeline(
        MemoryPairs(scene, frames),
        estimation,
        [sink],
        Stop(),
        lambda _output: None,
        live=False,
        controls=Controls(),
        workers=workers,
    )


def _described(sink: Counting) -> Row:
    """Frames by state, and the median of each stage. Refused frames are cheaper, and would flatter the figures."""
    stages: dict[str, list[float]] = {}
    for _, latency_ms in sink.outputs:
        for name, value in latency_ms.items():
            stages.setdefault(name, []).append(value)
    medians = {name: round(float(np.median(values)), 3) for name, values in stages.items() if name != "total"}
    return {"states": dict(Counter(state for state, _ in sink.outputs)), "stages_median_ms": medians}


def one_by_one_row(aligner: Aligner, scene: Scene, frames: int) -> Row:
    """Our own loop without threads: each pair aligned and drawn before the next."""

    def one(index: int) -> None:
        ir, rgb = scene[index % len(scene)]
        aligner(ir, rgb, time_s=index / SCENE_FPS).overlay(rgb)

    aligner.reset()
    return {"fps": _fps(one, frames), "estimate_every": "1"}


def thesis_row(scene: Scene, frames: int) -> Row:
    """The thesis's path, frame by frame in PyTorch eager: AffineNet, each channel through grid_sample, then a blend."""
    import torch
    import torch.nn.functional as F

    from vr.models import registry

    net = registry.build("affine", {"size_hw": list(THESIS_HW)}).eval()

    def to_input(frame: np.ndarray) -> torch.Tensor:
        gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return torch.from_numpy(cv2.resize(gray, THESIS_HW[::-1]).astype(np.float32) / 255.0)[None, None]

    def one(index: int) -> None:
        ir, rgb = scene[index % len(scene)]
        theta = net(to_input(ir), to_input(rgb)).theta
        grid = F.affine_grid(theta, [1, 1, *rgb.shape[:2]], align_corners=False)
        bgr = ir if ir.ndim == 3 else np.dstack([ir] * 3)
        moved = [
            F.grid_sample(torch.from_numpy(bgr[None, None, :, :, c].astype(np.float32)), grid, align_corners=False)
            for c in range(3)
        ]
        picture = np.dstack([channel[0, 0].numpy() for channel in moved])
        (DEFAULT_ALPHA * picture + (1.0 - DEFAULT_ALPHA) * rgb).astype(np.uint8)

    with torch.inference_mode():
        return {"fps": _fps(one, frames), "estimate_every": "1"}


def _fps(one: Callable[[int], None], frames: int) -> float:
    for index in range(min(_WARM_UP, frames)):
        one(index)
    start_s = time.perf_counter()
    for index in range(frames):
        one(index)
    return round(frames / (time.perf_counter() - start_s), 1)


def whole_rows(models: dict[str, Path], shares: Shares, frames: int, sizes: dict[str, tuple[int, int]]) -> list[Row]:
    """By size: the thesis's path, our loop without threads, the pipeline with an estimate for every frame and auto."""
    rows: list[Row] = []
    for size, rgb_hw in sizes.items():
        scene = draw_scene(rgb_hw)
        count = max(30, min(frames, frames * 640 * 480 // (rgb_hw[0] * rgb_hw[1])))
        rows.append({"name": "thesis's path", "size": size, **thesis_row(scene, max(10, count // 20))})
        for name, path in models.items():
            aligner = Aligner.load(path, "cpu", shares.threads)
            rows.append({"name": f"{name}, one by one", "size": size, **one_by_one_row(aligner, scene, count // 2)})
            for every in ("1", "auto"):
                aligner.reset()
                row = pipeline_row(aligner, scene, count, every, shares.workers)
                rows.append({"name": f"{name}, pipeline", "size": size, **row})
    return rows


def pairs_rows(name: str, path: Path, shares: Shares, frames: int, counts: tuple[int, ...]) -> list[Row]:
    """Several pairs at 640x480 in one process, as fast as they can: all together, and each."""
    scene = draw_scene(SIZES["640x480"])
    rows: list[Row] = []
    for count in counts:
        session = Session(path, "cpu", shares.threads, transform_only=True)
        shared = share(session, count, available_cores(), shares.threads) if count > 1 else session
        workers = max(1, shares.workers // count)
        pipelines = [build_pipeline(Aligner(shared), scene, frames, "1", workers, Counting()) for _ in range(count)]
        start_s = time.perf_counter()
        for pipeline in pipelines:
            pipeline.start()
        for pipeline in pipelines:
            pipeline.join()
        fps = count * frames / (time.perf_counter() - start_s)
        rows.append({"name": name, "pairs": count, "fps": round(fps, 1), "fps_per_pair": round(fps / count, 1)})
    return rows


def threads_rows(models: dict[str, Path], frames: int) -> list[Row]:
    """640x480, an estimate for every frame: how many threads of a network, and how many pairs at once."""
    scene, cores = draw_scene(SIZES["640x480"]), available_cores()
    rows: list[Row] = []
    for name, path in models.items():
        for threads, workers in sorted({(1, 1), (1, cores), (cores, 1)}):
            cv2.setNumThreads(threads)
            row = pipeline_row(Aligner.load(path, "cpu", threads), scene, frames, "1", workers)
            rows.append({"name": name, "threads": threads, "workers": workers, "fps": row["fps"]})
    cv2.setNumThreads(1)
    return rows
