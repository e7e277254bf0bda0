"""`vr-live`: aligns and shows two cameras, streams or recordings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vr.runtime import cli_errors

if TYPE_CHECKING:
    from vr.runtime.blend import View
    from vr.runtime.live import LiveOptions

_SOURCE_HELP = "camera index, /dev/video*, rtsp:// or http(s):// URL, video file, image folder, glob, or sim:"

app = typer.Typer(add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from vr.runtime.version import package_version

        typer.echo(f"vr-live {package_version()}")
        raise typer.Exit


@app.command()
def live(
    ir: Annotated[str | None, typer.Option(help=f"Infrared frames: {_SOURCE_HELP}.")] = None,
    rgb: Annotated[str | None, typer.Option(help="Colour frames: as --ir.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="TOML file with several camera pairs, in place of --ir and --rgb.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="ONNX file of vr-export, or a built-in model: default, small, clean or dense.")
    ] = None,
    provider: Annotated[str, typer.Option(help="auto, cpu, cuda, tensorrt or openvino.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of the network, and of a picture; default: half the cores."),
    ] = None,
    rig: Annotated[
        str, typer.Option(help="How the cameras move against each other: fixed (bolted), moving (zoom, shake) or free.")
    ] = "fixed",
    search: Annotated[
        str,
        typer.Option(
            help="Where one look is not sure. none: refuse; near: try somewhat turned and scaled views; "
            "wide: also any turn, other lenses and larger shifts."
        ),
    ] = "near",
    mode: Annotated[
        str | None,
        typer.Option(help="mask: finds people in both frames and shows a model of mode mask where they are."),
    ] = None,
    segmenter: Annotated[
        Path | None, typer.Option(help="ONNX file of a person segmenter for the RGB frames; for --mode mask.")
    ] = None,
    ir_segmenter: Annotated[Path | None, typer.Option(help="The same for the IR frames; default: a threshold.")] = None,
    ir_threshold: Annotated[
        str, typer.Option(metavar="auto|N", help="Level above which IR is a person, 0 to 255; for --mode mask.")
    ] = "auto",
    alpha: Annotated[float, typer.Option(help="Share of the IR picture, 0 to 1.")] = 0.35,
    view: Annotated[str, typer.Option(help="overlay, or side-by-side (without alignment | aligned).")] = "overlay",
    frames: Annotated[int | None, typer.Option(help="Stop after so many frames.")] = None,
    no_window: Annotated[bool, typer.Option("--no-window", help="Show nothing on the screen.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Record the picture: NAME.mp4, or a folder for PNG files.")
    ] = None,
    transforms: Annotated[Path | None, typer.Option(help="Write one JSON object per frame into this file.")] = None,
    flows: Annotated[Path | None, typer.Option(help="Write one source map (.npy) per frame into this folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False,
    slop_ms: Annotated[float, typer.Option(help="Largest time between the two frames of a pair, ms.")] = 100.0,
    ir_offset_ms: Annotated[
        float, typer.Option(help="How much later the IR recording started, ms, as vr-train prepare estimates it.")
    ] = 0.0,
    estimate_every: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Ask the network for every N-th pair only, or (auto) as often as there is time for: the pictures in "
            "between are drawn by its newest answer.",
        ),
    ] = "1",
    fps: Annotated[float, typer.Option(help="Frame rate of image folders.")] = 30.0,
    ir_16bit: Annotated[
        bool, typer.Option("--ir-16bit", help="Ask the IR camera for raw 16-bit frames (Y16).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Aligns an infrared stream to a colour stream and shows the blend.

    Try it without cameras: vr-live --ir sim: --rgb sim:
    """
    from vr.runtime.live import LiveOptions
    from vr.runtime.pairs import read_pairs
    from vr.runtime.person_masks import MaskOptions
    from vr.runtime.sources import SourceOptions

    options = LiveOptions(
        ir=ir or "",
        rgb=rgb or "",
        model=model,
        provider=provider,
        threads=threads,
        rig=rig,
        search=search,
        mode=mode,
        masks=MaskOptions(segmenter, ir_segmenter, ir_threshold),
        alpha=alpha,
        view=cast("View", view),
        frames=frames,
        window=not no_window,
        record=record,
        transforms=transforms,
        flows=flows,
        overwrite=overwrite,
        estimate_every=estimate_every,
        slop_ms=slop_ms,
        ir_offset_ms=ir_offset_ms,
        sources=SourceOptions(fps, ir_16bit),
    )
    _check_sources(ir, rgb, pairs)
    _run([options] if pairs is None else read_pairs(pairs, options), quiet)


def _check_sources(ir: str | None, rgb: str | None, pairs: Path | None) -> None:
    """Raises InputError unless either one pair or a file of pairs is given."""
    from vr.runtime.errors import InputError

    given = {"--ir": ir is not None, "--rgb": rgb is not None}
    if pairs is not None and any(given.values()):
        raise InputError("--pairs and --ir or --rgb exclude each other; put all pairs into the file")
    missing = [name for name, is_given in given.items() if not is_given]
    if pairs is None and missing:
        raise InputError(f"no {' and no '.join(missing)}; expected a camera, file, folder or sim:, or --pairs FILE")


def _run(runs: "list[LiveOptions]", quiet: bool) -> None:
    from vr.runtime.live import run_pairs
    from vr.runtime.sources.quiet import quiet_opencv
    from vr.runtime.terminal import open_console, print_report, progress_bar

    quiet_opencv()
    console = open_console(quiet)
    with progress_bar(quiet) as on_frame:
        reports = run_pairs(runs, console.print, on_frame)
    for options, report in zip(runs, reports, strict=True):
        print_report(console, report, options.name)


def main() -> None:
    """Entry point of the `vr-live` command."""
    cli_errors.run(app)


if __name__ == "__main__":
    main()
