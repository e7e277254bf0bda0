"""The README's two plots of `results/speed.json`: frames per second by resolution, and the latency's histogram."""

from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
Row = dict[str, Any]


def write_plots(result: dict[str, Any], folder: Path = DOCS) -> list[Path]:
    """Writes `speed-resolution.png` and `speed-latency.png`, of the suites that are there."""
    import matplotlib

    matplotlib.use("Agg")
    plots = {"whole": ("speed-resolution.png", _draw_resolution), "latency": ("speed-latency.png", _draw_latency)}
    written: list[Path] = []
    for suite, (name, draw) in plots.items():
        if suite in result:
            figure = draw(result[suite]["rows"])
            figure.savefig(folder / name, dpi=110, metadata={"Software": None})
            written.append(folder / name)
    return written


def _draw_resolution(rows: list[Row]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, every), points in _lines(rows).items():
        label = name if every == "1" else f"{name}, --estimate-every {every}"
        axes.loglog(*zip(*points, strict=True), marker="o", label=label, linestyle="-" if every == "1" else "--")
    sizes = {_pixels(row["size"]): row["size"] for row in rows}
    axes.set_xticks(list(sizes), list(sizes.values()), rotation=15)
    axes.minorticks_off()
    rates = (10, 30, 100, 300, 1000)
    axes.set_yticks(rates, [str(rate) for rate in rates])
    axes.axhline(30, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="size of the RGB frames", ylabel="frames per second")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def _lines(rows: list[Row]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        lines.setdefault((row["name"], row["estimate_every"]), []).append((_pixels(row["size"]), row["fps"]))
    return lines


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)


def _draw_latency(rows: list[Row]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        ms = [float(step) for step in row["histogram_ms"]]
        figures = f"median {row['median_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms"
        label = f"{row['name']}, every {row['estimate_every']}: {figures}"
        axes.step(ms, list(row["histogram_ms"].values()), where="post", label=label)
    axes.set_yscale("log")
    axes.set(xlabel="ms from the grab of the RGB frame to the overlay", ylabel="frames per 0.5 ms")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure
