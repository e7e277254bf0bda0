"""The progress bar of long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[..., None]


@contextmanager
def progress_bar(total: int, done: int = 0, unit: str = "step", vanishes: bool = False) -> Iterator[Advance]:
    """A bar on stderr; yields what is called after each step, with the newest figures in words if there are any.

    vanishes: leaves nothing on the screen at its end. Shows nothing where stderr is no terminal.
    """
    console = Console(stderr=True)
    columns = TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    parts = *columns, TextColumn("{task.fields[figures]}")
    with Progress(*parts, console=console, transient=vanishes, disable=not console.is_terminal) as progress:
        task = progress.add_task(unit, total=total, completed=done, figures="")
        yield lambda figures="": progress.update(task, advance=1, figures=figures)
