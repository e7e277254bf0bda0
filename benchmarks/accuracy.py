"""How far off is the alignment, and does the program know it?

    python -m benchmarks.accuracy DATA [--model NAME=FILE ...] [--out FILE] [--pictures DIR] [--reuse]
    python -m benchmarks.accuracy DATA --quick --out FILE

DATA holds pair folders (rgb/ and ir/ with files of the same stem) at any depth, and optionally landmarks/. Pairs that a
model was trained on are left out: `held_out.json` names, by folder, the stems that no training has seen; a folder that
it does not name is used entirely. Compared are the models inside the package, those of --model, and methods without a
model, everything on one thread:

- protocol_s: known affine transforms on real aligned pairs, all methods; also the half with the darker RGB frames
- wide: a wider range without any border; models and the best hand-made method
- generated, same_modality: pairs whose labels are exact
- hopeless: pairs that must be refused
- landmarks_px: real misaligned pairs, all methods
- video: models through their filter; error, jitter, and recovery after the rig was knocked
- dense: smooth deformations, only where one of the models is dense
- labels: where a model and the best hand-made method agree, and how far that is from the label
- confidence: what share of the answers is right, by what the model says of them

Errors are px at 320x240. Beside FILE, every single result goes to FILE's name with .pairs.jsonl.
"""

import os

# Before numpy is imported: its BLAS reads them once.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.accuracy_methods import Model, classical_methods, embedded_models
from benchmarks.accuracy_sections import SECTIONS, Amount, Bench, Work
from benchmarks.accuracy_trials import Runner, read_trials
from benchmarks.measure import machine_facts, pin_threads
from benchmarks.protocols import HeldOut, held_out_files, is_clip, pair_folders, single_frame_files
from benchmarks.table_accuracy import render_accuracy
from vr.runtime import VrError

RESULTS = Path(__file__).parent / "results" / "accuracy.json"
HELD_OUT = Path(__file__).parent / "held_out.json"
QUICK = Amount(pairs_per_folder=2, scenes=2, clip_draws=1, video_scenes=1)


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = _parser()
    arguments = parser.parse_args(words)
    if arguments.quick and arguments.out == RESULTS:
        parser.error("--quick needs --out: its figures are no result")
    pin_threads(1)
    try:
        work = find_work(arguments.data, arguments.held_out, QUICK if arguments.quick else Amount())
        models = [Model(name, path) for name, path in (embedded_models() | dict(arguments.model)).items()]
        draw = None if arguments.pictures is None else _pictures()
    except (VrError, ValueError, OSError) as error:
        parser.error(str(error))
    report, bench = measure(work, models, arguments.out, arguments.reuse)
    print(render_accuracy(report), *report["notes"], sep="\n")
    if draw is not None:
        draw(arguments.pictures, bench, report)


def find_work(data: Path, held_out_file: Path, amount: Amount) -> Work:
    """The pairs below `data` that no training has seen. Raises ValueError if there are none."""
    held_out: HeldOut = json.loads(held_out_file.read_text(encoding="utf-8"))
    found = [(folder, single_frame_files(folder, held_out)) for folder in pair_folders(data)]
    folders = [(folder, files[: amount.pairs_per_folder]) for folder, files in found if files]
    if not folders:
        raise ValueError(f"{data} has no pairs to measure on; expected folders with rgb/ and ir/ in them")
    clips = {folder.name: held_out_files(folder, held_out) for folder, _ in folders if is_clip(folder)}
    return Work(folders, clips, sorted(path for path in data.rglob("landmarks") if path.is_dir()), amount)


def measure(work: Work, models: list[Model], out: Path, reuse: bool) -> tuple[dict[str, Any], Bench]:
    """Runs all sections and writes the report; returns it, and what pictures need."""
    pairs_file = out.with_suffix(".pairs.jsonl")
    classical, notes = classical_methods()
    runner = Runner(read_trials(pairs_file) if reuse else {})
    report: dict[str, Any] = {"machine": machine_facts(), "models": {model.name: model.facts() for model in models}}
    with Progress() as progress:
        bench = Bench(work, models, classical, runner, progress)
        sections = {name: section(bench) for name, section in SECTIONS.items()}
    report |= {name: figures for name, figures in sections.items() if figures}
    report |= {"notes": notes, "reused": runner.reused}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    runner.write(pairs_file)
    return report, bench


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    named = "another model; NAME of one in the package replaces it"
    parser.add_argument("--model", type=_named_file, action="append", default=[], metavar="NAME=FILE", help=named)
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to write (default {RESULTS.name})")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw every pair and two plots; needs matplotlib")
    parser.add_argument("--quick", action="store_true", help="two pairs of each folder, to see that it works")
    reuse = "take results of methods that are not models from the last run, where pair and code are the same"
    parser.add_argument("--reuse", action="store_true", help=reuse)
    held_out = 'JSON: folder name to the stems that no training has seen, or to "all"'
    parser.add_argument("--held-out", type=Path, default=HELD_OUT, metavar="FILE", help=held_out)
    return parser


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, Path(file)


def _pictures() -> Any:
    """The function that draws; ValueError without matplotlib, before hours are measured."""
    try:
        from benchmarks.accuracy_pictures import draw_all
    except ImportError as error:
        raise ValueError('pictures need matplotlib: pip install "vr-registration[bench]"') from error
    return draw_all


if __name__ == "__main__":
    main()
