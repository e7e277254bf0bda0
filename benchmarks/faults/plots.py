"""Charts of the two fault suites."""

from pathlib import Path
from typing import Any

from benchmarks.faults.kinds import TRANSPORTS
from benchmarks.faults.verdict import RECOVERY_S, verdict_of

Row = dict[str, Any]
_COLOURS = {"http": "tab:blue", "rtsp": "tab:orange", "pipe": "tab:green", "file": "tab:gray"}
_NEVER_S = 15.0


def draw_recoveries(rows: list[Row], path: Path) -> None:
    """Every recovery as a dot, by fault and camera; those that never came at the right edge."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    measured = [row for row in rows if verdict_of(row).median_s is not None]
    names = list(dict.fromkeys(f"{row['kind']} {row['camera']}" for row in measured))
    figure = Figure(figsize=(8.0, 2.0 + 0.27 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row in measured:
        place = names.index(f"{row['kind']} {row['camera']}") + 0.18 * (TRANSPORTS.index(row["transport"]) - 1.5)
        times_s = [_NEVER_S if value is None else max(0.01, value) for value in row["recovery_s"]]
        axes.plot(times_s, [place] * len(times_s), ".", color=_COLOURS[row["transport"]], alpha=0.6, markersize=5)
    for transport in dict.fromkeys(row["transport"] for row in measured):
        axes.plot([], [], ".", color=_COLOURS[transport], label=transport)
    axes.axvline(RECOVERY_S, color="tab:red", linewidth=0.8, linestyle="--", label=f"{RECOVERY_S:g} s")
    axes.set_xscale("log")
    axes.set_xticks([0.01, 0.1, 1.0, 5.0, _NEVER_S], ["0.01", "0.1", "1", "5", "never"])
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="s from the end of the fault until right pairs are shown again")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw_soak(samples: list[Row], minutes: list[Row], faults: list[Row], path: Path) -> None:
    """Memory, handles, threads and latency over time, with the faults as ticks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 7.0), layout="constrained")
    memory, counts, latency = figure.subplots(3, 1, sharex=True)
    at_min = [sample["at_s"] / 60.0 for sample in samples]
    memory.plot(at_min, [sample["anonymous_mb"] for sample in samples])
    memory.set(ylabel="memory that is no file (MB)", ylim=(0, None))
    for name in ("handles", "threads"):
        counts.plot(at_min, [sample[name] for sample in samples], label=name)
    counts.set(ylabel="count", ylim=(0, None))
    counts.legend(fontsize=8)
    for name in ("p50_ms", "p99_ms"):
        latency.plot([minute["minute"] + 0.5 for minute in minutes], [minute[name] for minute in minutes], label=name)
    latency.set(ylabel="latency (ms)", xlabel="minutes", yscale="log")
    latency.legend(fontsize=8)
    for axes in (memory, counts, latency):
        axes.plot([fault["at_s"] / 60.0 for fault in faults], [0.02] * len(faults), "|", transform=_x_data(axes))
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _x_data(axes: Any) -> Any:
    """Data along x, a share of the height along y."""
    return axes.get_xaxis_transform()
