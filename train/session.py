"""One call of `vr-train`: checks everything first, then trains, then reports."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import typer

from vr.runtime.errors import InputError
from vr.runtime.stopping import stop_on_signals
from vr.train.checkpoint import Checkpoint
from vr.train.config import MODE_SIMILARITY, TrainConfig
from vr.train.data import check_images, list_pairs
from vr.train.finetune import finetuning_settings, read_base
from vr.train.loop import OnStep, Trainer, fit, measure_test_pairs, resolve_device
from vr.train.memory import explained_lack_of_memory
from vr.train.processes import Processes
from vr.train.progress import progress_bar
from vr.train.report import Reporter, validation_picture, write_figures, write_loss_curve
from vr.train.run_folder import RunFolder


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    given: settings of TrainConfig that are not to have their defaults; "network" at least. resume: go on with the run
    in `out`. finetune: checkpoint to start from. again: the words behind `vr-train` that resume the run.
    """

    folder: Path
    out: Path
    given: dict[str, Any]
    device: str = "auto"
    resume: bool = False
    finetune: Path | None = None
    again: str = ""


def run_session(request: Request) -> dict[str, float] | None:
    """Trains and returns the test figures; None in all processes but the first of a run of `torchrun`.

    Writes into `request.out`: `last.pt`, `best.pt`, `loss_curve.png`, `figures.json`, `tensorboard/`.

    Raises a VrError before anything is written if the input is unusable, and KeyboardInterrupt after
    Ctrl-C, when the state is saved and the command to go on was shown.
    """
    processes = Processes.from_environment()
    device = processes.device_of(resolve_device(request.device))
    with processes.joined(device):
        trainer = _prepare_in_turn(request, device, processes)
        with explained_lack_of_memory(trainer.config.batch), closing(trainer.loader):
            finished = _train(trainer, RunFolder(request.out))
            if not finished:
                _say_how_to_go_on(trainer, request.again)
                raise KeyboardInterrupt
            return _conclude(trainer, RunFolder(request.out)) if processes.is_first else None


def _prepare_in_turn(request: Request, device: torch.device, processes: Processes) -> Trainer:
    """The first process checks everything before the others begin, so that an error is told once."""
    if not processes.is_first:
        processes.wait()
        return _prepare(request, device, processes)
    run_folder = RunFolder(request.out)
    if not request.resume:
        run_folder.check_free()
    trainer = _prepare(request, device, processes)
    check_images(trainer.split.all_pairs)
    if not request.resume:
        run_folder.start()
    _announce(trainer, request.out)
    processes.wait()
    return trainer


def _prepare(request: Request, device: torch.device, processes: Processes) -> Trainer:
    config, start = _configure(request)
    run = f"{request.out.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = Trainer(config, list_pairs(request.folder), device, run, start, processes)
    if request.resume and start is not None:
        trainer.restore(start)
    return trainer


def _configure(request: Request) -> tuple[TrainConfig, Checkpoint | None]:
    """The settings, and the checkpoint to go on from or to start with."""
    given = request.given
    if request.resume:
        if request.finetune is not None:
            raise InputError("--finetune starts a run and --resume goes on with one; leave one of them out")
        saved = RunFolder(request.out).resume()
        # A run from before there was mixed precision goes on without it.
        settings = {"amp": False, **saved.training["settings"]}
        return TrainConfig.from_dict(settings).resumed_with(given), saved
    base = read_base(request.finetune, given["network"]) if request.finetune is not None else None
    if base is not None:
        given = finetuning_settings(base, given)
    similarity = MODE_SIMILARITY.get(given.get("mode", TrainConfig.mode), TrainConfig.similarity)
    return TrainConfig.from_dict({"similarity": similarity, **given}), base


def _train(trainer: Trainer, run_folder: RunFolder) -> bool:
    """False if it was stopped before its end."""
    with stop_on_signals() as stop:
        if not trainer.processes.is_first:
            return fit(trainer, run_folder, stop.is_set, lambda _step, _loss: None, lambda _trainer: None)
        report = Reporter(run_folder, trainer.step, "val/before_after", validation_picture)
        with report, _progress(trainer) as on_step:
            return fit(trainer, run_folder, stop.is_set, on_step, report.on_epoch)


def _say_how_to_go_on(trainer: Trainer, again: str) -> None:
    count = trainer.processes.count
    program = "vr-train" if count == 1 else f"torchrun --nproc-per-node {count} -m vr.train.cli"
    if trainer.processes.is_first:
        typer.echo(f"stopped after step {trainer.step}; go on with: {program} {again}", err=True)


def _announce(trainer: Trainer, out: Path) -> None:
    split, config = trainer.split, trainer.config
    size = f"{config.size_hw[0]}x{config.size_hw[1]}"
    weights = sum(parameter.numel() for parameter in trainer.net.parameters())
    where = f"{trainer.device}{', bfloat16' if trainer.amp else ''}"
    if trainer.processes.count > 1:
        where += f", in {trainer.processes.count} processes"
    typer.echo(
        f"{config.network}, {weights / 1e6:.2f} M weights, {size}, on {where}; "
        f"{len(split.train)} pairs to train, {len(split.val)} to validate, {len(split.test)} to test; "
        f"epoch {trainer.epoch + 1} of {config.epochs}; run {trainer.run} in {out}"
    )


@contextmanager
def _progress(trainer: Trainer) -> Iterator[OnStep]:
    """A bar on stderr over all steps, with the newest loss and validation loss."""
    with progress_bar(trainer.config.epochs * trainer.steps_per_epoch, trainer.step) as advance:

        def on_step(_step: int, loss: float) -> None:
            val = f", val {trainer.history[-1]['val_loss']:.4f}" if trainer.history else ""
            advance(f"epoch {trainer.epoch + 1}, loss {loss:.4f}{val}")

        yield on_step


def _conclude(trainer: Trainer, run_folder: RunFolder) -> dict[str, float]:
    if trainer.epoch < trainer.config.epochs:
        typer.echo(
            f"ended after epoch {trainer.epoch}: no better {trainer.config.stop_on} for {trainer.epochs_since_best}"
        )
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
