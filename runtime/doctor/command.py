"""`vr-live doctor`: the command line of the checks."""

from typing import TYPE_CHECKING, Annotated

import typer

from vr.runtime.options import OPTIONS

if TYPE_CHECKING:
    from vr.runtime.sources.base import Role


def doctor(
    ir: Annotated[str | None, typer.Option("--ir", help=f"Look at it too. {OPTIONS['ir'].help}")] = None,
    rgb: Annotated[str | None, typer.Option("--rgb", help="The same for colour.")] = None,
    ir_16bit: Annotated[bool, typer.Option("--ir-16bit", help=OPTIONS["ir_16bit"].help)] = False,
    seconds: Annotated[float, typer.Option("--seconds", help="Look at sources for so long.", min=0.5, max=600)] = 3.0,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out how fast the models are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Says what works on this machine, what does not, and what to do about it.

    Ends with 1 if something does not work, else with 0.
    """
    from rich.console import Console

    from vr.runtime.doctor.report import examine, show
    from vr.runtime.live_options import RunOptions
    from vr.runtime.logs import logging_to
    from vr.runtime.sources import SourceOptions
    from vr.runtime.sources.quiet import quiet_opencv

    quiet_opencv()
    given: dict[Role, str | None] = {"ir": ir, "rgb": rgb}
    specs: dict[Role, str] = {role: spec for role, spec in given.items() if spec is not None}
    with logging_to(RunOptions(quiet=True)):
        report = examine(specs, seconds, SourceOptions(ir_16bit=ir_16bit), quick)
    if as_json:
        typer.echo(report.as_json())
    else:
        show(report, Console(highlight=False, markup=False))
    raise typer.Exit(int(report.failed))
