"""What a run does, in the terminal it was started from, where nobody has a window or a page of it.

Drawn on stderr, so that stdout stays a list of lines; gone once the run has ended, before the report.
"""

import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vr.runtime.controls import Controls
from vr.runtime.preview import HalfBlocks, small_picture
from vr.runtime.sinks.base import Output
from vr.runtime.status import PairStatus, Status

PERIOD_S = 0.4
PREVIEW_COLUMNS, _TEXT_COLUMNS, _GAP = 48, 30, 2
_FEWEST_COLUMNS = 16
_COLOURS = {
    "running": "green",
    "estimated": "green",
    "held": "yellow",
    "starting": "yellow",
    "degraded": "yellow",
    "waiting": "red",
    "stalled": "red",
    "failed": "red",
    "refused": "red",
    "lost": "red",
    "ended": "default",
}


class Watched(Protocol):
    """A pair that is looked at. newest: its last output. length: how many there will be, None if unknown."""

    status: Status
    controls: Controls
    newest: Output | None
    length: int | None


class Dashboard:
    """Draws on `console` while a run lasts, some times a second, from a thread of its own."""

    def __init__(self, console: Console, say_console: Console) -> None:
        """console: stderr's, a terminal. say_console: stdout's, for what is said meanwhile."""
        self._console, self._say_console = console, say_console
        self._live: Live | None = None
        self._shown: dict[int, tuple[Output, RenderableType]] = {}

    def say(self, text: str) -> None:
        """A line on stdout, above what is drawn if both are one terminal."""
        live = self._live
        if live is None or not sys.stdout.isatty():
            self._say_console.print(text)
        else:
            live.console.print(text, soft_wrap=True, highlight=False, markup=False)

    @contextmanager
    def watching(self, pairs: Sequence[Watched]) -> Generator[None]:
        """Draws during the block; the terminal is as before afterwards, whatever ended it."""
        ended = threading.Event()
        live = Live(console=self._console, transient=True, auto_refresh=False, redirect_stdout=False)
        thread = threading.Thread(target=self._run, args=(live, pairs, ended), name="dashboard", daemon=True)
        with live:
            self._live = live
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
                self._live = None

    def _run(self, live: Live, pairs: Sequence[Watched], ended: threading.Event) -> None:
        while not ended.wait(PERIOD_S):
            live.update(self.drawn(pairs), refresh=True)

    def drawn(self, pairs: Sequence[Watched]) -> RenderableType:
        """All pairs, one below the other; previews as far as there is room."""
        return Group(*(self._pair(number, pair, len(pairs)) for number, pair in enumerate(pairs)))

    def _pair(self, number: int, pair: Watched, of: int) -> RenderableType:
        status, newest = pair.status.snapshot(), pair.newest
        text = Group(*facts(pair, status))
        columns = min(PREVIEW_COLUMNS // min(of, 2), self._console.width - _TEXT_COLUMNS - _GAP)
        rows = (self._console.height - 2) // of - 1
        if newest is None or columns < _FEWEST_COLUMNS or rows < 4:
            return text
        table = Table.grid(padding=(0, _GAP))
        table.add_row(self._preview(number, newest, pair, columns, rows), text)
        return table

    def _preview(self, number: int, newest: Output, pair: Watched, columns: int, rows: int) -> RenderableType:
        """Made anew for a new picture alone."""
        before = self._shown.get(number)
        if before is not None and before[0] is newest:
            return before[1]
        picture = small_picture(newest, pair.controls.settings.style, columns, rows)
        drawn: RenderableType = Text("no picture") if picture is None else HalfBlocks(picture)
        self._shown[number] = newest, drawn
        return drawn


def facts(pair: Watched, status: PairStatus) -> list[RenderableType]:
    """Lines on one pair: what it is doing, how fast, what its cameras do, what is wrong."""
    newest, settings = pair.newest, pair.controls.settings
    lines: list[RenderableType] = [Text(status.name, style="bold")] if status.name else []
    lines.append(_line("state", status.state, _COLOURS[status.state]))
    if newest is not None:
        confidence = None if newest.alignment is None else newest.alignment.confidence
        sure = "" if confidence is None else f" {100.0 * confidence:.0f} %"
        lines.append(_line("aligned", f"{newest.state}{sure}", _COLOURS[newest.state]))
    lines.append(_line("fps", f"{status.fps:.1f}"))
    if status.latency_p50_ms is not None and status.latency_p95_ms is not None:
        lines.append(_line("latency", f"{status.latency_p50_ms:.1f} ms, p95 {status.latency_p95_ms:.1f} ms"))
    lines.append(_line("frames", str(status.frames) if pair.length is None else f"{status.frames} of {pair.length}"))
    if pair.length:
        lines.append(ProgressBar(total=pair.length, completed=status.frames, width=28))
    lines += [_line(f"  {state}", str(count)) for state, count in status.states.items()]
    if newest is not None and newest.skew_ms is not None:
        lines.append(_line("skew", f"{newest.skew_ms:+.0f} ms (IR - RGB)"))
    for role, camera in status.cameras.items():
        lines.append(_line(role, f"{camera.state}, {camera.age_s:.1f} s ago", _COLOURS.get(camera.state, "default")))
    lines.append(_line("view", f"{settings.view}, {settings.model}"))
    lines += [Text(f"! {notice}", style="yellow") for notice in status.notices]
    return lines


def _line(name: str, value: str, colour: str = "default") -> Text:
    return Text.assemble((f"{name:<13}", "dim"), (value, colour), no_wrap=True, overflow="ellipsis")
