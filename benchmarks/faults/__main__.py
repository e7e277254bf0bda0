"""What a live run makes of cameras that misbehave: `python -m benchmarks.faults [--times 20] [--transport http rtsp]`.

For each kind of fault, camera and transport, a live run (the small model, 320x240, 30 frames per second, estimates as
often as the machine can) meets the fault so many times in a row. Every frame carries its scene time in its pixels; a
cell is good if

- right pairs are shown again at most 5 s after the end of every fault;
- no pair is shown whose scene times differ by more than the slop and the transport's tolerance (`limit_ms`);
- the run did not end by itself, and its own counts are what was injected.

A cell is a process of its own; its cameras are others. The JSON is written after every cell, other cells in it stay.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import BY_NAME, KINDS, LIVE, TRANSPORTS
from benchmarks.faults.verdict import Cell, key_of, verdict_of
from benchmarks.measure import machine_facts

RESULTS = Path(__file__).parents[1] / "results" / "faults.json"
_CELL_TIMEOUT_S = 3600.0
Row = dict[str, Any]


def main() -> None:
    """Parses, runs the cells, writes, prints."""
    args = _arguments()
    cells = [
        (kind.name, camera, transport)
        for transport in args.transport
        for kind in KINDS
        for camera in args.camera
        if transport in kind.transports and kind.name in args.kind
    ]
    rows: dict[str, Row] = {}
    if args.out.exists():
        rows = {key_of(row): row for row in json.loads(args.out.read_text(encoding="utf-8"))["cells"]}
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in as_completed([pool.submit(_run, cell, args.times) for cell in cells]):
            row = done.result()
            rows[key_of(row)] = row
            _write(args.out, list(rows.values()))
            print(_line(row), flush=True)
    _print_table(list(rows.values()))
    if args.plot:
        from benchmarks.faults.plots import draw_recoveries

        draw_recoveries(list(rows.values()), args.out.with_suffix(".png"))


def _run(cell: Cell, times: int) -> Row:
    command = [sys.executable, "-m", "benchmarks.faults.cell", *cell, "--times", str(times)]
    head = dict(zip(("kind", "camera", "transport"), cell, strict=True)) | {"what": BY_NAME[cell[0]].what}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_CELL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return head | {"crashed": f"not finished after {_CELL_TIMEOUT_S:g} s"}
    if done.returncode:
        return head | {"crashed": f"exit code {done.returncode}: {done.stderr.strip()[-500:]}"}
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def _write(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"machine": machine_facts(), "cells": rows}, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _line(row: Row) -> str:
    return f"{key_of(row)}: {'; '.join(verdict_of(row).reasons) or 'good'}"


def _print_table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("fault", "camera", "transport", "n", "recovery median / worst (s)", "wrong", "counts", "verdict")
    for row in rows:
        table.add_row(*_columns(row))
    Console(width=150).print(table)


def _columns(row: Row) -> Iterator[str]:
    verdict = verdict_of(row)
    yield from (row["kind"], row["camera"], row["transport"], str(row.get("times", 0)))
    yield "" if verdict.median_s is None else f"{verdict.median_s:.2f} / {verdict.worst_s:.2f}"
    yield "" if "wrong" not in row else f"{row['wrong']} of {row['shown']}"
    yield {True: "right", False: "wrong", None: "-"}[row.get("counts_right")]
    yield "; ".join(verdict.reasons) or "good"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Live runs on cameras that misbehave.")
    parser.add_argument("--times", type=int, default=20, help="of each fault in a row (default 20)")
    parser.add_argument("--transport", nargs="+", choices=TRANSPORTS, default=[*LIVE, "file"])
    parser.add_argument("--kind", nargs="+", choices=list(BY_NAME), default=list(BY_NAME))
    parser.add_argument("--camera", nargs="+", choices=("ir", "rgb"), default=["ir", "rgb"])
    parser.add_argument("--jobs", type=int, default=1, help="cells at the same time (default 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to update (default {RESULTS.name})")
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="without the chart beside the JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
