"""`vr-live`: aligns and shows two cameras, streams or recordings. Its options are the table of `vr.runtime.options`."""

import sys
from collections.abc import Iterable, Sequence
from inspect import Parameter, Signature
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vr.runtime import cli_errors
from vr.runtime.live_options import DEFAULTS, LiveOptions, RunOptions, default_of, run_options, with_values
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS, OPTIONS_BY_GROUP
from vr.runtime.stopping import leave_stuck_threads

if TYPE_CHECKING:
    from vr.runtime.config import PairTable
    from vr.runtime.sources.base import Role

_NO = "no_"
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
            if _is_switched_on(option):
                off = typer.Option(f"--no-{option.flag[2:]}", hidden=True)
                yield Parameter(_NO + option.key, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[bool, off])
    version = typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    yield Parameter("version", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, version])


def _is_switched_on(option: Option) -> bool:
    """Whether its `--no-` form only takes back what a file says, and is no use to most people."""
    return option.kind is bool and option.in_files and not default_of(option)


def _declaration(option: Option, group: str) -> Any:
    default = default_of(option)
    name, shown = option.flag, f"{default:g}" if isinstance(default, float) else default
    if default is True:
        name, shown = f"{option.flag}/--no-{option.flag[2:]}", option.flag[2:]
    return typer.Option(
        name, help=option.help, metavar=option.metavar, show_default=shown or False, rich_help_panel=group
    )


def live(**given: Any) -> None:
    """Aligns an infrared stream to a colour stream and shows the blend.

    Try it without cameras: vr-live --ir sim: --rgb sim:
    """
    from vr.runtime.pairs import gather, live_options

    set_here = {key: value for key, value in given.items() if value is not None and key in OPTIONS}
    set_here |= {
        key.removeprefix(_NO): False for key, taken_back in given.items() if key.startswith(_NO) and taken_back
    }
    values, tables = gather(set_here)
    if given["print_config"]:
        _print_config(values, tables)
    else:
        _run(live_options(values, tables), run_options(values), set_here)


def _print_config(values: dict[str, Any], tables: "list[PairTable]") -> None:
    from vr.runtime.config_text import config_text
    from vr.runtime.pairs import pairs_of

    common = with_values(DEFAULTS, values)
    common.check()
    pairs_of(tables, common)
    typer.echo(config_text(values, tables), nl=False)


live.__signature__ = Signature(list(_parameters()))  # pyright: ignore[reportFunctionMemberAccess]
live.__annotations__ = {}
app.command()(live)


def _run(pairs: list[LiveOptions], run: RunOptions, given: dict[str, Any]) -> None:
    from vr.runtime.live import run_pairs
    from vr.runtime.logs import logging_to, said_and_logged
    from vr.runtime.pairs import literal_secrets
    from vr.runtime.sources.quiet import quiet_opencv
    from vr.runtime.terminal import dashboard_for, open_console, print_report, progress_bar

    quiet_opencv()
    run.check()
    console = open_console(run.quiet)
    dashboard = dashboard_for([spec for pair in pairs for spec in (pair.ir, pair.rgb)], run.quiet, console)
    with logging_to(run, _secrets(pairs)), progress_bar(run.quiet) as on_frame:
        say = said_and_logged(console.print if dashboard is None else dashboard.say)
        for warning in literal_secrets(given):
            say(warning)
        reports = run_pairs(pairs, say, on_frame, run, given, dashboard)
    for options, report in zip(pairs, reports, strict=True):
        print_report(console, report, options.name)


def _secrets(pairs: list[LiveOptions]) -> list[str]:
    """Of all cameras. Raises InputError for a variable that an address names and nobody has set."""
    from vr.runtime.sources.credentials import secrets_of

    roles: tuple[Role, ...] = ("ir", "rgb")
    return [secret for options in pairs for role in roles for secret in secrets_of(getattr(options, role), role)]


def with_implied_values(words: Sequence[str]) -> list[str]:
    """The command line with `--web` as `--web=auto` where no value follows, which typer has no word for."""
    implied = {option.flag: option.implied for option in OPTIONS.values() if option.implied is not None}
    return [
        f"{word}={implied[word]}" if word in implied and following.startswith("-") else word
        for word, following in zip_longest(words, words[1:], fillvalue="-")
    ]


def main() -> None:
    """Entry point of the `vr-live` command."""
    with leave_stuck_threads():
        cli_errors.run(app, with_implied_values(sys.argv[1:]))


if __name__ == "__main__":
    main()
