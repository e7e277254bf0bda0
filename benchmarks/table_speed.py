"""The tables of `results/speed.json` and `results/roofline.json`."""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

Row = dict[str, Any]


OVERLAY_PIXELS = 640 * 480
OVERLAY_BYTES_PER_PIXEL = 1 + 3 + 3
"""What an overlay cannot do without: grey IR and colour RGB read, colour written."""


def render_speed(result: dict[str, Any]) -> str:
    """One table per suite, each with the machine that it ran on."""
    parts = [
        f"{text}\n\n{render(result[name]['rows'])}\n\n{machine_line(result[name]['machine'])}."
        for name, (text, render) in SUITES.items()
        if name in result
    ]
    return "\n\n".join(parts)


def render_roofline(roofline: dict[str, Any], speed: dict[str, Any]) -> str:
    """What the networks reach of the processor's peak, where the rest goes, and what the overlay moves."""
    peak = f"{roofline['peak_gflops_per_s']:.0f} GFLOP/s in a large matrix product"
    cells = [_roofline_row(model) for model in roofline["models"]]
    head = ["network", "MFLOP", "ms", "share of peak", "of its convolutions", "nodes", "time by kind of node"]
    text = f"Peak of one thread: {peak}; a large copy moves {roofline['copy_gb_per_s']:.0f} GB/s."
    parts = [
        text,
        markdown_table(head, 1, cells),
        *_layer_table(roofline["models"][0]),
        *_overlay_line(roofline, speed),
    ]
    return "\n\n".join([*parts, f"{machine_line(roofline['machine'])}."])


def _roofline_row(model: dict[str, Any]) -> list[str]:
    share = model["share_of_peak"]
    kinds = ", ".join(f"{op['op']} {_percent(op['share'])}" for op in model["ops"][:6])
    return [
        *(model["name"], f"{sum(model['mflops'].values()):.0f}", f"{model['median_ms']:.1f}"),
        *(_percent(share["network"]), _percent(share["convolutions"]), str(model["nodes"]), kinds),
    ]


def _layer_table(model: dict[str, Any]) -> list[str]:
    """What reaches how much of the peak, node by node; those without a share move data or do little arithmetic each."""
    cells = [
        [
            *(layer["op"], "x".join(map(str, layer["output"])), f"{layer['ms']:.2f}"),
            "" if layer["mflops"] is None else f"{layer['mflops']:.1f}",
            "" if layer["share_of_peak"] is None else _percent(layer["share_of_peak"]),
        ]
        for layer in model.get("layers", [])
    ]
    head = ["node", "output", "ms", "MFLOP", "share of peak"]
    return (
        [f"The longest of {model['nodes']} nodes of {model['name']}:", markdown_table(head, 2, cells)] if cells else []
    )


def _overlay_line(roofline: dict[str, Any], speed: dict[str, Any]) -> list[str]:
    rows = speed.get("stages", {}).get("rows", [])
    ms = {row["stage"]: row["median_ms"] for row in rows if row["name"] == "default" and "median_ms" in row}
    if not {"warp", "blend"} <= set(ms):
        return []
    both_ms, mb = ms["warp"] + ms["blend"], OVERLAY_PIXELS * OVERLAY_BYTES_PER_PIXEL / 1e6
    share = mb / both_ms / roofline["copy_gb_per_s"]
    return [
        f"An overlay of 640x480 cannot do without moving {mb:.1f} MB; warp and blend take {both_ms:.2f} ms for it, "
        f"{mb / both_ms:.1f} GB/s or {_percent(share)} of the copy's bandwidth: interpolation is its limit."
    ]


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _network(rows: list[Row]) -> str:
    head = ["network", "runtime", "height x width", "fps", "median ms", "p95 ms", "times the thesis's", "size MB"]
    cells = [
        [
            *(row["name"], row["runtime"], row["height_x_width"], f"{row['fps']:.0f}", f"{row['median_ms']:.1f}"),
            *(f"{row['p95_ms']:.1f}", f"{row['times_thesis']:.1f}", str(row["size_mb"])),
        ]
        for row in rows
    ]
    return markdown_table(head, 3, cells)


def _variants(rows: list[Row]) -> str:
    cells = [
        [row["precision"], row["height_x_width"], row["runtime"], f"{row['fps']:.0f}", f"{row['median_ms']:.1f}"]
        for row in rows
    ]
    return markdown_table(["precision", "height x width", "runtime", "fps", "median ms"], 3, cells)


def _whole(rows: list[Row]) -> str:
    """One row per way, one column per size."""
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    ways: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        ways.setdefault((row["name"], row["estimate_every"]), {})[row["size"]] = f"{row['fps']:.0f}"
    cells = [[name, every, *(fps.get(size, "") for size in sizes)] for (name, every), fps in ways.items()]
    return markdown_table(["frames per second", "estimate every", *sizes], 2, cells)


def _stages(rows: list[Row]) -> str:
    """One row per model, one column per stage."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    models: dict[str, dict[str, str]] = {}
    for row in rows:
        text = _percent(row["share"]) if "share" in row else f"{row['median_ms']:.2f}"
        models.setdefault(row["name"], {})[row["stage"]] = text
    cells = [[name, *(values[stage] for stage in stages)] for name, values in models.items()]
    return markdown_table(["median ms", *stages], 1, cells)


def _views(rows: list[Row]) -> str:
    """One row per view, one column per palette."""
    palettes = list(dict.fromkeys(row["palette"] for row in rows))
    ms = {(row["name"], row["palette"]): f"{row['median_ms']:.2f}" for row in rows}
    cells = [
        [name, *(ms[name, palette] for palette in palettes)] for name in dict.fromkeys(row["name"] for row in rows)
    ]
    return markdown_table(["view", *(f"palette {palette}, median ms" for palette in palettes)], 1, cells)


def _pairs(rows: list[Row]) -> str:
    cells = [[row["name"], str(row["pairs"]), f"{row['fps']:.0f}", f"{row['fps_per_pair']:.0f}"] for row in rows]
    return markdown_table(["model", "pairs", "fps together", "fps per pair"], 1, cells)


def _threads(rows: list[Row]) -> str:
    cells = [[row["name"], str(row["threads"]), str(row["workers"]), f"{row['fps']:.0f}"] for row in rows]
    return markdown_table(["model", "threads of a network", "pairs at once", "fps"], 1, cells)


def _process(rows: list[Row]) -> str:
    head = ["model", "from", "estimate every", "frames", "fps, start-up included", "first overlay s", "peak MB"]
    cells = [
        [
            *(row["name"], row["source"], row["estimate_every"], str(row["frames"]), f"{row['fps']:.0f}"),
            *("" if row["first_overlay_s"] is None else f"{row['first_overlay_s']:.1f}", f"{row['peak_mb']:.0f}"),
        ]
        for row in rows
    ]
    return markdown_table(head, 3, cells)


def _latency(rows: list[Row]) -> str:
    head = ["model", "estimate every", "frames", "median ms", "p95 ms", "p99 ms", "worst ms", "dropped", "CPU %"]
    cells = [
        [
            *(row["name"], row["estimate_every"], str(row["frames"])),
            *(f"{row[key]:.1f}" for key in ("median_ms", "p95_ms", "p99_ms", "max_ms")),
            *(str(row["dropped_rgb"]), f"{row['cpu_percent']:.0f}"),
        ]
        for row in rows
    ]
    return markdown_table(head, 2, cells)


def _soak(rows: list[Row]) -> str:
    head = ["model", "minutes", "median ms, first minute", "last", "memory MB, second minute", "last"]
    cells = [
        [
            *(row["name"], str(len(row["minutes_median_ms"]))),
            *(f"{row['minutes_median_ms'][at]:.2f}" for at in (0, -1)),
            *(f"{row['resident_mb'][at]:.0f}" for at in (min(1, len(row["resident_mb"]) - 1), -1)),
        ]
        for row in rows
    ]
    return markdown_table(head, 1, cells)


SUITES = {
    "network": ("The networks alone, one thread:", _network),
    "variants": ("The default network at other sizes and precisions, one thread:", _variants),
    "whole": ("Frames in memory to overlays, infrared 640x480, all cores:", _whole),
    "stages": ("Each stage alone at 640x480, one thread:", _stages),
    "views": ("A picture of each view at 640x480, warp included, one thread:", _views),
    "latency": ("Two cameras at 640x480 and 30 frames per second, from the grab to the picture:", _latency),
    "process": ("`vr-live` at 640x480, recording the overlay:", _process),
    "offline": ("A 20-minute pair of files, every frame estimated, the overlay recorded:", _process),
    "pairs": ("Several pairs at 640x480 in one process, as fast as they can:", _pairs),
    "threads": ("More threads of a network, or more pairs of a recording at once:", _threads),
    "soak": ("The same two cameras for longer:", _soak),
}
