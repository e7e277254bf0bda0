"""The command `vr-train dense`: a smooth flow for parallax on top of a trained matching network."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors
from vr.train.match_cli import Batch, Device, Folders, HoldOut, Rate, Resume, Seed, Steps, Workers

Base = Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Checkpoint of vr-train match; it stays as it is.")]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints and figures.")]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("dense")(dense)


def dense(
    checkpoint: Base,
    folders: Folders = None,
    out: Out = Path("runs/dense"),
    hold_out: HoldOut = None,
    steps: Steps = 0,
    batch: Batch = 8,
    lr: Rate = 2e-3,
    seed: Seed = 0,
    workers: Workers = 1,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train a dense head for parallax on top of a matching network, from pairs that are bent on purpose."""
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.dense_loop import DenseConfig
    from vr.train.dense_session import Request, run_dense_session
    from vr.train.match_loop import GENERATED_ONLY

    config = DenseConfig(batch=batch, lr=lr, seed=seed, workers=workers)
    config = replace(config, steps=steps or config.steps, shares=config.shares if folders else GENERATED_ONLY)
    given = [checkpoint, *(folders or []), "--out", out, "--steps", config.steps, "--batch", batch, "--lr", lr]
    given += ["--seed", seed, *(["--hold-out", hold_out] if hold_out else [])]
    again = shlex.join(["vr-train", "dense", *map(str, given), "--resume"])
    run_dense_session(Request(checkpoint, folders or [], hold_out, out, device, resume, again), config)
