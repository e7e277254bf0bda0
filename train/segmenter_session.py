"""One call of `vr-train segmenter`: checks everything first, then trains, then reports."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import typer

from vr.models.segmenter import Backbone, SegmenterNet
from vr.runtime.errors import InputError, ModelError
from vr.runtime.stopping import stop_on_signals
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.loop import resolve_device
from vr.train.memory import keep_freed_memory
from vr.train.progress import progress_bar
from vr.train.report import Reporter, save_figures, write_loss_curve
from vr.train.run_folder import RunFolder
from vr.train.segmenter_config import FINE_TUNING_LR, SegmenterConfig
from vr.train.segmenter_data import check_labelled, list_labelled
from vr.train.segmenter_loop import OnStep, SegmenterTrainer, fit
from vr.train.segmenter_report import PICTURES, look, validation_picture, write_picture

PICTURE = "pictures.png"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    weights: torchvision's state_dict, start: a checkpoint of this command, to begin with; None for random weights.
    resume_command: what to type after an interruption.
    """

    folder: Path
    out: Path
    weights: Path | None = None
    start: Path | None = None
    device: str = "auto"
    resume: bool = False
    resume_command: str = ""


def run_segmenter_session(request: Request, given: dict[str, Any]) -> dict[str, float]:
    """Trains as `given` says (settings of SegmenterConfig that differ from the defaults); returns the test figures.

    Writes into `request.out`: `last.pt`, `best.pt`, `loss_curve.png`, `pictures.png`, `figures.json`, `tensorboard/`.
    Raises a VrError before anything is written if the input is unusable, and KeyboardInterrupt after Ctrl-C, when the
    state is saved and the command to go on was shown.
    """
    keep_freed_memory()
    run_folder = RunFolder(request.out)
    trainer = _prepare(request, run_folder, given)
    if not request.resume:
        run_folder.start()
    _announce(trainer, request.out)
    with (
        stop_on_signals() as stop,
        Reporter(run_folder, trainer.step, "val/image_truth_found", validation_picture) as reporter,
        _progress(trainer) as on_step,
    ):
        finished = fit(trainer, run_folder, stop.is_set, on_step, reporter.on_epoch)
    if not finished:
        typer.echo(f"stopped after step {trainer.step}; go on with: {request.resume_command}", err=True)
        raise KeyboardInterrupt
    return _conclude(trainer, run_folder)


def _prepare(request: Request, run_folder: RunFolder, given: dict[str, Any]) -> SegmenterTrainer:
    saved = _saved(request, run_folder)
    base = _base(request, given) if saved is None else None
    config = SegmenterConfig.from_dict(saved.training["settings"]).resumed_with(given) if saved else _fresh(base, given)
    run = f"{request.out.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = SegmenterTrainer(config, list_labelled(request.folder), resolve_device(request.device), run)
    if saved is not None:
        trainer.restore(saved)
    else:
        run_folder.check_free()
    check_labelled(trainer.split)
    if base is not None:
        trainer.start_from(base, str(request.weights or request.start))
    return trainer


def _saved(request: Request, run_folder: RunFolder) -> Checkpoint | None:
    if not request.resume:
        return None
    if request.weights or request.start:
        raise InputError("--weights and --start begin a run, --resume goes on with one; leave one of them out")
    saved = run_folder.resume()
    # Refuses the checkpoint of another network.
    saved.build_segmenter()
    return saved


def _base(request: Request, given: dict[str, Any]) -> SegmenterNet | None:
    """The network to begin with."""
    if request.weights and request.start:
        raise InputError("--weights and --start are two ways to begin; give one of them")
    if request.start is not None:
        return checkpoint.load(request.start).build_segmenter()
    if request.weights is None:
        return None
    config = SegmenterConfig.from_dict(given)
    net = SegmenterNet(config.size_hw, cast(Backbone, config.backbone))
    try:
        net.start_from(request.weights)
    except (ValueError, OSError) as error:
        raise ModelError(f"--weights: {error}; a checkpoint of vr-train segmenter goes to --start") from error
    return net


def _fresh(base: SegmenterNet | None, given: dict[str, Any]) -> SegmenterConfig:
    """Size and backbone are those of the network to begin with, unless the user says otherwise."""
    if base is None:
        return SegmenterConfig.from_dict(given)
    config = SegmenterConfig.from_dict({"lr": FINE_TUNING_LR, **base.config, **given})
    if config.backbone != base.config["backbone"]:
        raise InputError(
            f"--start holds a {base.config['backbone']}, not the {config.backbone} of --backbone; leave --backbone out"
        )
    return config


def _announce(trainer: SegmenterTrainer, out: Path) -> None:
    split, config = trainer.split, trainer.config
    weights = sum(parameter.numel() for parameter in trainer.net.parameters())
    begins = f", from {trainer.started_from}" if trainer.started_from else ""
    size = f"{config.size_hw[0]}x{config.size_hw[1]}"
    typer.echo(
        f"segmenter on {config.backbone}, {weights / 1e6:.2f} M weights{begins}, {size}, on {trainer.device}; "
        f"{len(split.train)} images to train, {len(split.val)} to validate, {len(split.test)} to test; "
        f"epoch {trainer.epoch + 1} of {config.epochs}; run {trainer.run} in {out}"
    )


@contextmanager
def _progress(trainer: SegmenterTrainer) -> Iterator[OnStep]:
    """A bar on stderr over all steps, with the newest loss and IoU."""
    with progress_bar(trainer.config.epochs * trainer.steps_per_epoch, trainer.step) as advance:

        def on_step(_step: int, loss: float) -> None:
            iou = f", IoU {trainer.history[-1]['val_iou_person']:.3f}" if trainer.history else ""
            advance(f"epoch {trainer.epoch + 1}, loss {loss:.4f}{iou}")

        yield on_step


def _conclude(trainer: SegmenterTrainer, run_folder: RunFolder) -> dict[str, float]:
    best = checkpoint.load(run_folder.best)
    trainer.net.load_state_dict(best.weights)
    figures = trainer.figures("test")
    split = trainer.split
    counts = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    content = {"run": trainer.run, "epochs": trainer.epoch, "best_epoch": best.epoch, "images": counts, **figures}
    save_figures(run_folder.figures, content)
    write_loss_curve(run_folder.loss_curve, trainer.history)
    write_picture(run_folder.root / PICTURE, look(trainer, "test", PICTURES))
    typer.echo(
        f"test, {counts['test']} images, best epoch {best.epoch}: IoU {figures['iou_person']:.3f} of persons, "
        f"{figures['iou_background']:.3f} of the background; look at {run_folder.root / PICTURE}"
    )
    typer.echo(f"export it: vr-export {run_folder.best} -o person.onnx")
    return figures
