"""The thesis's three experiments, and the same with its faults repaired: `python -m benchmarks.thesis [--short]`.

L. Barras (EPFL, 2020) trained an affine network and VoxelMorph to align infrared to colour images without labels, from
three inputs: grey levels, contours by four filters, and masks of people. Here both networks are trained on generated
people (`benchmarks.thesis_scenes`), each twice: the thesis's way (squared difference, one scale, nothing moved at
random), and ours (normalised gradients over four scales for levels, Dice over a wide pyramid for inputs of 0 and 1,
velocities instead of flows). All inputs are of one uncalibrated rig, as the thesis's recordings; masks of many rigs
too, half of whose test pairs do not overlap at all, there with random warps. "ours, refined" descends a few steps
further on the same loss, pair by pair, from the affine network's answer (`vr.train.fit`).

Writes `results/thesis.json` after every experiment, and leaves out those that are in it already (remove the file to
measure anew); `docs/thesis.png` and the tables in `docs/thesis.md` at the end. Some 25 minutes on one free thread;
`--short` (2 minutes) shows that it runs, and writes to --work alone.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.measure import machine_facts, pin_threads

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PICTURE, PAGE = (
    _ROOT / "benchmarks" / "results" / "thesis.json",
    _ROOT / "docs" / "thesis.png",
    _ROOT / "docs" / "thesis.md",
)
FITS = RESULTS.with_name("masks.json")
Report = dict[str, Any]


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="hardly any training, to see that everything runs")
    parser.add_argument("--only", default="", metavar="WORD", help="only experiments whose name holds this word")
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "thesis", help="for data sets and networks")
    arguments = parser.parse_args(words)
    pin_threads(1)
    results = arguments.work / "short" if arguments.short else None
    report_path = RESULTS if results is None else results / "thesis.json"
    report = run_all(arguments.work, report_path, arguments.short, arguments.only)
    from benchmarks.thesis_report import draw, update_page

    draw(report, PICTURE if results is None else results / "thesis.png")
    if results is None:
        update_page(PAGE, report, json.loads(FITS.read_text(encoding="utf-8")))


def run_all(work: Path, report_path: Path, is_short: bool, only: str = "") -> Report:
    """Runs what the report at `report_path` lacks, and writes it after each experiment."""
    import torch

    from benchmarks.thesis_rows import FULL, SHORT, Constant, experiments, measure_test_pairs, run_experiment
    from benchmarks.thesis_scenes import write_data_set

    torch.set_num_threads(1)
    budget = SHORT if is_short else FULL
    report: Report = {"machine": machine_facts(), "is_short": is_short, "experiments": {}}
    if report_path.exists():
        report["experiments"] = json.loads(report_path.read_text(encoding="utf-8"))["experiments"]
    runs = work / ("runs-short" if is_short else "runs")
    wanted = [one for one in experiments() if only in one.name and one.name not in report["experiments"]]
    with _progress(len(wanted)) as (on_start, on_epoch):
        for experiment in wanted:
            on_start(experiment.name)
            folder = write_data_set(work, budget.many_rigs if experiment.many_rigs else budget.one_rig)
            report["experiments"][experiment.name] = run_experiment(experiment, budget, folder, runs, on_epoch)
            save(report_path, report)
    report["rig_itself"] = measure_test_pairs(Constant(), write_data_set(work, budget.one_rig))
    save(report_path, report)
    return report


def save(path: Path, report: Report) -> None:
    """Writes the report beside `path`, then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


class _progress:
    """A bar over the experiments; a line per experiment where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._total = total

    def __enter__(self) -> tuple[Callable[[str], None], Callable[[int, int], None]]:
        self._bar.start()
        self._task = self._bar.add_task("thesis", total=self._total, completed=-1)
        return self._on_start, self._on_epoch

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _on_start(self, name: str) -> None:
        self._name = name
        self._bar.advance(self._task)
        if not self._console.is_terminal:
            self._console.print(name)

    def _on_epoch(self, epoch: int, epochs: int) -> None:
        self._bar.update(self._task, description=f"{self._name}, epoch {epoch} of {epochs}")


if __name__ == "__main__":
    main()
