"""Options of the command line, made from the table of `vr.runtime.options`."""

from collections.abc import Iterable, Sequence
from inspect import Parameter
from typing import Annotated, Any

import typer

from vr.runtime.live_options import default_of
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS, OPTIONS_BY_GROUP

NO = "no_"
"""Before the key of an option: it takes back what a file says."""


def live_parameters() -> Iterable[Parameter]:
    """Every option of the table, None where it is not given, so that a file may say it."""
    for group, options in OPTIONS_BY_GROUP.items():
        for option in options:
            if option.pair != "only":
                yield parameter(option, group)
            if _is_switched_on(option):
                off = typer.Option(f"--no-{option.flag[2:]}", hidden=True)
                yield Parameter(NO + option.key, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[bool, off])


def some_parameters(keys: Sequence[str]) -> list[Parameter]:
    """Those of the table with these keys, for another command; under their groups."""
    return [
        parameter(option, group)
        for group, options in OPTIONS_BY_GROUP.items()
        for option in options
        if option.key in keys
    ]


def given_of(given: dict[str, Any]) -> dict[str, Any]:
    """By key, what is given on the command line of the options of the table."""
    values = {key: value for key, value in given.items() if value is not None and key in OPTIONS}
    return values | {key.removeprefix(NO): False for key, off in given.items() if key.startswith(NO) and off}


def parameter(option: Option, group: str) -> Parameter:
    """One option as typer takes it, None where it is not given."""
    annotation = Annotated[option.kind | None, _declaration(option, group)]
    return Parameter(option.key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


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
