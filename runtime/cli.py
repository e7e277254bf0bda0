"""`vr-live`: aligns and shows two cameras, streams or recordings. Its options are the table of `vr.runtime.options`."""

import sys
from collections.abc import Iterable, Sequence
from inspect import Parameter, Signature
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vr.runtime import cli_errors
from vr.runtime.calibration.command import calibrate
from vr.runtime.cli_options import given_of, live_parameters
from vr.runtime.doctor.command import doctor
from vr.runtime.errors import InputError
from vr.runtime.live_options import DEFAULTS, LiveOptions, RunOptions, run_options, with_values
from vr.runtime.options import OPTIONS
from vr.runtime.stopping import leave_stuck_threads

if TYPE_CHECKING:
    from vr.runtime.config import PairTable
    from vr.runtime.sources.base import Role

app = typer.Typer(add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from vr.runtime.version import package_version

        typer.echo(f"vr-live {package_version()}")
        raise typer.Exit


def _parameters() -> Iterable[Parameter]:
    """The context, every option of the table, then `--version`."""
    yield Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    yield from live_parameters()
    version = typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    yield Parameter("version", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, version])


def live(context: typer.Context, **given: Any) -> None:
    """Aligns an infrared stream to a colour stream and shows the blend.

    Try it without cameras: vr-live --ir sim: --rgb sim:
    """
    from vr.runtime.pairs import gather, live_options

    set_here = given_of(given)
    if context.invoked_subcommand is not None:
        _check_alone(context.invoked_subcommand, set_here)
        return
    values, tables = gather(set_here)
    if given["print_config"]:
        _print_config(values, tables)
    else:
        _run(live_options(values, tables), run_options(values), set_here)


def _check_alone(command: str, given: dict[str, Any]) -> None:
    """Raises InputError for options before a subcommand: they are those of the live run."""
    if given:
        flags = ", ".join(OPTIONS[key].flag for key in given)
        raise InputError(
            f"{flags} before {command}: options that stand before it belong to the live run; write them after it "
            f"(vr-live {command} --help lists its own)"
        )


def _print_config(values: dict[str, Any], tables: "list[PairTable]") -> None:
    from vr.runtime.config_text import config_text
    from vr.runtime.pairs import pairs_of

    common = with_values(DEFAULTS, values)
    common.check()
    pairs_of(tables, common)
    typer.echo(config_text(values, tables), nl=False)


live.__signature__ = Signature(list(_parameters()))  # pyright: ignore[reportFunctionMemberAccess]
live.__annotations__ = {}
app.callback(invoke_without_command=True)(live)
app.command("doctor")(doctor)
app.command("calibrate")(calibrate)


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
