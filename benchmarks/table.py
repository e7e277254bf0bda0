"""The README, the pages of docs/ and the model cards with the figures of the measured JSON:
`python -m benchmarks.table [--check]`.

Rewrites what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` of any of those pages, NAME being one of
`TABLES`, wherever the page has such markers and the results are there; and the figures in the cards of the embedded
models. With `--check` it only tells (exit code 1) whether a file is behind.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed.plots import write_plots
from benchmarks.table_accuracy import (
    render_ablation,
    render_accuracy,
    render_controls,
    render_dense,
    render_hopeless,
    render_landmarks,
    render_video,
)
from benchmarks.table_cards import update_card
from benchmarks.table_faults import render_faults
from benchmarks.table_models import render_alternatives, render_models
from benchmarks.table_parts import markdown_table
from benchmarks.table_speed import render_roofline, render_speed
from benchmarks.table_training import render_finetune, render_loader
from benchmarks.table_web import render_page, render_web
from vr.runtime.keys import KEY_HELP

Report = dict[str, Any]


def render_keys() -> str:
    """The window's keys: what the program says of itself is no measurement, but stands in a page all the same."""
    return markdown_table(["key", "does"], 2, [[f"`{key}`", text] for key, text in KEY_HELP])


_ROOT = Path(__file__).resolve().parents[1]
RESULTS = _ROOT / "benchmarks" / "results"
CARDS = _ROOT / "runtime" / "defaults"
TABLES: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "speed": (render_speed, ("speed",)),
    "roofline": (render_roofline, ("roofline", "speed")),
    "faults": (render_faults, ("faults",)),
    "accuracy": (render_accuracy, ("accuracy",)),
    "accuracy-controls": (render_controls, ("accuracy",)),
    "accuracy-hopeless": (render_hopeless, ("accuracy",)),
    "accuracy-landmarks": (render_landmarks, ("accuracy",)),
    "accuracy-video": (render_video, ("accuracy",)),
    "accuracy-dense": (render_dense, ("accuracy",)),
    "models": (render_models, ("accuracy", "speed")),
    "alternatives": (render_alternatives, ("accuracy",)),
    "ablation": (render_ablation, ("ablation",)),
    "finetune": (render_finetune, ("finetune",)),
    "loader": (render_loader, ("loader",)),
    "page": (render_page, ("page",)),
    "web": (render_web, ("web",)),
    "keys": (render_keys, ()),
}
"""By the name of its markers: what makes a table, and from which results (`results/NAME.json`)."""


def pages() -> list[Path]:
    """Those that may have tables."""
    return [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]


def main() -> None:
    """Updates or checks all pages."""
    parser = argparse.ArgumentParser(description="Puts the measured figures into the pages and the model cards.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is behind")
    check = parser.parse_args().check
    if not check and (RESULTS / "speed.json").exists():
        write_plots(_read(RESULTS / "speed.json"))
    for page in pages():
        _write(page, update(page.read_text(encoding="utf-8"), RESULTS), check)
    accuracy = RESULTS / "accuracy.json"
    report = _read(accuracy) if accuracy.exists() else {"protocol_s": {}}
    for card in sorted(CARDS.glob("*.md")):
        _write(card, update_card(card.read_text(encoding="utf-8"), report, card.stem), check)


def _write(path: Path, updated: str, check: bool) -> None:
    current = path.read_text(encoding="utf-8")
    if check and updated != current:
        raise SystemExit(f"{path.name} is behind benchmarks/results; run: python -m benchmarks.table")
    if updated != current:
        path.write_text(updated, encoding="utf-8")


def update(page: str, results: Path) -> str:
    """`page` with the tables whose markers it has, and whose results are there. Raises ValueError for lone markers."""
    for name, (render, sources) in TABLES.items():
        paths = [results / f"{source}.json" for source in sources]
        if f"<!-- {name}:" in page and all(path.exists() for path in paths):
            page = insert_table(page, name, render(*map(_read, paths)))
    return page


def _read(path: Path) -> Report:
    return json.loads(path.read_text(encoding="utf-8"))


def insert_table(page: str, name: str, table: str) -> str:
    """`page` with `table` between the markers of `name`. ValueError unless both are there once, in order."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs one {begin} followed by one {end}")
    before, rest = page.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    main()
