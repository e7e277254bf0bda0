"""Pieces that every table of `benchmarks.table` is made of."""

from collections.abc import Sequence
from typing import Any


def markdown_table(head: Sequence[str], text_columns: int, rows: Sequence[Sequence[str]]) -> str:
    """A table whose first `text_columns` are left-aligned, the rest right-aligned."""
    rule = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def machine_line(facts: dict[str, Any]) -> str:
    """What a figure must be read with."""
    runtime = facts.get("onnxruntime") or facts.get("onnxruntime-gpu")
    return (
        f"{facts['cpu']}, load {facts['load_1min']} on {facts['cores']} cores, onnxruntime {runtime}, "
        f"torch {facts.get('torch', 'none')}, commit {facts['commit']}, {facts['date']}"
    )
