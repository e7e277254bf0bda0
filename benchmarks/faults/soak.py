"""`vr-live` for a long time on two cameras with random faults: `python -m benchmarks.faults.soak --minutes 60`.

The run is a process as users start it, with a recording and transforms written; one camera is HTTP, the other RTSP
(HTTP where there is no RTSP server). A seeded random fault comes every 10 to 30 s. Every 10 s memory, threads and
handles of the process are taken and written to `soak.samples.jsonl` at once. At the end every recorded file is played,
and `soak.json` and `soak.png` say what came out.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.faults.live import resources
from benchmarks.faults.recorded import holes, played, time_of
from benchmarks.faults.soak_figures import by_minute, faults_found, growth
from benchmarks.measure import machine_facts
from tests.bench.processes import SpoiledCamera
from tests.bench.script import Step, random_steps
from tests.bench.serve_rtsp import why_no_rtsp

Row = dict[str, Any]
SAMPLE_S = 10.0
DURATIONS_S = {
    **{"stall": 5.0, "cut": 3.0, "garbage": 1.0, "slow": 3.0, "freeze": 3.0, "duplicate": 2.0, "reorder": 2.0},
    **{"half": 2.0, "resolution": 3.0, "rate": 5.0, "hz9": 5.0},
}
_START_S, _END_S = 60.0, 60.0


def main() -> None:
    """Parses, runs, writes, prints."""
    args = _arguments()
    if args.folder.exists() and any(args.folder.iterdir()):
        raise SystemExit(f"{args.folder} is not empty; give --folder a new one")
    args.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cameras = {
            "ir": stack.enter_context(SpoiledCamera("ir", "http")),
            "rgb": stack.enter_context(SpoiledCamera("rgb", "http" if why_no_rtsp() else "rtsp")),
        }
        steps = _steps(args)
        process = _start(args.folder, cameras, args.option)
        stack.callback(_end, process)
        start_s = _wait_for_first_output(process, args.folder / "transforms.jsonl")
        samples, faults = _watch(process, cameras, steps, args.minutes * 60.0, start_s, args.folder)
        code = _end(process)
    report = _report(args.folder, samples, faults, code)
    report = {"reasons": faults_found(report), **report}
    (args.folder / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        from benchmarks.faults.plots import draw_soak

        draw_soak(samples, report["minutes"], faults, args.folder / "soak.png")
    print(json.dumps({key: value for key, value in report.items() if key not in ("minutes", "faults")}, indent=1))


def _steps(args: argparse.Namespace) -> list[Step]:
    durations_s = {kind: DURATIONS_S[kind] for kind in args.kind}
    return random_steps(random.Random(args.seed), durations_s, ["ir", "rgb"], args.minutes * 60.0 - 20.0)


def _start(folder: Path, cameras: Mapping[str, SpoiledCamera], options: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vr.runtime.cli", "--ir", cameras["ir"].url, "--rgb", cameras["rgb"].url]
    command += ["--no-window", "--estimate-every", "auto", "--threads", "1"]
    command += ["--record", str(folder / "recording.mp4"), "--transforms", str(folder / "transforms.jsonl"), *options]
    with (folder / "vr-live.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _end(process: subprocess.Popen[bytes]) -> int:
    """Asks it to end as a user does; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _wait_for_first_output(process: subprocess.Popen[bytes], lines: Path) -> float:
    """`time.monotonic()` of the first output. Raises SystemExit if none comes."""
    end_s = time.monotonic() + _START_S
    while time.monotonic() < end_s and process.poll() is None:
        if lines.exists() and lines.stat().st_size:
            return time.monotonic()
        time.sleep(0.1)
    raise SystemExit(f"vr-live gave no output, exit code {process.poll()}; see {lines.parent / 'vr-live.log'}")


def _watch(
    process: subprocess.Popen[bytes],
    cameras: Mapping[str, SpoiledCamera],
    steps: list[Step],
    total_s: float,
    start_s: float,
    folder: Path,
) -> tuple[list[Row], list[Row]]:
    """Samples every 10 s and faults when they are due, until the time is over or the process has ended."""
    samples: list[Row] = []
    faults: list[Row] = []
    waiting, next_sample_s = list(steps), 0.0
    with (folder / "soak.samples.jsonl").open("w", encoding="utf-8") as stream:
        while (at_s := time.monotonic() - start_s) < total_s and process.poll() is None:
            if waiting and waiting[0].at_s <= at_s:
                step = waiting.pop(0)
                cameras[step.camera].fault(step.kind, step.duration_s)
                faults.append({"at_s": round(at_s, 1), "kind": step.kind, "camera": step.camera})
                stream.write(json.dumps({"fault": faults[-1]}) + "\n")
            if at_s >= next_sample_s:
                next_sample_s += SAMPLE_S
                samples.append({"at_s": round(at_s, 1), **resources(process.pid)})
                stream.write(json.dumps(samples[-1]) + "\n")
            stream.flush()
            time.sleep(0.1)
    return samples, faults


def _report(folder: Path, samples: list[Row], faults: list[Row], code: int) -> Row:
    lines = [json.loads(line) for line in (folder / "transforms.jsonl").read_text(encoding="utf-8").splitlines()]
    files = [played(path) for path in sorted(folder.glob("recording*.mp4"), key=lambda path: path.stat().st_mtime)]
    output_s = [time_s for time_s in map(time_of, lines) if time_s is not None]
    return {
        "machine": machine_facts(),
        "exit_code": code,
        "seconds": samples[-1]["at_s"] if samples else 0.0,
        "outputs": len(lines),
        **growth(samples),
        "recorded_files": len(files),
        "recorded_s": round(sum(one.duration_s for one in files), 1),
        "outputs_span_s": round(max(output_s) - min(output_s), 1) if output_s else 0.0,
        "recorded_errors": [one.error for one in files if one.error],
        "holes": holes(files, lines),
        "minutes": by_minute(lines),
        "faults": faults,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A long run with random faults.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--kind", nargs="+", choices=list(DURATIONS_S), default=list(DURATIONS_S), help="of faults")
    parser.add_argument("--folder", type=Path, default=Path("soak"), help="for everything that is written")
    parser.add_argument("--no-plot", dest="plot", action="store_false")
    parser.add_argument("option", nargs="*", help="more options of vr-live, after --")
    return parser.parse_args()


if __name__ == "__main__":
    main()
