"""The command `vr-train`. It only parses: `vr.train.session` does the work."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from vr.runtime import cli_errors
from vr.runtime.contract import parse_size
from vr.runtime.errors import InputError
from vr.train import dense_cli, fit_cli, match_cli, segmenter_cli
from vr.train.config import TrainConfig
from vr.train.evaluate import cli as evaluate_cli
from vr.train.prepare import cli as prepare_cli

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train networks that align infrared to colour images, without labels.",
)

_DEFAULTS = TrainConfig()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with rgb/ and ir/; same stem, same scene.")]
Out = Annotated[Path, typer.Option(help="Folder to create for the run.", metavar="runs/NAME")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="Network input, px.", show_default="240x320")]
Epochs = Annotated[int | None, typer.Option(min=1, show_default=str(_DEFAULTS.epochs), help="Passes over the pairs.")]
Batch = Annotated[int | None, typer.Option(min=1, show_default=str(_DEFAULTS.batch), help="Pairs per step.")]
Rate = Annotated[float | None, typer.Option(show_default=str(_DEFAULTS.lr), help="Adam's learning rate.")]
Lambda = Annotated[
    float | None,
    typer.Option("--lambda", min=0.0, show_default=str(_DEFAULTS.lambda_smooth), help="Weight of the smoothness."),
]
Smoothness = Annotated[
    str | None,
    typer.Option(show_default=_DEFAULTS.smoothness, help="Penalty on the flow's gradient: l2 or l1."),
]
Similarity = Annotated[
    str | None,
    typer.Option(
        show_default="gray: ngf, contours: ncc, mask: dice",
        help="ngf, ncc, mi or mind for pictures; dice or mse for mask.",
    ),
]
Integration = Annotated[
    int | None,
    typer.Option(min=0, show_default="0", help="Squarings of a velocity, so that the flow does not fold; 7 is usual."),
]
Mode = Annotated[
    str | None,
    typer.Option(
        show_default=_DEFAULTS.mode,
        help="What the network sees: gray, contours by sobel, canny, adaptive or laplacian, or mask (person bright).",
    ),
]
Augment = Annotated[
    bool | None,
    typer.Option("--augment/--no-augment", show_default="--augment", help="Warp the IR image by random known affines."),
]
Seed = Annotated[int | None, typer.Option(min=0, show_default="0", help="Everything random follows from it.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from OUT/last.pt, with its settings.")]
Workers = Annotated[int | None, typer.Option(min=0, show_default="0", help="Processes that load images.")]
Limit = Annotated[int | None, typer.Option(min=1, show_default="all", help="Use only the first N pairs.")]


@app.command()
def affine(
    folder: Folder,
    out: Out = Path("runs/affine"),
    size: Size = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    similarity: Similarity = None,
    mode: Mode = None,
    augment: Augment = None,
    seed: Seed = None,
    device: Device = "auto",
    resume: Resume = False,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Train the thesis's affine network on a folder of pairs."""
    given = {
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "similarity": similarity,
        "mode": mode,
        "augment": augment,
    }
    given |= {"seed": seed, "workers": workers, "limit": limit}
    _train("affine", folder, out, size, given, device, resume)


@app.command()
def voxelmorph(
    folder: Folder,
    out: Out = Path("runs/voxelmorph"),
    size: Size = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    lambda_: Lambda = None,
    smoothness: Smoothness = None,
    integration_steps: Integration = None,
    similarity: Similarity = None,
    mode: Mode = None,
    augment: Augment = None,
    seed: Seed = None,
    device: Device = "auto",
    resume: Resume = False,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Train the thesis's dense network (VoxelMorph) on a folder of pairs."""
    given = {
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "similarity": similarity,
        "mode": mode,
        "augment": augment,
    }
    given |= {
        "seed": seed,
        "workers": workers,
        "limit": limit,
        "lambda_smooth": lambda_,
        "smoothness": smoothness,
        "integration_steps": integration_steps,
    }
    _train("voxelmorph", folder, out, size, given, device, resume)


@app.command("import-thesis")
def import_thesis(
    weights: Annotated[Path, typer.Argument(help="A .safetensors file of the thesis.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint to write; refused if it exists.")],
) -> None:
    """Turn one of the thesis's trained networks into a checkpoint for vr-export."""
    cli_errors.require("torch", "train")
    cli_errors.require("safetensors", "train")
    from vr.train import checkpoint, thesis_weights

    if out.exists():
        raise InputError(f"{out} exists already; name another --out")
    imported = thesis_weights.import_thesis(weights)
    checkpoint.save(out, imported)
    typer.echo(f"{imported.network} network of mode mask, 240x320, written to {out}")


match_cli.register(app)
dense_cli.register(app)
prepare_cli.register(app)
fit_cli.register(app)
evaluate_cli.register(app)
segmenter_cli.register(app)


def main() -> None:
    """Entry point of `vr-train`."""
    cli_errors.run(app)


def _train(
    network: str,
    folder: Path,
    out: Path,
    size: str | None,
    options: dict[str, Any],
    device: str,
    resume: bool,
) -> None:
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.session import run_session

    given = {"network": network, **{name: value for name, value in options.items() if value is not None}}
    if size is not None:
        given["size_hw"] = _parse_size(size)
    again = f"vr-train {network} {shlex.quote(str(folder))} --out {shlex.quote(str(out))} --resume"
    run_session(folder, out, given, device, resume, resume_command=again)


def _parse_size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise InputError(f"--size: {error}") from error
