"""Picture and table of `benchmarks.thesis`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.table import insert_table
from benchmarks.table_parts import machine_line, markdown_table

INPUTS = ("gray", "sobel", "canny", "adaptive", "laplacian", "mask", "mask-many-rigs")
MANY_RIGS = INPUTS[-1]
_LABELS = {"mask": "mask, one rig", MANY_RIGS: "mask, many rigs"}
_COLOURS = {"thesis": "tab:red", "ours": "tab:blue", "ours, refined": "tab:green"}
Report = dict[str, Any]
Figures = dict[str, Any]


def rows_of(report: Report) -> list[tuple[str, str, str, Figures]]:
    """(input, network, way, figures) of every experiment: by INPUTS, the affine network first, then by lambda; refined
    ones behind their network.
    """
    found: list[tuple[str, str, str, Figures]] = []
    for name, one in sorted(report["experiments"].items(), key=_place):
        network, way = network_of(one["settings"]), "ours" if name.endswith("-ours") else "thesis"
        found.append((input_of(name), network, way, one))
        if one.get("refined"):
            found.append((input_of(name), network, "ours, refined", one["refined"]))
    return found


def _place(named: tuple[str, Figures]) -> tuple[int, bool, float, bool]:
    name, one = named
    is_dense = one["settings"]["network"] != "affine"
    return INPUTS.index(input_of(name)), is_dense, one["settings"]["lambda_smooth"], name.endswith("-ours")


def input_of(name: str) -> str:
    """Which of INPUTS the experiment of this name is on."""
    return max((one for one in INPUTS if name.startswith(f"{one}-")), key=len)


def network_of(settings: Figures) -> str:
    """For people."""
    if settings["network"] == "affine":
        return "affine"
    return f"VoxelMorph, lambda {settings['lambda_smooth']:g}"


def render(report: Report) -> str:
    """All rows as a table, and the machine."""
    head = ["input", "network", "trained", "error before, px", "after, px", "< 5 px", "Dice before", "after"]
    head += ["converged", "folds", "refused"]
    cells = [["none", "the middle of the rig, for every pair", "", *_cells(report["rig_itself"])]]
    cells += [[_LABELS.get(mode, mode), network, way, *_cells(one)] for mode, network, way, one in rows_of(report)]
    return f"{markdown_table(head, 3, cells)}\n\n{machine_line(report['machine'])}."


def render_amortised(report: Report, fits: Report) -> str:
    """What becomes of the test pairs of masks, many rigs: by the trained networks alone, and by descent on each pair.

    fits: the report of `benchmarks.masks`, on pairs drawn the same way.
    """
    rows = [row for row in rows_of(report) if row[0] == MANY_RIGS]
    cells = [[f"network: {network}", way, *_apart_and_overlap(one)] for _, network, way, one in rows]
    for loss, way in (("mse (thesis)", "thesis"), ("dice", "ours")):
        groups = {"apart": fits["groups"]["no overlap"][loss], "overlap": fits["groups"]["overlap"][loss]}
        renamed = {name: {"dice": one["dice_after"], "converged": one["converged"]} for name, one in groups.items()}
        cells.append(["descent on each pair: affine", way, *_apart_and_overlap(renamed)])
    head = ["by", "trained", "apart: Dice", "converged", "overlapping: Dice", "converged"]
    return markdown_table(head, 2, cells)


def _apart_and_overlap(one: Figures) -> list[str]:
    groups = (one["apart"], one["overlap"])
    return [cell for group in groups if group for cell in (f"{group['dice']:.2f}", f"{group['converged']:.0%}")]


def update_page(path: Path, report: Report, fits: Report) -> None:
    """Puts the tables between the markers of the page."""
    page = insert_table(path.read_text(encoding="utf-8"), "thesis", render(report))
    page = insert_table(page, "amortised", render_amortised(report, fits))
    path.write_text(page, encoding="utf-8")


def draw(report: Report, path: Path) -> None:
    """Losses by epoch (validation, as shares of the first), and bars of errors and of Dice."""
    figure = Figure(figsize=(18, 14), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.2))[:, 0]
    rows = rows_of(report)
    panels = top.subplots(2, 4).ravel()
    for axes, mode in zip(panels, INPUTS, strict=False):
        _draw_losses(axes, mode, [row for row in rows if row[0] == mode and row[2] != "ours, refined"])
    panels[-1].set_axis_off()
    left, right = bottom.subplots(1, 2)
    one_rig, many_rigs = ([row for row in rows if (row[0] == MANY_RIGS) == is_many] for is_many in (False, True))
    _draw_bars(left, one_rig, ("error_before_px", "error_px"), "one rig: median error, px at 320x240")
    rig_px = report["rig_itself"]["all"]["error_px"]
    left.axvline(rig_px, color="grey", linestyle=":", label="the middle of the rig, for every pair")
    left.legend(fontsize=8)
    _draw_bars(right, many_rigs, ("dice_before", "dice"), "median Dice of the masks, many rigs")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def _cells(one: Figures) -> list[str]:
    total = one["all"]
    folding = "" if total["folding"] is None else f"{total['folding']:.2%}"
    return [
        f"{total['error_before_px']:.1f}",
        "refused" if total["error_px"] is None else f"{total['error_px']:.1f}",
        f"{total['below_5_px']:.0%}",
        f"{total['dice_before']:.2f}",
        f"{total['dice']:.2f}",
        f"{total['converged']:.0%}",
        folding,
        str(total["refused"]),
    ]


def _draw_losses(axes: Axes, mode: str, rows: Sequence[tuple[str, str, str, Figures]]) -> None:
    for _, network, way, one in rows:
        losses = one["losses"][1]
        epochs = [epoch / len(losses) for epoch in range(1, len(losses) + 1)]
        style = "-" if network == "affine" else {"0.01": ":", "0.6": "--", "1": "-."}[network.rsplit(" ", 1)[1]]
        label = f"{network}, {way}"
        axes.plot(epochs, [loss / losses[0] for loss in losses], style, color=_COLOURS[way], label=label)
    axes.set(title=_LABELS.get(mode, mode), xlabel="share of the training", ylabel="validation loss / that of epoch 1")
    axes.grid(alpha=0.3)
    if rows:
        axes.legend(fontsize=7)


def _draw_bars(axes: Axes, rows: Sequence[tuple[str, str, str, Figures]], names: tuple[str, str], label: str) -> None:
    """A bar per row; the line in it is the value without alignment."""
    before, after = names
    for place, (_, _, way, one) in enumerate(rows):
        value = one["all"][after]
        if value is None:
            axes.text(0.0, place, " refused", va="center", color=_COLOURS[way])
        axes.barh(place, value or 0.0, color=_COLOURS[way])
        axes.plot([one["all"][before]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
    axes.set_yticks(
        range(len(rows)), [f"{_LABELS.get(mode, mode)}; {network}; {way}" for mode, network, way, _ in rows], fontsize=8
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"{label} (black: before)")
    axes.grid(alpha=0.3, axis="x")
