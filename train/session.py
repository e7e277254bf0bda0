"""One call of `vr-train`: checks everything first, then trains, then reports."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vr.runtime.stopping import stop_on_signals
from vr.train.checkpoint import Checkpoint
from vr.train.config import MODE_SIMILARITY, TrainConfig
from vr.train.data import check_images, list_pairs
from vr.train.loop import OnStep, Trainer, fit, measure_test_pairs, resolve_device
from vr.train.report import Reporter, write_figures, write_loss_curve
from vr.train.run_folder import RunFolder


def run_session(
    folder: Path, out: Path, given: dict[str, Any], device: str, resume: bool, resume_command: str
) -> dict[str, float]:
    """Trains as `given` says (settings of TrainConfig that differ from the defaults) and returns the test
    figures.

    Writes into `out`: `last.pt`, `best.pt`, `loss_curve.png`, `figures.json`, `tensorboard/`.

    Raises a VrError before anything is written if the input is unusable, and KeyboardInterrupt after
    Ctrl-C, when the state is saved and `resume_command` was shown.
    """
    run_folder = RunFolder(out)
    saved = run_folder.resume() if resume else None
    trainer = _prepare(folder, run_folder, given, device, saved)
    if saved is None:
        run_folder.start()
    _announce(trainer, out)
    with (
        stop_on_signals() as stop,
        Reporter(run_folder, trainer.step) as reporter,
        _progress(trainer) as on_step,
    ):
        finished = fit(trainer, run_folder, stop.is_set, on_step, reporter.on_epoch)
    if not finished:
        typer.echo(f"stopped after step {trainer.step}; go on with: {resume_command}", err=True)
        raise KeyboardInterrupt
    return _conclude(trainer, run_folder)


def _prepare(
    folder: Path, run_folder: RunFolder, given: dict[str, Any], device: str, saved: Checkpoint | None
) -> Trainer:
    config = _configure(given, saved)
    run = f"{run_folder.root.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = Trainer(config, list_pairs(folder), resolve_device(device), run)
    if saved is not None:
        trainer.restore(saved)
    else:
        run_folder.check_free()
    check_images(trainer.split.all_pairs)
    return trainer


def _configure(given: dict[str, Any], saved: Checkpoint | None) -> TrainConfig:
    if saved is None:
        mode = given.get("mode", TrainConfig.mode)
        return TrainConfig.from_dict({"similarity": MODE_SIMILARITY.get(mode, TrainConfig.similarity), **given})
    return TrainConfig.from_dict(saved.training["settings"]).resumed_with(given)


def _announce(trainer: Trainer, out: Path) -> None:
    split, config = trainer.split, trainer.config
    size = f"{config.size_hw[0]}x{config.size_hw[1]}"
    weights = sum(parameter.numel() for parameter in trainer.net.parameters())
    typer.echo(
        f"{config.network}, {weights / 1e6:.2f} M weights, {size}, on {trainer.device}; "
        f"{len(split.train)} pairs to train, {len(split.val)} to validate, {len(split.test)} to test; "
        f"epoch {trainer.epoch + 1} of {config.epochs}; run {trainer.run} in {out}"
    )


@contextmanager
def _progress(trainer: Trainer) -> Iterator[OnStep]:
    """A bar on stderr over all steps, with the newest loss and validation loss; nothing where stderr is no
    terminal.
    """
    console = Console(stderr=True)
    bar = TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    columns = *bar, TextColumn("{task.fields[figures]}")
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        total = trainer.config.epochs * trainer.steps_per_epoch
        task = progress.add_task("train", total=total, completed=trainer.step, figures="")

        def on_step(step: int, loss: float) -> None:
            val = f", val {trainer.history[-1]['val_loss']:.4f}" if trainer.history else ""
            progress.update(task, completed=step, figures=f"epoch {trainer.epoch + 1}, loss {loss:.4f}{val}")

        yield on_step


def _conclude(trainer: Trainer, run_folder: RunFolder) -> dict[str, float]:
    figures = measure_test_pairs(trainer, run_folder)
    write_loss_curve(run_folder.loss_curve, trainer.history)
    write_figures(run_folder.figures, trainer, figures)
    typer.echo(f"test, {len(trainer.split.test)} pairs, best epoch:")
    typer.echo(f"  similarity loss {figures['similarity_before']:.4f} before, {figures['similarity']:.4f} after")
    if trainer.config.network == "voxelmorph":
        typer.echo(f"  the flow folds at {figures['folding']:.3%} of the pixels")
    if trainer.config.augment:
        typer.echo(
            f"  error against the drawn warps, median {figures['error_before_px']:.1f} px before, "
            f"{figures['error_px']:.1f} px after; {figures['far_share']:.0%} above 10 px"
        )
    typer.echo(f"export it: vr-export {run_folder.best} -o model.onnx")
    return figures
