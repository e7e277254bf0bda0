"""The tables of `benchmarks.finetune` and `benchmarks.loader`: from their JSON to Markdown."""

from typing import Any

from benchmarks.table_parts import machine_line, markdown_table

_ERRORS = ("single_px_before", "single_px_after", "video_px_before", "video_px_after")


def render_finetune(result: dict[str, Any]) -> str:
    """Mean errors of the frames that were kept out, before and after, by light."""
    head = ["footage", "clips x rigs", "single frame, px before", "after", "video, px before", "after", "nearer"]
    rows = [
        [light, str(one["rows"]), *(f"{one[name]:.2f}" for name in _ERRORS), f"{one['nearer']} of {one['rows']}"]
        for light, one in result["means"].items()
    ]
    return f"{markdown_table(head, 1, rows)}\n\nStarted from {result['start']}. {machine_line(result['machine'])}."


def render_loader(result: dict[str, Any]) -> str:
    """Pairs per second of the loader alone and of training, and the memory of the whole run."""
    head = ["what", "workers", "pairs per s", "slowest", "ms of CPU per pair", "memory MiB"]
    memory = {one["network"]: str(one["proportional_mib"]) for one in result["memory"]}
    rows = [["loader alone", *_rates(one, 0), f"{one['cpu_ms_per_pair']:.1f}", ""] for one in result["loader"]]
    for one in result["training"]:
        rows.append([f"training {one['network']}", *_rates(one, 1), "", memory.get(one["network"], "")])
    what = f"{result['pairs']} pairs of {result['height_x_width']} on disk, batches of {result['batch']}"
    what += "; memory of all processes, what they share counted once"
    return f"{markdown_table(head, 1, rows)}\n\n{what}. {machine_line(result['machine'])}."


def _rates(one: dict[str, Any], digits: int) -> list[str]:
    return [str(one["workers"]), *(f"{one[name]:.{digits}f}" for name in ("pairs_per_s", "slowest"))]
