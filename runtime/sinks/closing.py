"""Closing all sinks of a run, whatever one of them does."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vr.runtime.sinks.base import Sink


@contextmanager
def closing_sinks(sinks: Sequence[Sink], say: Callable[[str], None]) -> Generator[list[Path]]:
    """Closes all sinks at the end, also if one of them fails to; yields the list that then says what they
    left.
    """
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        # The first error is the one to report, not what closing may add to it.
        _close_all(sinks, written, complete=False)
        for path in written:
            say(f"kept what was written so far: {path}")
        raise
    failure = _close_all(sinks, written, complete=True)
    if failure is not None:
        raise failure


def _close_all(sinks: Sequence[Sink], written: list[Path], complete: bool) -> Exception | None:
    """Adds what the sinks left to `written`; returns the first error."""
    failure: Exception | None = None
    for sink in sinks:
        try:
            path = sink.close(complete)
        except Exception as error:
            failure = failure or error
        else:
            written += [] if path is None else [path]
    return failure
