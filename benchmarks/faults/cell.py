"""One cell of the matrix: `python -m benchmarks.faults.cell KIND ir|rgb TRANSPORT --times N`, a JSON object on stdout.

A fault is injected N times, each once the run has got over the one before, into one live run.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.faults.heartbeat import heartbeat
from benchmarks.faults.kinds import BY_NAME, LIVE, UNDISTURBED, Kind
from benchmarks.faults.live import LiveRun, live_run, load_aligner, resources, settled_resources
from benchmarks.faults.witness import Seen, judge, wrong_moments
from benchmarks.measure import pin_threads
from tests.bench.camera import LATE_BY, SLOW_FPS
from tests.bench.processes import SpoiledCamera
from tests.bench.serve_rtsp import why_no_rtsp
from vr.runtime.errors import VrError
from vr.runtime.pairing import TimeRule

Row = dict[str, Any]
FPS = 30.0
TOLERANCE_MS = {"http": 50.0, "rtsp": 70.0, "pipe": 70.0, "file": 34.0}
"""How much more than the slop two frames may differ: the transport's delay of one camera against the other's."""
GIVE_UP_S = 15.0
REST_S = 3.5
"""Between two faults, so that each meets a run that has settled."""
_START_S = 20.0


def limit_ms(kind: Kind, role: str, transport: str) -> float:
    """Largest difference of the scene times of a right pair. A late picture looks like any other; the slop is wider for
    an infrared camera that is slow.
    """
    late_ms = LATE_BY / FPS * 1000.0 if kind.fault == "reorder" else 0.0
    ir_fps = SLOW_FPS.get(kind.fault, FPS) if role == "ir" else FPS
    return 1000.0 * TimeRule().slop_s(1.0 / ir_fps) + TOLERANCE_MS[transport] + late_ms


def live_cell(kind: Kind, role: str, transport: str, times: int) -> Row:
    """The cell of a transport of LIVE."""
    limit, deaths = limit_ms(kind, role, transport), list[str]()
    seen: list[Seen] = []
    recoveries: list[float | None] = []
    with heartbeat() as beat, _cameras(transport) as cameras:
        aligner = load_aligner()
        left = times
        counted: dict[str, int] = {}
        before = after = resources()
        while left:
            left_before = left
            try:
                with live_run(aligner, cameras["ir"].url, cameras["rgb"].url, seen) as run:
                    if run.wait_recovered(time.monotonic(), limit, _START_S) is None:
                        deaths.append("did not start")
                        break
                    time.sleep(REST_S)
                    before, start = (settled_resources() if left == times else before), run.counts(role)
                    while left and run.pipeline.running:
                        recoveries.append(_inject(run, cameras[role], kind, limit))
                        left -= 1
                    counted = _added(counted, start, run.counts(role))
                    after = settled_resources()
            except VrError as error:
                deaths.append(str(error))
                if left == left_before:
                    break
                time.sleep(kind.duration_s)
        faults = cameras[role].faults()
        injected = sum(fault.injected for fault in faults)
    return _row(kind, role, transport, limit, seen, recoveries, deaths) | {
        "injected": injected,
        "machine_late_ms_max": beat.late_ms_max,
        "machine_late": len(beat.late),
        "wrong_moments": wrong_moments(seen, limit, [fault.begin_s for fault in faults]),
        **_counting(kind, transport, counted, injected, times),
        "resources_before": before,
        "resources_after": after,
    }


def _inject(run: LiveRun, camera: SpoiledCamera, kind: Kind, limit: float) -> float | None:
    """Seconds from the fault's end until right pairs are shown again, None if that is not so in time."""
    fault = camera.fault(kind.fault, kind.duration_s)
    time.sleep(max(0.0, fault.end_s - time.monotonic()))
    at_s = run.wait_recovered(fault.end_s, limit, GIVE_UP_S)
    if at_s is not None:
        time.sleep(REST_S)
    return None if at_s is None else at_s - fault.end_s


@contextmanager
def _cameras(transport: str) -> Generator[dict[str, SpoiledCamera]]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cameras: dict[str, SpoiledCamera] = {}
        for role in ("ir", "rgb"):
            options = ["--path", Path(folder) / role] if transport == "pipe" else []
            cameras[role] = stack.enter_context(SpoiledCamera(role, transport, "--fps", FPS, *options))
        yield cameras


def _added(counted: dict[str, int], start: dict[str, int], end: dict[str, int]) -> dict[str, int]:
    return {name: counted.get(name, 0) + value - start.get(name, 0) for name, value in end.items()}


def _counting(kind: Kind, transport: str, counted: dict[str, int], injected: int, times: int) -> Row:
    """The camera's counts against what must be; `None` where the run does not count."""
    expected = kind.expected.get(transport, kind.expected.get("", UNDISTURBED))
    holds = expected.holds(counted, injected, times) if counted else None
    return {"counted": counted, "expected": expected.text, "counts_right": holds}


def _row(
    kind: Kind,
    role: str,
    transport: str,
    limit: float,
    seen: list[Seen],
    recoveries: list[float | None],
    deaths: list[str],
) -> Row:
    return {
        **{"kind": kind.name, "camera": role, "transport": transport, "what": kind.what},
        **{"times": len(recoveries), "fault_s": kind.duration_s, "limit_ms": round(limit, 1)},
        "recovery_s": [None if value is None else round(value, 3) for value in recoveries],
        "deaths": deaths,
        **asdict(judge(seen, limit)),
    }


def cell(kind: Kind, role: str, transport: str, times: int) -> Row:
    """Any cell; `skipped` says why there is nothing to measure."""
    head = {"kind": kind.name, "camera": role, "transport": transport, "what": kind.what}
    if transport == "rtsp" and (reason := why_no_rtsp()) is not None:
        return head | {"skipped": reason}
    if transport in LIVE:
        return live_cell(kind, role, transport, times)
    from benchmarks.faults.file_cell import file_cell

    return file_cell(kind, role, times, limit_ms(kind, role, "file"))


def main(say: Callable[[str], object] = print) -> None:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description="One kind of fault at one camera.")
    parser.add_argument("kind", choices=list(BY_NAME))
    parser.add_argument("camera", choices=("ir", "rgb"))
    parser.add_argument("transport", choices=list(TOLERANCE_MS))
    parser.add_argument("--times", type=int, default=20)
    args = parser.parse_args()
    pin_threads(1)
    say(json.dumps(cell(BY_NAME[args.kind], args.camera, args.transport, args.times)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
