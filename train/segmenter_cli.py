"""The command `vr-train segmenter`: a network that finds people in the images of one camera."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors
from vr.runtime.contract import parse_size
from vr.runtime.errors import InputError

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with images/ and masks/ (person bright).")]
Out = Annotated[Path, typer.Option(help="Folder to create for the run.", metavar="runs/NAME")]
Network = Annotated[
    str | None, typer.Option(show_default="mobilenet_v3_large", help="mobilenet_v3_large, resnet50 or resnet101.")
]
Weights = Annotated[Path | None, typer.Option(metavar="FILE", help="Begin with torchvision's weights (.pth).")]
Start = Annotated[Path | None, typer.Option(metavar="CHECKPOINT", help="Begin with an earlier run's network (.pt).")]
Size = Annotated[str | None, typer.Option(metavar="HxW", show_default="240x320", help="Network input, px.")]
Epochs = Annotated[int | None, typer.Option(show_default="40", help="Passes over the images.")]
Batch = Annotated[int | None, typer.Option(show_default="8", help="Images per step, at least 2.")]
Rate = Annotated[float | None, typer.Option(show_default="2e-3, fine-tuning: 2e-4", help="Largest step size of AdamW.")]
Dice = Annotated[
    float | None, typer.Option("--dice-weight", show_default="1", help="Weight of Dice beside the cross-entropy.")
]
Augment = Annotated[
    bool | None, typer.Option("--augment/--no-augment", show_default="--augment", help="Change images at random.")
]
Seed = Annotated[int | None, typer.Option(show_default="0", help="Everything random follows from it.")]
Workers = Annotated[int | None, typer.Option(show_default="0", help="Processes that load images.")]
Limit = Annotated[int | None, typer.Option(min=1, show_default="all", help="Use only the first N images.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from OUT/last.pt, with its settings.")]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("segmenter")(segmenter)


def segmenter(
    folder: Folder,
    out: Out = Path("runs/segmenter"),
    backbone: Network = None,
    weights: Weights = None,
    start: Start = None,
    size: Size = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    dice_weight: Dice = None,
    augment: Augment = None,
    seed: Seed = None,
    workers: Workers = None,
    limit: Limit = None,
    device: Device = "auto",
    resume: Resume = False,
) -> None:
    """Train a person segmenter (DeepLabv3) on images with masks: colour, or infrared for a thermal one."""
    for module in ("torch", "torchvision", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.segmenter_session import Request, run_segmenter_session

    given = {"backbone": backbone, "size_hw": None if size is None else _parse_size(size), "epochs": epochs}
    given |= {"batch": batch, "lr": lr, "dice_weight": dice_weight, "augment": augment}
    given |= {"seed": seed, "workers": workers, "limit": limit}
    again = shlex.join(["vr-train", "segmenter", str(folder), "--out", str(out), "--resume"])
    request = Request(folder, out, weights, start, device, resume, again)
    run_segmenter_session(request, {name: value for name, value in given.items() if value is not None})


def _parse_size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise InputError(f"--size: {error}") from error
