"""The commands `vr-train affine` and `vr-train voxelmorph`: the two networks of the thesis, on a folder of pairs.

Both take the same options but for the dense network's own, so their signatures are put together from tables. An option
that is not given stays None here: a resumed run keeps its setting, a new one gets the default of `vr.train.config`.
"""

import shlex
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from vr.runtime import cli_errors
from vr.runtime.contract import parse_size
from vr.runtime.errors import InputError
from vr.train.config import MEASURES, SCHEDULES, TrainConfig

_DEFAULTS = TrainConfig()


def _option(kind: Any, default: object, help_text: str, *names: str, **further: Any) -> Any:
    """An option that is None where it is not given; `default` is what then holds."""
    return Annotated[kind | None, typer.Option(*names, show_default=str(default), help=help_text, **further)]


_FOLDER = Annotated[Path, typer.Argument(metavar="DIR", help="Folder with rgb/ and ir/; same stem, same scene.")]
_OUT = Annotated[Path, typer.Option(help="Folder to create for the run.", metavar="runs/NAME")]
_RUN: dict[str, tuple[Any, Any]] = {
    "device": (Annotated[str, typer.Option(help="auto, cpu or cuda.")], "auto"),
    "resume": (Annotated[bool, typer.Option("--resume", help="Go on from OUT/last.pt, with its settings.")], False),
    "finetune": (
        Annotated[
            Path | None,
            typer.Option(
                metavar="CHECKPOINT",
                help="Start from this network, for your own rig: no warps and a lower rate, unless told otherwise.",
            ),
        ],
        None,
    ),
}
_SETTINGS: dict[str, Any] = {
    "size_hw": _option(str, "240x320", "Network input, px.", "--size", metavar="HxW"),
    "epochs": _option(int, _DEFAULTS.epochs, "Passes over the pairs.", min=1),
    "batch": _option(int, _DEFAULTS.batch, "Pairs per step, of all processes together.", min=1),
    "lr": _option(float, _DEFAULTS.lr, "Adam's learning rate."),
    "schedule": _option(str, _DEFAULTS.schedule, f"Of the learning rate: {', '.join(SCHEDULES)}."),
    "warmup": _option(int, _DEFAULTS.warmup, "Steps in which the learning rate rises to its value.", min=0),
    "clip": _option(float, "none", "Largest norm of the gradient.", min=0.0),
    "ema": _option(
        float, "none", "Decay of an average of the weights, which is validated and exported; 0.999 is usual."
    ),
    "amp": _option(bool, "on for cuda", "Compute the network in bfloat16.", "--amp/--no-amp"),
    "similarity": _option(
        str, "gray: ngf, contours: ncc, mask: dice", "ngf, ncc, mi or mind for pictures; dice or mse for mask."
    ),
    "mode": _option(
        str,
        _DEFAULTS.mode,
        "What the network sees: gray, contours by sobel, canny, adaptive or laplacian, or mask (person bright).",
    ),
    "augment": _option(bool, "--augment", "Warp the IR image by random known affines.", "--augment/--no-augment"),
    "patience": _option(int, "never", "End after so many epochs without a better one.", min=0),
    "stop_on": _option(str, _DEFAULTS.stop_on, f"What tells the best epoch: {' or '.join(MEASURES)}."),
    "save_every": _option(int, _DEFAULTS.save_every, "Steps between two writes of last.pt; 0: epochs only.", min=0),
    "seed": _option(int, _DEFAULTS.seed, "Everything random follows from it.", min=0),
    "workers": _option(int, _DEFAULTS.workers, "Processes that load images (each, with torchrun).", min=0),
    "limit": _option(int, "all", "Use only the first N pairs.", min=1),
}
_DENSE_SETTINGS: dict[str, Any] = {
    "lambda_smooth": _option(float, _DEFAULTS.lambda_smooth, "Weight of the smoothness.", "--lambda", min=0.0),
    "smoothness": _option(str, _DEFAULTS.smoothness, "Penalty on the flow's gradient: l2 or l1."),
    "integration_steps": _option(int, 0, "Squarings of a velocity, so that the flow does not fold; 7 is usual.", min=0),
}


def register(app: typer.Typer) -> None:
    """Adds the two commands to `vr-train`."""
    _add(app, "affine", "Train the thesis's affine network on a folder of pairs.", _SETTINGS)
    dense = {**_SETTINGS, **_DENSE_SETTINGS}
    _add(app, "voxelmorph", "Train the thesis's dense network (VoxelMorph) on a folder of pairs.", dense)


def _add(app: typer.Typer, network: str, help_text: str, settings: dict[str, Any]) -> None:
    def command(folder: Path, out: Path, device: str, resume: bool, finetune: Path | None, **options: Any) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        _train(network, folder, out, given, device, resume, finetune)

    parts = {"folder": (_FOLDER, Parameter.empty), "out": (_OUT, Path("runs") / network)}
    parts |= {name: (option, None) for name, option in settings.items()} | _RUN
    command.__signature__ = Signature(  # pyright: ignore[reportFunctionMemberAccess]
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in parts.items()
        ]
    )
    command.__annotations__ = {}
    app.command(network, help=help_text)(command)


def _train(
    network: str, folder: Path, out: Path, given: dict[str, Any], device: str, resume: bool, finetune: Path | None
) -> None:
    for module in ("torch", "tensorboard", "matplotlib"):
        cli_errors.require(module, "train")
    from vr.train.session import Request, run_session

    if "size_hw" in given:
        given["size_hw"] = _parse_size(given["size_hw"])
    again = f"{network} {shlex.quote(str(folder))} --out {shlex.quote(str(out))} --resume"
    run_session(Request(folder, out, {"network": network, **given}, device, resume, finetune, again))


def _parse_size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise InputError(f"--size: {error}") from error
