"""How `vr-live` talks to a terminal: lines on stdout, a progress bar on stderr."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vr.runtime.dashboard import Dashboard
from vr.runtime.report import LiveReport
from vr.runtime.sources.opening import is_file


def open_console(quiet: bool) -> Console:
    """Stdout, one line per line: no wrapping, no colours that depend on the words."""
    return Console(quiet=quiet, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def progress_bar(quiet: bool) -> Generator[Callable[[int, int | None], None]]:
    """A function to be told frames done and frames in all; draws a bar if stderr is a terminal and the
    length known.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    task = progress.add_task("frames")

    def on_frame(done: int, length: int | None) -> None:
        if length is not None:
            progress.start()
            progress.update(task, completed=done, total=length)

    try:
        yield on_frame
    finally:
        progress.stop()


def dashboard_for(specs: Sequence[str], quiet: bool, console: Console) -> Dashboard | None:
    """Of a run from these sources: none if one is a recording, or stderr no terminal that can be drawn on.

    console: for what is said meanwhile.
    """
    stderr = Console(stderr=True)
    if quiet or not stderr.is_terminal or stderr.is_dumb_terminal or any(is_file(spec) for spec in specs):
        return None
    return Dashboard(stderr, console)


def print_report(console: Console, report: LiveReport, name: str = "") -> None:
    """The summary at the end of a run; `name` of the pair, where there are several."""
    if name:
        console.print(f"pair {name}")
    rows = report.lines()
    width = max(len(heading) for heading, _ in rows)
    for heading, text in rows:
        console.print(f"{heading:<{width}}  {text}")
