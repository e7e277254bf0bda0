"""The command `vr-train match`: the default network, from a folder of aligned pairs, generated scenes, or
both.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vr.train.match_loop import MatchConfig

Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of aligned pairs (DIR/rgb, DIR/ir); none: generated scenes only."),
]
Out = Annotated[Path, typer.Option(help="Folder for checkpoints and figures.")]
Steps = Annotated[int, typer.Option(min=20, help="Optimizer steps.")]
Batch = Annotated[int, typer.Option(min=2, help="Samples per step.")]
Rate = Annotated[float, typer.Option(min=1e-6, max=1.0, help="Peak learning rate.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
Width = Annotated[int, typer.Option(min=8, max=64, help="Channels of the finest level.")]
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
    width: Width = 16,
    workers: Workers = 1,
    resume: Resume = False,
    device: Device = "auto",
) -> None:
    """Train the default network: matches learned features between the cameras. No labels, no overlap
    needed.
    """
    from vr.train.match_loop import MatchConfig

    shares = {"pairs": 0.5, "pseudo": 0.2, "scenes": 0.3} if folders else {"scenes": 1.0}
    config = MatchConfig(steps=steps, batch=batch, lr=lr, seed=seed, width=width, workers=workers, shares=shares)
    _run(config, folders or [], out, resume, device)


def _run(config: "MatchConfig", folders: list[Path], out: Path, resume: bool, device: str) -> None:
    import torch
    from rich import print as show

    from vr.runtime.errors import InputError
    from vr.train.data import Split, list_pairs, split_pairs
    from vr.train.match_loop import MatchTrainer

    splits = [split_pairs(list_pairs(folder), 0.1, 0.1) for folder in folders]
    split = Split(*([pair for s in splits for pair in getattr(s, name)] for name in ("train", "val", "test")))
    if not resume and out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; use --resume to go on, or another --out")
    out.mkdir(parents=True, exist_ok=True)
    place = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu"))
    run = f"match-{time.strftime('%Y%m%d')}-{config.seed}"
    trainer = MatchTrainer(config, split, out, run, place)
    if resume:
        trainer.resume(out / "last.pt")
    trainer.train()
    for name, value in trainer.finish().items():
        show(f"{name}: {value:.3f}")
    show(f"written: {out / 'final.pt'}")
