"""`vr-export`: a checkpoint becomes one ONNX file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vr.runtime import cli_errors
from vr.runtime.contract import GraphName, Precision, parse_size
from vr.runtime.errors import InputError

if TYPE_CHECKING:
    from vr.export.parity import OutputParity
    from vr.models.base import RegistrationNet
    from vr.models.segmenter import SegmenterNet

Transform = Literal["affine", "homography"]

app = typer.Typer(add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from vr.runtime.version import package_version

        typer.echo(f"vr-export {package_version()}")
        raise typer.Exit


@app.command()
def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint of vr-train (.pt); with --triton and --build-engine an ONNX file.")
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="ONNX file to write.")] = None,
    graph: Annotated[
        Literal["estimate", "overlay"],
        typer.Option(help="estimate: the transform of a pair. overlay: frames in, blended frames out, for a GPU."),
    ] = "estimate",
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(
            help="fp16 halves the convolutions, for GPUs; grid and warp stay fp32. int8: the widest convolutions of a "
            "matching network in integers, for CPUs."
        ),
    ] = "fp32",
    transform: Annotated[
        Transform | None,
        typer.Option(
            help="homography: refines the affine of a match checkpoint further, for cameras tilted against each other. "
            "Default: what the network was trained for.",
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Network input, HEIGHTxWIDTH; default: as trained.", metavar="HxW")
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Leave height and width of the estimate graph free.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    triton: Annotated[
        Path | None, typer.Option(help="Write a model of NVIDIA Triton into this model repository.", metavar="DIR")
    ] = None,
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="With --triton: let it compute with TensorRT.")] = False,
    build_engine: Annotated[
        bool,
        typer.Option("--build-engine", help="Build the TensorRT engines of vr-live, on the box that will run them."),
    ] = False,
    frames: Annotated[
        str | None,
        typer.Option(help="With --build-engine of an overlay graph: sizes of IR and RGB frames.", metavar="HxW,HxW"),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Exports CHECKPOINT to ONNX, and writes nothing unless onnxruntime gives what PyTorch gives."""
    _check_deployment(output, triton, tensorrt, build_engine, frames)
    if triton is not None:
        return _write_triton(checkpoint, triton, tensorrt)
    if build_engine:
        return _build_engines(checkpoint, frames)
    if output is None:
        raise InputError("-o is missing; expected the name of the ONNX file to write, for example -o model.onnx")
    for module in ("torch", "onnx", "onnxscript"):
        cli_errors.require(module, "export")
    cli_errors.require("onnxruntime", "cpu")
    figures = export_checkpoint(
        checkpoint, output, graph, precision, size, transform=transform, dynamic=dynamic, overwrite=overwrite
    )
    typer.echo(f"wrote {output} ({output.stat().st_size / 1e6:.2f} MB)")
    for one in figures:
        typer.echo(f"  parity {one.describe()}, worst on {one.sample}")


def _check_deployment(
    output: Path | None, triton: Path | None, tensorrt: bool, build_engine: bool, frames: str | None
) -> None:
    """Raises InputError for options that do not go together."""
    if sum([output is not None, triton is not None, build_engine]) > 1:
        raise InputError("-o, --triton and --build-engine are three different things to do; choose one")
    if tensorrt and triton is None:
        raise InputError("--tensorrt is for --triton; vr-live has --provider tensorrt")
    if frames is not None and not build_engine:
        raise InputError("--frames is for --build-engine")


def _write_triton(model: Path, folder: Path, tensorrt: bool) -> None:
    cli_errors.require("onnx", "export")
    from vr.export.triton import write_repository
    from vr.runtime.embedded import model_path

    typer.echo(f"wrote {write_repository(model_path(model), folder, tensorrt)}")


def _build_engines(model: Path, frames: str | None) -> None:
    from vr.export.engines import build_engines
    from vr.runtime.embedded import model_path

    typer.echo(f"engines are built: {build_engines(model_path(model), frames, typer.echo).text}")


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    graph: GraphName,
    precision: Precision,
    size: str | None,
    *,
    transform: Transform | None,
    dynamic: bool,
    overwrite: bool,
) -> "list[OutputParity]":
    """What the command does: load, export, check. Raises children of VrError; see `vr.export.onnx_file`."""
    from rich.console import Console

    from vr.export.onnx_file import check_output, export_onnx
    from vr.export.plan import Plan
    from vr.train import checkpoint as checkpoints

    check_output(output, overwrite)
    loaded = checkpoints.load(checkpoint)
    if loaded.is_segmenter:
        _check_segmenter_options(graph, transform, dynamic, precision)
        return _export_segmenter(loaded.build_segmenter(), loaded.run, output, precision, _size(size))
    net = _with_transform(loaded.build(), transform)
    plan = Plan(graph, precision, _size(size) or net.size_hw, dynamic, loaded.mode, loaded.run)
    with Console(stderr=True).status(f"exporting {net.network} ({graph}, {precision}); a minute or two"):
        return export_onnx(net, plan, output)


def _check_segmenter_options(
    graph: GraphName, transform: Transform | None, dynamic: bool, precision: Precision
) -> None:
    """Raises InputError for options that are for registration networks."""
    given = {"--graph overlay": graph == "overlay", f"--transform {transform}": transform is not None}
    given |= {"--dynamic": dynamic, "--precision int8": precision == "int8"}
    for option in [name for name, is_given in given.items() if is_given]:
        raise InputError(f"{option} is for registration networks; this checkpoint is a person segmenter: leave it out")


def _export_segmenter(
    net: "SegmenterNet", run: str, output: Path, precision: Precision, size_hw: tuple[int, int] | None
) -> "list[OutputParity]":
    from rich.console import Console

    from vr.export.segmenter_file import SegmentPlan, export_segmenter

    plan = SegmentPlan(precision, size_hw or net.size_hw, run)
    with Console(stderr=True).status(f"exporting {net.network} ({precision}); a minute or two"):
        return export_segmenter(net, plan, output)


def _with_transform(net: "RegistrationNet", transform: Transform | None) -> "RegistrationNet":
    """The network, or what gives the other transform. Raises InputError if there is no such thing."""
    from vr.models.homography import HomographyNet
    from vr.models.match import MatchNet

    if transform is None or transform == net.kind:
        return net
    if transform == "homography" and isinstance(net, MatchNet):
        return HomographyNet.around(net).eval()
    raise InputError(
        f"--transform {transform}: a checkpoint of the {net.network} network gives a transform of kind {net.kind}; "
        "a homography can be had of the match network only; leave --transform out"
    )


def _size(text: str | None) -> tuple[int, int] | None:
    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise InputError(f"--size: {error}") from error


def main() -> None:
    """Entry point of the command."""
    cli_errors.run(app)
