"""One call of `vr-train match`: checks everything first, then trains, then reports."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from vr.runtime.errors import InputError
from vr.runtime.stopping import stop_on_signals
from vr.train import checkpoint
from vr.train.data import Split, check_images, list_pairs, read_held_out, split_held_out, split_pairs
from vr.train.loop import resolve_device
from vr.train.match_loop import MatchConfig, MatchTrainer
from vr.train.memory import keep_freed_memory
from vr.train.progress import progress_bar
from vr.train.report import save_figures, save_picture
from vr.train.run_folder import RunFolder
from vr.train.step_trainer import OnStep, StepTrainer

VAL_SHARE, TEST_SHARE = 0.1, 0.1
CURVE = re.compile(r"val_(?!median_px$|.*below).*_px(_\d+)?")


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    folders: of aligned pairs; none trains on generated scenes alone. hold_out: JSON file, see
    `vr.train.data.read_held_out`; without one the last tenth of each folder is the test part. start: checkpoint whose
    weights to begin with. resume_command: what to type after an interruption.
    """

    folders: list[Path]
    hold_out: Path | None
    out: Path
    start: Path | None = None
    device: str = "auto"
    resume: bool = False
    resume_command: str = ""


def run_match_session(request: Request, config: MatchConfig) -> dict[str, Any]:
    """Trains the matching network and returns the test figures.

    Writes into `request.out`: `last.pt`, `best.pt` and `small.pt`, `loss_curve.png`, `figures.json`, `tensorboard/`.
    Raises a VrError before anything is written if the input is unusable, and KeyboardInterrupt after Ctrl-C, when the
    state is saved.
    """
    keep_freed_memory()
    run_folder = RunFolder(request.out)
    saved = run_folder.resume() if request.resume else None
    split = read_split(request.folders, request.hold_out)
    run = f"{request.out.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = MatchTrainer(config, split, run_folder, run, resolve_device(request.device))
    if saved is not None:
        trainer.restore(saved)
    else:
        if request.start is not None:
            trainer.start_from(checkpoint.load(request.start).weights)
        run_folder.start()
    typer.echo(
        f"match, {sum(p.numel() for p in trainer.net.parameters()) / 1e6:.2f} M weights, on {trainer.device}; "
        f"{len(split.train)} pairs to train, {len(split.val)} to validate, {len(split.test)} to test; run {trainer.run}"
    )
    typer.echo(f"drawing {config.scenes} generated scenes")
    train_to_end(trainer, request.resume_command)
    return _conclude(trainer)


def train_to_end(trainer: StepTrainer[Any, Any], resume_command: str) -> None:
    """All remaining steps, reported on. Raises KeyboardInterrupt after Ctrl-C, when the state is saved."""
    with stop_on_signals() as stop, _reporting(trainer) as on_step:
        finished = trainer.train(stop.is_set, on_step)
    if not finished:
        typer.echo(f"stopped after step {trainer.step}; go on with: {resume_command}", err=True)
        raise KeyboardInterrupt


def write_curves(path: Path, history: list[dict[str, Any]]) -> None:
    """A PNG of the training loss, and of the errors on validation samples (`val_*_px*`), by step.

    Raises OutputError if it cannot be written.
    """
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1)
    losses = [row for row in history if "loss" in row]
    upper.plot([row["step"] for row in losses], [row["loss"] for row in losses])
    upper.set(xlabel="step", ylabel="training loss")
    rows = [row for row in history if any(name.startswith("val_") for name in row)]
    for name in sorted(name for row in rows[:1] for name in row if CURVE.fullmatch(name)):
        label = name.removeprefix("val_").replace("median_px_", "stage ").removesuffix("_px").replace("_", " ")
        lower.plot([row["step"] for row in rows], [row[name] for row in rows], marker=".", label=label)
    lower.set(xlabel="step", ylabel="error on validation samples, px")
    if lower.lines:
        lower.legend()
    save_picture(figure, path)


@contextmanager
def _reporting(trainer: StepTrainer[Any, Any]) -> Iterator[OnStep]:
    """TensorBoard scalars, the loss curve, and a progress bar on stderr where that is a terminal."""
    writer = SummaryWriter(str(trainer.folder.tensorboard), purge_step=trainer.step)
    with writer, progress_bar(trainer.config.steps, trainer.step) as advance:

        def on_step(trainer: StepTrainer[Any, Any], parts: dict[str, Tensor]) -> None:
            advance(f"loss {parts['loss'].item():.2f}")
            row = trainer.history[-1] if trainer.history else {}
            if row.get("step") == trainer.step:
                for name, value in row.items():
                    writer.add_scalar(f"{trainer.net.network}/{name}", value, trainer.step)
                write_curves(trainer.folder.loss_curve, trainer.history)

        yield on_step


def read_split(folders: list[Path], hold_out: Path | None) -> Split:
    """Each folder is split on its own; no folder gives an empty split (generated scenes only)."""
    if hold_out is None:
        splits = [split_pairs(list_pairs(folder), VAL_SHARE, TEST_SHARE) for folder in folders]
    else:
        held_out = read_held_out(hold_out)
        splits = [split_held_out(folder, held_out, VAL_SHARE) for folder in folders]
    split = Split(*([pair for s in splits for pair in getattr(s, part)] for part in ("train", "val", "test")))
    if folders and not split.train:
        raise InputError(f"{hold_out} holds out every pair of the folders; leave some to train on")
    check_images(split.all_pairs)
    return split


def _conclude(trainer: MatchTrainer) -> dict[str, Any]:
    typer.echo("training done; teaching the judge on pairs that the encoder has not learned from")
    figures = trainer.finish()
    save_figures(trainer.folder.figures, {"run": trainer.run, "steps": trainer.step, **figures})
    typer.echo(
        f"test, {len(trainer.split.test)} pairs: median {figures['median_px']:.2f} px, "
        f"{figures['below_3_px']:.0%} under 3 px, {figures['below_10_px']:.0%} under 10 px; "
        f"{figures['foreign_refused']:.0%} of foreign pairs refused, {figures['good_refused']:.0%} of good ones"
    )
    typer.echo(f"export it: vr-export {trainer.folder.best} -o model.onnx")
    return figures
