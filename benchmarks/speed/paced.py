"""Cameras at 30 frames per second: latency from the grab to the picture, CPU use, and memory over time."""

import os
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import summarise
from benchmarks.speed.feeds import PacedCapture, Scene, draw_scene
from benchmarks.speed.whole import Counting
from vr.runtime import Aligner
from vr.runtime.controls import Controls
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.pairing import pair_sources
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.sinks import Output, Sink, TransformSink, VideoSink
from vr.runtime.sinks.targets import FileTarget
from vr.runtime.sources.camera import CameraSource
from vr.runtime.stopping import Stop

Row = dict[str, Any]
FPS = 30.0
HISTOGRAM_MS = 0.5
SIZE_HW = (480, 640)
_SETTLING_FRAMES = 30


class Clocked(Counting):
    """Keeps the latency of each frame, and the resident memory once per minute."""

    def __init__(self) -> None:
        super().__init__()
        self.total_ms = array("d")  # 8 bytes a frame, so that memory which grows is not this
        self.resident_mb: list[float] = []

    def write(self, output: Output) -> None:
        """See `Sink`."""
        if len(self.total_ms) % int(60 * FPS) == 0:
            self.resident_mb.append(resident_mb())
        self.total_ms.append(output.latency_ms["total"])


def paced_row(name: str, path: Path, threads: int, frames: int, every: str, sinks: list[Sink] | None = None) -> Row:
    """Two cameras of 640x480 for `frames` frames."""
    aligner, scene, clocked = Aligner.load(path, "cpu", threads), draw_scene(SIZE_HW), Clocked()
    cpu_s, start_s = time.process_time(), time.monotonic()
    counts = run_paced(aligner, scene, frames, every, [clocked, *(sinks or [])])
    wall_s = time.monotonic() - start_s
    timing = summarise(list(clocked.total_ms[_SETTLING_FRAMES:]))
    return {
        **{"name": name, "frames": frames, "estimate_every": every, **timing.to_json()},
        "max_ms": round(max(clocked.total_ms[_SETTLING_FRAMES:]), 3),
        "p99_over_median": round(timing.p99_ms / timing.median_ms, 2),
        "cpu_percent": round(100.0 * (time.process_time() - cpu_s) / wall_s, 1),
        "dropped_rgb": counts,
        "minutes_median_ms": _by_minute(clocked.total_ms),
        "resident_mb": [round(mb, 1) for mb in clocked.resident_mb],
        "histogram_ms": _histogram(clocked.total_ms[_SETTLING_FRAMES:]),
    }


def soak_row(name: str, path: Path, threads: int, frames: int) -> Row:
    """`paced_row` with the sinks of a long run: a recording and transforms."""
    with tempfile.TemporaryDirectory() as folder:
        video = VideoSink(FileTarget(Path(folder) / "out.mp4", overwrite=True))
        video.start(FPS)
        transforms = TransformSink(FileTarget(Path(folder) / "out.jsonl", overwrite=True))
        row = paced_row(name, path, threads, frames, "1", [video, transforms])
        for sink in (video, transforms):
            sink.close(complete=True)
    return row


def run_paced(aligner: Aligner, scene: Scene, frames: int, every: str, sinks: list[Sink]) -> int:
    """Runs the pipeline as `vr-live` does on cameras; returns how many RGB frames were dropped."""
    captures = [PacedCapture([pair[side] for pair in scene], FPS) for side in (0, 1)]
    cameras = [CameraSource("paced", lambda capture=capture: capture) for capture in captures]
    pairing = pair_sources(cameras[0], cameras[1])
    estimation = estimation_for(aligner, parse_every(every), rig_prior(DEFAULT_RIG), live=True)
    pipeline = Pipeline(
        *(pairing, estimation, sinks, Stop(), lambda _output: None),
        live=True,
        controls=Controls(),
        frames=frames,
    )
    pipeline.start()
    try:
        pipeline.join()
    finally:
        for camera in cameras:
            camera.close()
    return pairing.counts.dropped_rgb


def _by_minute(total_ms: Sequence[float]) -> list[float]:
    per_minute = int(60 * FPS)
    return [round(float(np.median(total_ms[i : i + per_minute])), 3) for i in range(0, len(total_ms), per_minute)]


def _histogram(total_ms: Sequence[float]) -> dict[str, int]:
    """Frames by latency, in steps of HISTOGRAM_MS."""
    steps, counts = np.unique(np.floor(np.array(total_ms) / HISTOGRAM_MS).astype(int), return_counts=True)
    return {str(step * HISTOGRAM_MS): int(count) for step, count in zip(steps, counts, strict=True)}


def resident_mb() -> float:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
