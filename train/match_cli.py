"""The command `vr-train match`: the default network, from a folder of aligned pairs, generated scenes, or
both.
"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors

Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of aligned pairs (DIR/rgb, DIR/ir); none: generated scenes only."),
]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints and figures.")]
Steps = Annotated[int, typer.Option(min=20, help="Optimizer steps.")]
Batch = Annotated[int, typer.Option(min=2, help="Samples per step.")]
Rate = Annotated[float, typer.Option(min=1e-6, max=1.0, help="Peak learning rate.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
Width = Annotated[int, typer.Option(min=8, max=64, help="Channels of the finest learned level.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make samples.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from OUT/last.pt.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("match")(match)


def match(
    folders: Folders = None,
    out: Out = Path("runs/match"),
    steps: Steps = 3000,
    batch: Batch = 8,
    lr: Rate = 3e-3,
    seed: Seed = 0,
    width: Width = 32,
    workers: Workers = 1,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train the default network: matches learned features between the cameras. No labels, no overlap
    needed.
    """
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.match_loop import MatchConfig
    from vr.train.match_session import run_match_session

    pairs = folders or []
    shares = MatchConfig().shares if pairs else {"scenes": 1.0}
    config = MatchConfig(steps=steps, batch=batch, lr=lr, seed=seed, width=width, workers=workers, shares=shares)
    given = [*pairs, "--out", out, "--steps", steps, "--batch", batch, "--lr", lr, "--seed", seed]
    again = shlex.join(["vr-train", "match", *map(str, given), "--width", str(width), "--resume"])
    run_match_session(pairs, out, config, device, resume, again)
