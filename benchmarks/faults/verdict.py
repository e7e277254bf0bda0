"""What is good and what is not about a cell of the matrix."""

import math
from dataclasses import dataclass
from statistics import median
from typing import Any

Row = dict[str, Any]
Cell = tuple[str, str, str]
RECOVERY_S = 5.0
_MORE_HANDLES, _MORE_THREADS, _MORE_MB = 0, 1, 30.0
"""A run may be amid something when it is counted, and its first faults fill caches."""


@dataclass(frozen=True)
class CellVerdict:
    """reasons: why the cell is not good. median_s, worst_s: of the recoveries; an unfinished one is infinite."""

    reasons: list[str]
    median_s: float | None = None
    worst_s: float | None = None


def key_of(row: Row) -> str:
    """The cell's name."""
    return f"{row['kind']} {row['camera']} {row['transport']}"


def verdict_of(row: Row) -> CellVerdict:
    """Holds a row against what it must be."""
    if (why := row.get("crashed") or row.get("skipped")) is not None:
        return CellVerdict([("crashed: " if "crashed" in row else "skipped: ") + why])
    recoveries = [math.inf if value is None else value for value in row["recovery_s"]]
    reasons = [
        *([f"run ended {len(row['deaths'])} times: {row['deaths'][0]}"] if row["deaths"] else []),
        *_about_recovery(recoveries),
        *([_about_wrong(row)] if row["wrong"] else []),
        *([f"{row['unreadable']} damaged pictures shown"] if row["unreadable"] else []),
        *([f"counts {row['counted']}, injected {row['injected']}"] if row["counts_right"] is False else []),
        *_about_resources(row["resources_before"], row["resources_after"]),
    ]
    if not recoveries:
        return CellVerdict(reasons)
    return CellVerdict(reasons, median(recoveries), max(recoveries))


def _about_wrong(row: Row) -> str:
    late_ms = row.get("machine_late_ms_max", 0)
    machine = f" (the machine kept the run waiting, up to {late_ms} ms)" if late_ms else ""
    return f"{row['wrong']} wrong pairs shown, up to {row['skew_ms_max']} ms{machine}"


def _about_recovery(recoveries: list[float]) -> list[str]:
    late = [value for value in recoveries if value > RECOVERY_S]
    return [f"{len(late)} of {len(recoveries)} not recovered in {RECOVERY_S:g} s"] if late else []


def _about_resources(before: dict[str, float], after: dict[str, float]) -> list[str]:
    allowed = {"handles": _MORE_HANDLES, "threads": _MORE_THREADS, "anonymous_mb": _MORE_MB}
    grown = {name: after[name] - before[name] for name in allowed}
    return [f"{name} +{grown[name]:g}" for name, most in allowed.items() if grown[name] > most]
