"""The one way in which this project takes times: warm up, repeat, report the distribution and the machine."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

_DISTRIBUTIONS = ("numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu", "torch")
_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Timing:
    """Distribution of the wall time of one call, in ms; `iqr_ms` is the distance between the quartiles."""

    calls: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    iqr_ms: float

    @property
    def fps(self) -> float:
        """Calls per second at the median."""
        return 1000.0 / self.median_ms

    def to_json(self) -> dict[str, float]:
        """Rounded to what the clock can tell."""
        ms = {name: round(getattr(self, name), 3) for name in ("median_ms", "p95_ms", "p99_ms", "iqr_ms")}
        return {"calls": self.calls, **ms, "fps": round(self.fps, 1)}


def measure(call: Callable[[], object], calls: int = 200, warm_up: int = 20, limit_s: float = 30.0) -> Timing:
    """Times `calls` calls after `warm_up` untimed ones; stops early, after at least 10, when `limit_s` is
    over.
    """
    for _ in range(warm_up):
        call()
    times_ms: list[float] = []
    end = time.perf_counter() + limit_s
    while len(times_ms) < calls and (time.perf_counter() < end or len(times_ms) < 10):
        start = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - start) * 1000.0)
    return summarise(times_ms)


def summarise(times_ms: list[float]) -> Timing:
    """The distribution of times that were taken elsewhere, for example by stage."""
    low, median, high, p95, p99 = (float(v) for v in np.percentile(times_ms, [25, 50, 75, 95, 99]))
    return Timing(len(times_ms), median, p95, p99, high - low)


def pin_threads(threads: int) -> None:
    """Holds numpy, OpenCV and torch to `threads`. Before torch is imported: OpenMP reads its variable once."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import cv2

    cv2.setNumThreads(threads)


def machine_facts() -> dict[str, str | int | float]:
    """What a figure must be read with: processor, cores, load, system, versions, commit, date."""
    facts: dict[str, str | int | float] = {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "load_1min": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    for name in _DISTRIBUTIONS:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return facts


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _commit() -> str:
    """Short hash, with "+" where the working tree differs; "none" outside a repository."""
    try:
        commit, changes = (
            subprocess.run(["git", *args], cwd=_REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
            for args in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return commit + ("+" if changes else "")
