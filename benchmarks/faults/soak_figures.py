"""Figures of a long run: growth, and latency by minute."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.faults.recorded import time_of

Row = dict[str, Any]
WARM_UP_S, SPAN_S = 60.0, 300.0
MOST_GROWTH_MB, MOST_BETWEEN_FILES_S = 10.0, 1.0


def growth(samples: Sequence[Row]) -> Row:
    """Median memory of the first five minutes after warm-up and of the last five (less in a short run).

    Threads and handles are the least in either: opening a camera anew takes some for a while, a leak keeps them.
    """
    if not samples:
        return {}
    end_s = samples[-1]["at_s"]
    warm = [sample for sample in samples if sample["at_s"] >= min(WARM_UP_S, end_s / 4)]
    span_s = min(SPAN_S, (end_s - warm[0]["at_s"]) / 3)
    first = [sample for sample in warm if sample["at_s"] <= warm[0]["at_s"] + span_s]
    last = [sample for sample in warm if sample["at_s"] >= end_s - span_s]
    before_mb, after_mb = (float(np.median([sample["anonymous_mb"] for sample in part])) for part in (first, last))
    figures: Row = {"memory_first_mb": before_mb, "memory_last_mb": after_mb, "span_s": round(span_s, 1)}
    figures["memory_growth_mb"] = round(after_mb - before_mb, 1)
    for name in ("threads", "handles"):
        for which, part in (("first", first), ("last", last)):
            figures[f"{name}_{which}"] = min(sample[name] for sample in part)
        figures[f"{name}_max"] = max(sample[name] for sample in warm)
    return figures


def faults_found(report: Row) -> list[str]:
    """Why the run was not good; empty if it was."""
    holes = report["holes"]
    return [
        *([f"exit code {report['exit_code']}"] if report["exit_code"] else []),
        *([f"memory +{grown:g} MB"] if (grown := report.get("memory_growth_mb", 0.0)) > MOST_GROWTH_MB else []),
        *(
            f"{name} +{report[f'{name}_last'] - report[f'{name}_first']}"
            for name in ("threads", "handles")
            if report.get(f"{name}_last", 0) > report.get(f"{name}_first", 0)
        ),
        *report["recorded_errors"],
        *([f"recording is {short_s:.1f} s short"] if (short_s := _short_s(report)) > 0.0 else []),
        *([f"recording lacks {lost_s:.1f} s"] if (lost_s := holes["in_files_s"] - holes["in_outputs_s"]) > 1.0 else []),
    ]


def _short_s(report: Row) -> float:
    """How much less was recorded than put out; the time between the last picture of a file and the next is in none."""
    between_s = MOST_BETWEEN_FILES_S * report["recorded_files"]
    return report["outputs_span_s"] - report["recorded_s"] - between_s


def by_minute(lines: Sequence[Row]) -> list[Row]:
    """Latency, number of outputs and their states, by minute of the run."""
    minutes: dict[int, list[Row]] = {}
    start_s: float | None = None
    for line in lines:
        time_s = time_of(line)
        if time_s is not None:
            start_s = time_s if start_s is None else start_s
            minutes.setdefault(int((time_s - start_s) // 60), []).append(line)
    return [_minute(number, minutes[number]) for number in sorted(minutes)]


def _minute(number: int, lines: list[Row]) -> Row:
    p50, p99 = np.percentile([line["latency_ms"]["total"] for line in lines], (50, 99))
    states = dict(Counter(line["state"] for line in lines))
    return {
        **{"minute": number, "outputs": len(lines), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)},
        "states": states,
    }
