"""One call of `vr-train dense`: checks everything first, then trains the head, then reports."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vr.train import checkpoint
from vr.train.dense_loop import DenseConfig, DenseTrainer
from vr.train.loop import resolve_device
from vr.train.match_session import read_split, train_to_end
from vr.train.memory import keep_freed_memory
from vr.train.report import save_figures
from vr.train.run_folder import RunFolder


@dataclass(frozen=True)
class Request:
    """What the user asked for. base: checkpoint of the matching network; the rest as in `vr.train.match_session`."""

    base: Path
    folders: list[Path]
    hold_out: Path | None
    out: Path
    device: str = "auto"
    resume: bool = False
    resume_command: str = ""


def run_dense_session(request: Request, config: DenseConfig) -> dict[str, Any]:
    """Trains the dense head and returns the test figures.

    Writes into `request.out`: `last.pt`, `best.pt`, `loss_curve.png`, `figures.json`, `tensorboard/`. Raises a VrError
    before anything is written if the input is unusable, and KeyboardInterrupt after Ctrl-C, when the state is saved.
    """
    keep_freed_memory()
    run_folder = RunFolder(request.out)
    saved = run_folder.resume() if request.resume else None
    base = checkpoint.load(request.base)
    split = read_split(request.folders, request.hold_out)
    run = f"{request.out.resolve().name}-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = DenseTrainer(config, base, split, run_folder, run, resolve_device(request.device))
    if saved is not None:
        trainer.restore(saved)
    else:
        run_folder.start()
    learned = sum(p.numel() for p in trainer.net.parameters() if p.requires_grad)
    typer.echo(
        f"match-dense on run {base.run}, {learned / 1e6:.2f} M weights to learn, on {trainer.device}; "
        f"{len(split.train)} pairs to train, {len(split.val)} to validate, {len(split.test)} to test; run {trainer.run}"
    )
    typer.echo(f"drawing {config.scenes} generated scenes")
    train_to_end(trainer, request.resume_command)
    return _conclude(trainer)


def _conclude(trainer: DenseTrainer) -> dict[str, Any]:
    figures = trainer.finish()
    save_figures(trainer.folder.figures, {"run": trainer.run, "steps": trainer.step, **figures})
    typer.echo("test, mean error in px: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    typer.echo(f"export it: vr-export {trainer.folder.best} -o dense.onnx")
    return figures
