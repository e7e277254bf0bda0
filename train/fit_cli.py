"""The command `vr-train fit`: one pair, aligned by descent on a training loss, without a network."""

from pathlib import Path
from typing import Annotated

import typer

from vr.runtime import cli_errors
from vr.runtime.contract import parse_size
from vr.runtime.errors import InputError
from vr.train.config import MODE_SIMILARITY

Ir = Annotated[Path, typer.Argument(help="Infrared image, or its person mask: the one that is moved.")]
Rgb = Annotated[Path, typer.Argument(help="Colour image, or its person mask.")]
Loss = Annotated[
    str | None,
    typer.Option(show_default="ngf, mask: dice", help="ngf, ncc, mi or mind for gray; dice or mse for mask."),
]
Transform = Annotated[str, typer.Option(help="affine, or dense: a smooth flow that does not fold.")]
Mode = Annotated[
    str, typer.Option(help="What is compared: gray, contours by sobel, canny, adaptive or laplacian, or mask files.")
]
Dark = Annotated[bool, typer.Option("--person-dark", help="Masks have person 0 and rest 255, as the thesis's.")]
Size = Annotated[str, typer.Option(metavar="HxW", help="Size to fit at, px.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of descent per scale.")]
Rate = Annotated[float, typer.Option(help="Adam's step size at the start, half heights of the image.")]
Lambda = Annotated[float, typer.Option("--lambda", min=0.0, help="Weight of the smoothness (dense).")]
Out = Annotated[Path, typer.Option(help="Folder to create for matrix or flow, figures and picture.")]


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("fit")(fit)


def fit(
    ir: Ir,
    rgb: Rgb,
    out: Out,
    loss: Loss = None,
    transform: Transform = "affine",
    mode: Mode = "gray",
    person_dark: Dark = False,
    size: Size = "240x320",
    steps: Steps = 120,
    lr: Rate = 0.05,
    lambda_: Lambda = 0.02,
) -> None:
    """Align one pair by descent on a training loss: no network, seconds."""
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    if mode not in MODE_SIMILARITY:
        raise InputError(f"mode {mode!r} is unknown; expected one of {', '.join(MODE_SIMILARITY)}")
    from vr.train.fit import FitConfig
    from vr.train.fit_report import PairFiles, run_fit

    config = FitConfig(transform, loss or MODE_SIMILARITY[mode], steps=steps, lr=lr, lambda_smooth=lambda_)
    try:
        size_hw = parse_size(size)
    except ValueError as error:
        raise InputError(f"--size: {error}") from error
    figures = run_fit(PairFiles(ir, rgb, mode, person_dark), size_hw, config, out)
    typer.echo(f"{config.similarity} loss {figures['loss_before']:.4f} before, {figures['loss_after']:.4f} after")
    if mode == "mask":
        typer.echo(f"Dice {figures['dice_before']:.3f} before, {figures['dice_after']:.3f} after")
    typer.echo(
        f"{transform} transform in {out}, folds at {figures['folding']:.3%} of the pixels; see {out / 'fit.png'}"
    )
