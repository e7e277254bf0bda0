"""README, pages of docs/ and model cards with the figures of the measured JSON: `python -m benchmarks.table [--check]`.

Rewrites what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` of the README, NAME being speed, accuracy,
ablation, finetune or loader, for each `results/NAME.json` that is there, and likewise the further tables of the
accuracy report whose markers the README has, and the figures in the cards of the embedded models. With `--check` it
only tells (exit code 1) whether a file is behind.
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
from benchmarks.table_speed import render_roofline, render_speed, render_speed_page
from benchmarks.table_training import render_finetune, render_loader

_ROOT = Path(__file__).resolve().parents[1]
README = _ROOT / "README.md"
SPEED_PAGE = _ROOT / "docs" / "speed.md"
CAMERAS_PAGE = _ROOT / "docs" / "cameras.md"
RESULTS = _ROOT / "benchmarks" / "results"
CARDS = _ROOT / "runtime" / "defaults"


def main() -> None:
    """Updates or checks the README."""
    parser = argparse.ArgumentParser(description="Puts the measured figures into the README.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is behind")
    check = parser.parse_args().check
    speed = RESULTS / "speed.json"
    if speed.exists() and not check:
        write_plots(json.loads(speed.read_text(encoding="utf-8")))
    accuracy = RESULTS / "accuracy.json"
    report = json.loads(accuracy.read_text(encoding="utf-8")) if accuracy.exists() else {"protocol_s": {}}
    _write(SPEED_PAGE, update_speed_page(SPEED_PAGE.read_text(encoding="utf-8"), RESULTS), check)
    faults = RESULTS / "faults.json"
    if faults.exists():
        table = render_faults(json.loads(faults.read_text(encoding="utf-8")))
        _write(CAMERAS_PAGE, insert_table(CAMERAS_PAGE.read_text(encoding="utf-8"), "faults", table), check)
    _write(README, update(README.read_text(encoding="utf-8"), RESULTS), check)
    for card in sorted(CARDS.glob("*.md")):
        _write(card, update_card(card.read_text(encoding="utf-8"), report, card.stem), check)


def _write(path: Path, updated: str, check: bool) -> None:
    if check and updated != path.read_text(encoding="utf-8"):
        raise SystemExit(f"{path.name} is behind benchmarks/results; run: python -m benchmarks.table")
    if not check:
        path.write_text(updated, encoding="utf-8")


def update_speed_page(page: str, results: Path) -> str:
    """docs/speed.md with all suites of `results/speed.json`, and `results/roofline.json`."""
    speed_path, roofline_path = results / "speed.json", results / "roofline.json"
    speed = json.loads(speed_path.read_text(encoding="utf-8")) if speed_path.exists() else {}
    if speed:
        page = insert_table(page, "speed", render_speed_page(speed))
    if roofline_path.exists():
        page = insert_table(page, "roofline", render_roofline(json.loads(roofline_path.read_text()), speed))
    return page


def update(readme: str, results: Path) -> str:
    """`readme` with the tables of all result files that are there."""
    for name, render in RENDERERS.items():
        path = results / f"{name}.json"
        if path.exists():
            readme = insert_table(readme, name, render(json.loads(path.read_text(encoding="utf-8"))))
    accuracy = results / "accuracy.json"
    for name, render in OPTIONAL_RENDERERS.items():
        if accuracy.exists() and f"<!-- {name}:begin -->" in readme:
            readme = insert_table(readme, name, render(json.loads(accuracy.read_text(encoding="utf-8"))))
    return readme


RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "speed": render_speed,
    "accuracy": render_accuracy,
    "ablation": render_ablation,
    "finetune": render_finetune,
    "loader": render_loader,
}
OPTIONAL_RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "accuracy-controls": render_controls,
    "accuracy-hopeless": render_hopeless,
    "accuracy-landmarks": render_landmarks,
    "accuracy-video": render_video,
    "accuracy-dense": render_dense,
}
"""Further tables of `results/accuracy.json`, for the markers that the README has."""


def insert_table(readme: str, name: str, table: str) -> str:
    """`readme` with `table` between the markers of `name`. ValueError unless both are there once, in order."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if readme.count(begin) != 1 or readme.count(end) != 1 or readme.index(begin) > readme.index(end):
        raise ValueError(f"the README needs one {begin} followed by one {end}")
    before, rest = readme.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    main()
