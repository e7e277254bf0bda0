"""Cells of the matrix for recordings: a file made by a camera with the fault, or damaged afterwards."""

import gc
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import FILE_SUFFIX, Kind
from benchmarks.faults.live import live_run, load_aligner, resources
from benchmarks.faults.witness import Seen, judge, recovered_at_s
from tests.bench.coded import MODULUS_MS
from tests.bench.control import Fault
from tests.bench.files import PICTURE_FAULTS, damage_file, write_file
from vr.runtime import Aligner
from vr.runtime.errors import VrError

Row = dict[str, Any]
_SOUND_S = 3.0
"""Of every file before, between and after the faults."""


def file_cell(kind: Kind, role: str, times: int, limit_ms: float) -> Row:
    """Times are those of the recording; recovery is from the end of the fault to the first of right pairs."""
    planned = [
        Fault(kind.fault, begin_s := _SOUND_S + number * (kind.duration_s + _SOUND_S), begin_s + kind.duration_s)
        for number in range(times)
    ]
    duration_s = planned[-1].end_s + _SOUND_S
    assert duration_s * 1000.0 < MODULUS_MS
    seen: list[Seen] = []
    deaths: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}{FILE_SUFFIX}" for name in ("ir", "rgb")}
        injected = _write(paths, role, duration_s, planned)
        aligner = load_aligner()
        before = resources()
        try:
            # Once to fill caches, so that what the second time adds is not theirs.
            _play(aligner, paths, [])
            gc.collect()
            before = resources()
            _play(aligner, paths, seen)
        except VrError as error:
            deaths.append(str(error))
        # What a closed source still holds goes with it.
        gc.collect()
        after = resources()
    aged = [_as_played(one) for one in seen]
    return {
        **{"kind": kind.name, "camera": role, "transport": "file", "what": kind.what},
        **{"times": times, "fault_s": kind.duration_s, "limit_ms": round(limit_ms, 1)},
        "recovery_s": [_recovery_s(aged, fault, limit_ms) for fault in planned],
        "deaths": deaths,
        **asdict(judge(aged, limit_ms)),
        **{"injected": injected, "counted": {}, "expected": "", "counts_right": None},
        **{"resources_before": before, "resources_after": after},
    }


def _play(aligner: Aligner, paths: dict[str, Path], seen: list[Seen]) -> None:
    with live_run(aligner, str(paths["ir"]), str(paths["rgb"]), seen) as run:
        run.pipeline.join()


def _write(paths: dict[str, Path], role: str, duration_s: float, planned: list[Fault]) -> int:
    """Both files; how often the fault was injected."""
    for name, path in paths.items():
        at_camera = planned if name == role and planned[0].kind in PICTURE_FAULTS else []
        made = write_file(path, name, duration_s, at_camera)
        if name == role and not at_camera:
            made = damage_file(path, planned)
        if name == role:
            planned[:] = made
    return sum(fault.injected for fault in planned)


def _as_played(one: Seen) -> Seen:
    """Scene time is time in the file, so a picture of a recording is always of now."""
    at_ms = next((ms for ms in (one.rgb_ms, one.ir_ms) if ms is not None), 0)
    return Seen(at_ms / 1000.0, one.shown, one.ir_ms, one.rgb_ms, one.notices)


def _recovery_s(seen: list[Seen], fault: Fault, limit_ms: float) -> float | None:
    at_s = recovered_at_s(seen, fault.end_s, limit_ms)
    return None if at_s is None or at_s > fault.end_s + _SOUND_S else round(at_s - fault.end_s, 3)
