"""The progress bar of trainings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

OnProgress = Callable[[int, str], None]


@contextmanager
def step_bar(total: int, done: int) -> Iterator[OnProgress]:
    """A bar on stderr over all steps; yields what takes the number of done steps, and the newest figures in words.

    Shows nothing where stderr is no terminal.
    """
    console = Console(stderr=True)
    columns = TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, TextColumn("{task.fields[figures]}"), console=console, disable=not console.is_terminal)
    with bar as progress:
        task = progress.add_task("train", total=total, completed=done, figures="")
        yield lambda step, figures: progress.update(task, completed=step, figures=figures)
