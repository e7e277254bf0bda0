"""How fast the embedded models answer here, and which of them to use."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vr.runtime.contract import ESTIMATE_INPUTS
from vr.runtime.cores import available_cores
from vr.runtime.doctor.finding import Finding
from vr.runtime.embedded import DEFAULT, EMBEDDED, embedded_path
from vr.runtime.session import Session

_MEASURED_S, _LEAST_RUNS = 0.3, 5
_MOST_THREADS = 4
_ROOM_MS = 20.0
"""What an estimate may take if every picture of a camera with 30 fps is to get one, with its picture drawn beside."""


@dataclass(frozen=True)
class Speed:
    """Median time of one estimate, ms, and so many in a second."""

    model: str
    provider: str
    threads: int
    ms: float

    @property
    def fps(self) -> float:
        """Estimates per second."""
        return 1000.0 / self.ms

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "fps": round(self.fps, 1)}


def measure_speed(providers: Sequence[str]) -> list[Speed]:
    """Of every embedded model on these providers; on the CPU with one thread and with half of the cores."""
    more = max(1, min(_MOST_THREADS, available_cores() // 2))
    speeds: list[Speed] = []
    for provider in providers:
        for threads in sorted({1, more}) if provider != "tensorrt" else []:
            speeds += [_measured(model, provider, threads) for model in EMBEDDED]
    return speeds


def _measured(model: str, provider: str, threads: int) -> Speed:
    session = Session(embedded_path(model), provider, threads, transform_only=True)
    rng, shape = np.random.default_rng(0), (1, 1, *session.info.size_hw)
    feed = {name: rng.random(shape, dtype=np.float32) for name in ESTIMATE_INPUTS}
    session.run(feed, session.info.transform_names)
    times_ms, end_s = list[float](), time.perf_counter() + _MEASURED_S
    while len(times_ms) < _LEAST_RUNS or time.perf_counter() < end_s:
        start_s = time.perf_counter()
        session.run(feed, session.info.transform_names)
        times_ms.append((time.perf_counter() - start_s) * 1000.0)
    return Speed(model, provider, threads, round(float(np.median(times_ms)), 2))


def speed_findings(speeds: Sequence[Speed]) -> list[Finding]:
    """A line for each provider and number of threads, and the advice that follows from all."""
    rows: dict[tuple[str, int], list[Speed]] = {}
    for one in speeds:
        rows.setdefault((one.provider, one.threads), []).append(one)
    findings = [
        Finding(
            f"speed {provider}, {threads} thread{'s' if threads > 1 else ''}",
            "ok",
            "; ".join(f"{one.model} {one.ms:.1f} ms ({one.fps:.0f} fps)" for one in row) + ".",
        )
        for (provider, threads), row in rows.items()
    ]
    return [*findings, advice_of(speeds)] if speeds else findings


def advice_of(speeds: Sequence[Speed]) -> Finding:
    """Which model, how often, on what."""
    fastest = {name: min((one for one in speeds if one.model == name), key=lambda one: one.ms) for name in EMBEDDED}
    default, small = fastest[DEFAULT], fastest["small"]
    on = f"--provider {default.provider}"
    if default.ms <= _ROOM_MS:
        return Finding(
            "what to use", "ok", f"The default model on {default.provider} keeps up with 30 fps.", f"Use {on}."
        )
    text = f"The default model takes {default.ms:.0f} ms, too long for every picture at 30 fps."
    if small.ms <= _ROOM_MS:
        advice = f"Use {on} --estimate-every auto, or --model small ({small.ms:.0f} ms)."
        return Finding("what to use", "ok", text, advice)
    return Finding("what to use", "warn", text, f"Use {on} --model small --estimate-every auto.")
