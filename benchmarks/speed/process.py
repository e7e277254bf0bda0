"""`vr-live` as a process of its own: time to the first overlay, peak memory, and how long recordings take."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.feeds import draw_scene
from benchmarks.speed.stages import SIZE_HW, write_video

Row = dict[str, Any]


def process_rows(models: dict[str, Path], frames: int) -> list[Row]:
    """Two recordings, an estimate for every frame and auto; and `sim:`."""
    rows = recordings_rows(models, ("1", "auto"), frames)
    with tempfile.TemporaryDirectory() as folder:
        for model, path in models.items():
            row = run_process(Path(folder), "sim:", "sim:", path, "1", min(frames, 200))
            rows.append({"name": model, "source": "sim:", "estimate_every": "1", **row})
    return rows


def recordings_rows(models: dict[str, Path], intervals: tuple[str, ...], frames: int) -> list[Row]:
    """Two MP4 files of 640x480 to a recording of the overlay."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = draw_scene(SIZE_HW)
        files = [
            write_video(folder / f"{side}.mp4", [np.asarray(pair[k], np.uint8) for pair in scene], frames)
            for k, side in enumerate(("ir", "rgb"))
        ]
        for model, path in models.items():
            for every in intervals:
                row = run_process(folder, str(files[0]), str(files[1]), path, every, frames)
                rows.append({"name": model, "source": "two MP4 files", "estimate_every": every, **row})
    return rows


def run_process(folder: Path, ir: str, rgb: str, model: Path, every: str, frames: int) -> Row:
    """One run that records the overlay. fps is over the whole process, start-up included."""
    lines = folder / "transforms.jsonl"
    command = [sys.executable, "-m", "vr.runtime.cli", "--ir", ir, "--rgb", rgb, "--model", str(model)]
    command += ["--frames", str(frames), "--no-window", "--estimate-every", every, "--overwrite"]
    command += ["--record", str(folder / "out.mp4"), "--transforms", str(lines)]
    lines.unlink(missing_ok=True)
    start_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    first_s: float | None = None
    peak_mb = 0.0
    while process.poll() is None:
        if first_s is None and lines.exists() and lines.stat().st_size:
            first_s = time.monotonic() - start_s
        peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.01)
    wall_s = time.monotonic() - start_s
    if process.returncode:
        raise SystemExit(f"vr-live ended with exit code {process.returncode}")
    row: Row = {"frames": frames, "fps": round(frames / wall_s, 1), "peak_mb": round(peak_mb, 1)}
    return row | {"first_overlay_s": None if first_s is None else round(first_s, 2)}


def _peak_mb(pid: int) -> float:
    """Largest resident memory so far (Linux); 0 once the process has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kib) * 1024 / 1e6 if os.name == "posix" else 0.0
