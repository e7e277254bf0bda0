"""`vr-live`: aligns and shows two cameras, streams or recordings. Its options are the table of `vr.runtime.options`."""

from collections.abc import Iterable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from vr.runtime import cli_errors
from vr.runtime.errors import InputError
from vr.runtime.live_options import DEFAULTS, LiveOptions, RunOptions, default_of, run_options, with_values
from vr.runtime.options import OPTIONS, OPTIONS_BY_GROUP, Option

app = typer.Typer(add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from vr.runtime.version import package_version

        typer.echo(f"vr-live {package_version()}")
        raise typer.Exit


def _parameters() -> Iterable[Parameter]:
    """Every option of the table, None where it is not given, so that a file may say it; then `--version`."""
    for group, options in OPTIONS_BY_GROUP.items():
        for option in options:
            if option.pair != "only":
                annotation = Annotated[option.kind | None, _declaration(option, group)]
                yield Parameter(option.key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    version = typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    yield Parameter("version", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, version])


def _declaration(option: Option, group: str) -> Any:
    default = default_of(option)
    name, shown = option.flag, f"{default:g}" if isinstance(default, float) else default
    if option.kind is bool:
        name, shown = f"{option.flag}/--no-{option.flag[2:]}", option.flag[2:] if default else None
    return typer.Option(
        name, help=option.help, metavar=option.metavar, show_default=shown or False, rich_help_panel=group
    )


def live(**given: Any) -> None:
    """Aligns an infrared stream to a colour stream and shows the blend.

    Try it without cameras: vr-live --ir sim: --rgb sim:
    """
    values = {key: value for key, value in given.items() if value is not None and key in OPTIONS}
    pairs = _pairs(values)
    _run(pairs, run_options(values))


live.__signature__ = Signature(list(_parameters()))  # pyright: ignore[reportFunctionMemberAccess]
live.__annotations__ = {}
app.command()(live)


def _pairs(values: Mapping[str, Any]) -> list[LiveOptions]:
    """The options of each pair. Raises InputError unless either one pair or a file of pairs is given."""
    from vr.runtime.pairs import read_pairs

    given = {"--ir": "ir" in values, "--rgb": "rgb" in values}
    if "pairs" in values and any(given.values()):
        raise InputError("--pairs and --ir or --rgb exclude each other; put all pairs into the file")
    missing = [name for name, is_given in given.items() if not is_given]
    if "pairs" not in values and missing:
        raise InputError(f"no {' and no '.join(missing)}; expected a camera, file, folder or sim:, or --pairs FILE")
    options = with_values(DEFAULTS, values)
    return read_pairs(values["pairs"], options) if "pairs" in values else [options]


def _run(pairs: list[LiveOptions], run: RunOptions) -> None:
    from vr.runtime.live import run_pairs
    from vr.runtime.sources.quiet import quiet_opencv
    from vr.runtime.terminal import open_console, print_report, progress_bar

    quiet_opencv()
    console = open_console(run.quiet)
    with progress_bar(run.quiet) as on_frame:
        reports = run_pairs(pairs, console.print, on_frame)
    for options, report in zip(pairs, reports, strict=True):
        print_report(console, report, options.name)


def main() -> None:
    """Entry point of the `vr-live` command."""
    cli_errors.run(app)


if __name__ == "__main__":
    main()
