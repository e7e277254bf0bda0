"""Measures the speed of everything: `python -m benchmarks.speed [--suite NAME ...] [--short]`.

- network: each embedded model on each installed provider, and the thesis's networks in PyTorch eager.
- variants: the default network at other sizes, in half precision and in int8; not in a --short run.
- stages: what decoding, preprocessing, network, filter, warp, blend and encoding cost alone.
- views: what drawing a picture costs in each view, warp included.
- whole: frames in memory to overlays, 320x240 to 4K; the thesis's path and our loop without threads in the same run.
- pairs, threads: several camera pairs in one process; threads of a network against pairs looked at at once.
- process: `vr-live` on files and on `sim:`, with start-up, first overlay and peak memory.
- offline: `vr-live` on a 20-minute pair of files (16,000 frames), every frame estimated; not among the default suites.
- latency: two cameras at 30 frames per second, from the grab to the picture; CPU use.
- soak: the same for `--minutes`, with a recording and transforms written; not among the default suites.

CPU. Each suite is written into the JSON with the machine it ran on, others stay as they were; `benchmarks.table` makes
the README's tables and plots.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import machine_facts, pin_threads
from benchmarks.speed import network, paced, process, stages, variants, whole
from vr.runtime.cores import Shares, available_cores
from vr.runtime.embedded import EMBEDDED, embedded_path

RESULTS = Path(__file__).parents[1] / "results" / "speed.json"
MODELS = ("default", "small")
LONG_SUITES, SLOW_SUITES = ("offline", "soak"), ("variants",)
Row = dict[str, Any]


def main() -> None:
    """Parses, measures, writes, prints."""
    args = _arguments()
    pin_threads(1)
    suites = _suites(args.short, args.minutes)
    result = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    for name in args.suite or [name for name in suites if name not in (LONG_SUITES + SLOW_SUITES * args.short)]:
        print(f"== {name}")
        rows = suites[name]()
        result[name] = {"machine": machine_facts(), "short": args.short, "rows": rows}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for row in rows:
            print(
                "  " + "  ".join(f"{key} {value}" for key, value in row.items() if not isinstance(value, dict | list))
            )


def _suites(short: bool, minutes: float) -> dict[str, Callable[[], list[Row]]]:
    models = {name: embedded_path(name) for name in MODELS}
    shares = Shares(1, available_cores())
    calls, frames = (100, 600) if short else (500, 3000)
    sizes = whole.SIZES if short else whole.SIZES | whole.LARGE_SIZES
    paced_frames = 300 if short else 5000
    soaked = int(minutes * 60 * paced.FPS)
    return {
        "network": lambda: network.network_rows({name: embedded_path(name) for name in EMBEDDED}, 1, calls),
        "variants": lambda: variants.variant_rows(1, calls),
        "stages": lambda: stages.stage_rows(models, calls),
        "views": lambda: stages.view_rows(calls),
        "whole": lambda: whole.whole_rows(models, shares, frames, sizes),
        "pairs": lambda: whole.pairs_rows("small", models["small"], shares, frames // 2, (1, 2, 4, 8)),
        "threads": lambda: whole.threads_rows(models, frames // 2),
        "process": lambda: process.process_rows(models, frames),
        "offline": lambda: process.recordings_rows({"default": models["default"]}, ("1",), 16000),
        "latency": lambda: [
            paced.paced_row(name, path, 1, paced_frames, every)
            for name, path in models.items()
            for every in ("1", "auto")
        ],
        "soak": lambda: [paced.soak_row("default", models["default"], 1, soaked)],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the speed of models, stages, and the whole pipeline.")
    parser.add_argument("--suite", nargs="+", choices=list(_suites(True, 1.0)), help="default: all but soak")
    parser.add_argument("--short", action="store_true", help="fewer repetitions: some minutes in all")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak suite (default 30)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to update (default {RESULTS.name})")
    return parser.parse_args()


if __name__ == "__main__":
    main()
