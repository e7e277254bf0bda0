"""The tables of docs/web.md: how soon controls act (`results/page.json`), what the page costs (`results/web.json`)."""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

Report = dict[str, Any]


def render_page(report: Report) -> str:
    """Each control, from the input event to what changes for it, and how many stayed within the bar at every try."""
    rows, bar_ms = report["controls"], report["bar_ms"]
    cells = [[name, str(row["median_ms"]), str(row["max_ms"])] for name, row in rows.items()]
    late = [name for name, row in rows.items() if row["max_ms"] is None or row["max_ms"] > bar_ms]
    told = (
        f"All {len(rows)} controls within {bar_ms} ms at every try" if not late else f"Not always within {bar_ms} ms: "
    )
    tries = len(next(iter(rows.values()))["tries_ms"])
    return "\n\n".join(
        [
            markdown_table(["control", "median, ms", f"slowest of {tries}, ms"], 1, cells),
            f"{told}{', '.join(late)}. {machine_line(report['machine'])}.",
        ]
    )


def render_web(report: Report) -> str:
    """What viewers cost, and an attack."""
    head = ["pictures", "page", "fps", "fps lost", "latency p50, p95, ms", "CPU per frame, ms", "fps of a viewer"]
    rows = [_cost(row) for row in report["medians"]]
    hostile, answers = report["hostile"], report["hostile"]["answers"]
    requests = sum(count for kind in answers.values() for count in kind.values())
    rows.append(_cost({**hostile, "viewers": f"under attack, {requests} requests"}))
    text = f"Of the hostile requests {100 * hostile['refused_share']:.0f} % were answered with 4xx or closed."
    return f"{markdown_table(head, 2, rows)}\n\n{text} {machine_line(report['machine'])}."


def _cost(row: Report) -> list[str]:
    viewers, seen = row["viewers"], row.get("viewer_fps")
    shown = {None: "none", 0: "nobody looks", 1: "1 viewer"}.get(viewers, f"{viewers} viewers")
    lost = round(row.get("fps_lost_percent", 0.0), 1) + 0.0  # no minus before a zero
    return [
        *(row["feed"], viewers if isinstance(viewers, str) else shown, f"{row['fps']:.1f}", f"{lost:.1f} %"),
        *(f"{row['latency_median_ms']:.1f}, {row['latency_p95_ms']:.1f}", f"{row['cpu_ms_per_frame']:.1f}"),
        "" if seen is None else f"{seen:.1f}",
    ]
