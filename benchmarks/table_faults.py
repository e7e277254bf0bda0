"""The tables of `benchmarks.faults` and `benchmarks.faults.soak`: from their JSON to Markdown, for docs/cameras.md."""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

Row = dict[str, Any]


def render_faults(result: dict[str, Any]) -> str:
    """One line per kind of fault and transport, both cameras together."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in result["cells"]:
        cells.setdefault((row["kind"], row["transport"]), []).append(row)
    head = ["fault", "what", "over", "times", "recovered", "worst, s", "wrong pairs", "of", "counts"]
    table = markdown_table(head, 3, [_line(rows) for rows in cells.values()])
    return f"{table}\n\n{_summary([row for rows in cells.values() for row in rows])} {machine_line(result['machine'])}."


def _line(rows: list[Row]) -> list[str]:
    first, recoveries = rows[0], [one for row in rows for one in row["recovery_s"]]
    done = [one for one in recoveries if one is not None]
    right = all(row.get("counts_right") in (True, None) for row in rows)
    return [
        *(first["kind"], first["what"], first["transport"], str(len(recoveries)), str(len(done))),
        f"{max(done):.1f}" if done else "",
        *(str(sum(row[name] for row in rows)) for name in ("wrong", "shown")),
        "right" if right else "wrong",
    ]


def _summary(rows: list[Row]) -> str:
    wrong, shown = (sum(row[name] for row in rows) for name in ("wrong", "shown"))
    faults, deaths = sum(len(row["recovery_s"]) for row in rows), sum(len(row["deaths"]) for row in rows)
    return (
        f"{faults} faults, {deaths} runs that died, {wrong} wrong pairs of {shown} shown. Wrong: shown as a pair "
        "without a notice though the two pictures were further apart in time than the slop and the transport's delay."
    )
