"""`vr-live calibrate`: the command line of a calibration."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vr.runtime.cli_options import given_of, some_parameters
from vr.runtime.errors import InputError
from vr.runtime.live_options import DEFAULTS, LiveOptions, RunOptions, with_values
from vr.runtime.option import AUTO

if TYPE_CHECKING:
    from rich.console import Console

    from vr.runtime.calibration.rig_file import RigFiles
    from vr.runtime.calibration.session import Calibration
    from vr.runtime.calibration.watching import Tell

_KEYS = (
    *("ir", "rgb", "fps", "ir_16bit", "ir_gain", "ir_palette", "ir_polarity", "slop_ms", "ir_offset_ms"),
    *("model", "provider", "threads", "rig"),
)
_SECONDS = (2.0, 600.0)
_PANEL = "Calibration"


def _parameters() -> list[Parameter]:
    own: list[tuple[str, Any, Any, Any]] = [
        ("seconds", float, 20.0, typer.Option("--seconds", help="Watch for so long.", rich_help_panel=_PANEL)),
        ("out", Path, Path("rig.toml"), typer.Option("--out", help="TOML file to write.", rich_help_panel=_PANEL)),
        ("overwrite", bool, False, typer.Option("--overwrite", help="Replace it.", rich_help_panel=_PANEL)),
        ("yes", bool, False, typer.Option("--yes", help="Keep the result without asking.", rich_help_panel=_PANEL)),
    ]
    return [
        *some_parameters(_KEYS),
        *(
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])
            for name, kind, default, declared in own
        ),
    ]


def calibrate(**given: Any) -> None:
    """Finds how two cameras stand to each other, and writes rig.toml for them.

    Fix the cameras to each other, let something warm move through the picture, and try it without cameras first:
    vr-live calibrate --ir sim: --rgb sim: --seconds 5. The offset in time is found too, unless --ir-offset-ms is given.
    """
    from vr.runtime.calibration.rig_file import RigFiles, figures, rig_text
    from vr.runtime.calibration.session import calibrate_rig
    from vr.runtime.stopping import Stop, stop_on_signals
    from vr.runtime.terminal import open_console

    values = {key: value for key, value in given_of(given).items() if key in _KEYS}
    options = _options(values, given["seconds"])
    files, console = RigFiles(given["out"], given["overwrite"]), open_console(quiet=False)
    with _prepared(options, values, console), _telling(console) as tell, stop_on_signals() as stop:
        found = calibrate_rig(options, given["seconds"], Stop(stop), tell)
    for heading, text in figures(found):
        console.print(f"{heading:<12} {text}")
    _write(files, found, rig_text(found, values), asks=not given["yes"] and sys.stdin.isatty())


def _options(values: dict[str, Any], seconds: float) -> LiveOptions:
    """Of the pair, with an offset that is looked for. Raises InputError."""
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        raise InputError(f"--seconds is {seconds:g}; expected {_SECONDS[0]:g} to {_SECONDS[1]:g}")
    missing = [f"--{key}" for key in ("ir", "rgb") if key not in values]
    if missing:
        raise InputError(f"no {' and no '.join(missing)}; expected a camera, a recording, or sim:")
    options = with_values(DEFAULTS, {"ir_offset_ms": AUTO, **values})
    options.check()
    return options


@contextmanager
def _prepared(options: LiveOptions, values: dict[str, Any], console: "Console") -> Generator[None]:
    """What a live run sets up too: quiet libraries, and a log without passwords."""
    from vr.runtime.logs import logging_to
    from vr.runtime.pairs import literal_secrets
    from vr.runtime.sources.credentials import secrets_of
    from vr.runtime.sources.quiet import quiet_opencv

    quiet_opencv()
    secrets = [*secrets_of(options.ir, "ir"), *secrets_of(options.rgb, "rgb")]
    for warning in literal_secrets(values):
        console.print(warning)
    with logging_to(RunOptions(), secrets):
        yield


@contextmanager
def _telling(console: "Console") -> "Generator[Tell]":
    """A bar with the hint where there is a terminal, else a line for each new hint."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    errors, said = Console(stderr=True), [""]
    columns = (TextColumn("watching"), BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("", total=1.0)

        def tell(share: float, hint: str) -> None:
            progress.update(task, completed=share, description=hint)
            if not errors.is_terminal and hint not in ("", said[0]):
                said[0] = hint
                console.print(f"{share:>4.0%}  {hint}")

        yield tell


def _write(files: "RigFiles", found: "Calibration", text: str, asks: bool) -> None:
    files.show(found)
    if asks and not _is_kept(files):
        files.forget()
        typer.echo("nothing is kept")
        return
    files.keep(text)
    typer.echo(f"{'written':<12} {files.path} and {files.picture}; next: vr-live --config {files.path}")


def _is_kept(files: "RigFiles") -> bool:
    """Whether a person says so; an end of input counts as no."""
    typer.echo(f"Look at {files.preview}: left without alignment, right aligned.")
    try:
        return typer.confirm(f"Write {files.path}?", default=True)
    except typer.Abort:
        return False


calibrate.__signature__ = Signature(_parameters())  # pyright: ignore[reportFunctionMemberAccess]
calibrate.__annotations__ = {}
