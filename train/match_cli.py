"""The command `vr-train match`: the default network, from a folder of aligned pairs, generated scenes, or
both.
"""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors
from vr.runtime.errors import InputError

Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of aligned pairs (DIR/rgb, DIR/ir); none: generated scenes only."),
]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints and figures.")]
Steps = Annotated[int, typer.Option(min=0, help="Optimizer steps; 0 for the recipe's own.")]
Batch = Annotated[int, typer.Option(min=2, help="Samples per step.")]
Rate = Annotated[float, typer.Option(min=1e-6, max=1.0, help="Peak learning rate.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
Start = Annotated[Path | None, typer.Option(help="Checkpoint of another run to begin with, instead of chance.")]
Finetune = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="Teach this network one rig, in seconds: DIR holds its pairs as they are, not aligned; dozens suffice.",
    ),
]
HoldOut = Annotated[Path | None, typer.Option(help="JSON that names the pairs to keep for the test, by folder name.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make samples.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from OUT/last.pt.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("match")(match)


def match(
    folders: Folders = None,
    out: Out = Path("runs/match"),
    hold_out: HoldOut = None,
    start: Start = None,
    finetune: Finetune = None,
    steps: Steps = 0,
    batch: Batch = 8,
    lr: Rate = 3e-3,
    seed: Seed = 0,
    workers: Workers = 1,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train the default network: matches learned features between the cameras. No labels, no overlap
    needed.
    """
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    if finetune is not None:
        others = {"--start": start, "--hold-out": hold_out, "--resume": resume, "--steps": steps}
        return _finetune(folders or [], finetune, out, seed, others)
    from vr.train.match_loop import GENERATED_ONLY, MatchConfig
    from vr.train.match_session import Request, run_match_session

    config = MatchConfig(batch=batch, lr=lr, seed=seed, workers=workers)
    config = replace(config, steps=steps or config.steps, shares=config.shares if folders else GENERATED_ONLY)
    options = {"--out": out, "--hold-out": hold_out, "--start": start, "--steps": config.steps}
    options |= {"--batch": batch, "--lr": lr, "--seed": seed}
    again = _command([*(folders or []), *(word for pair in options.items() if pair[1] is not None for word in pair)])
    run_match_session(Request(folders or [], hold_out, out, start, device, resume, again), config)


def _finetune(folders: list[Path], start: Path, out: Path, seed: int, unsuitable: dict[str, object]) -> None:
    from vr.train.finetune_session import run_finetune_session

    given = [name for name, value in unsuitable.items() if value]
    if given:
        raise InputError(f"--finetune goes without {', '.join(given)}: it begins with its checkpoint and takes seconds")
    run_finetune_session(folders, start, out, seed)


def _command(words: list[object]) -> str:
    """What to type to go on."""
    return shlex.join(["vr-train", "match", *map(str, words), "--resume"])
