"""Once a second: the status file, word to the service manager, a line in the log on a change, what SIGHUP asks for."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from vr.runtime.errors import OutputError
from vr.runtime.loggers import LOG
from vr.runtime.memory import give_back, settle, unsettle
from vr.runtime.notify import Notifier
from vr.runtime.sinks.targets import check_writable, write_whole
from vr.runtime.status import PairStatus, RunState, Status, overall
from vr.runtime.version import package_version

_PERIOD_S = 1.0
_LOG_EVERY_S = 60.0
_TRIM_EVERY_S = 60.0
_JOIN_S = 1.0


class Supervisor:
    """Watches the pairs of a process; `supervised` runs it."""

    def __init__(
        self,
        statuses: Sequence[Status],
        status_file: Path | None = None,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OutputError if the status file cannot be written."""
        if status_file is not None:
            check_writable(status_file.parent)
        self._statuses, self._file, self._notifier, self._clock = statuses, status_file, notifier, clock
        self._start_s = clock()
        self._was_ready = self._was_stopping = False
        self._logged: object = None
        self._logged_s = 0.0

    @property
    def period_s(self) -> float:
        """How often to look: once a second, and twice within the manager's patience."""
        patience_s = None if self._notifier is None else self._notifier.watchdog_s
        return _PERIOD_S if patience_s is None else min(_PERIOD_S, patience_s / 2)

    def end(self, error: Exception | None) -> None:
        """All is over: for pairs that have not ended by themselves it ends with `error`, if there is one."""
        for status in self._statuses:
            status.end(error)
        self.look(is_stopping=True)

    def look(self, is_stopping: bool = False) -> None:
        """Tells everybody how it is now."""
        pairs = [status.snapshot() for status in self._statuses]
        state = overall(pairs)
        self._write(state, pairs)
        self._notify(state, pairs, is_stopping)
        self._log(state, pairs)

    def _write(self, state: RunState, pairs: Sequence[PairStatus]) -> None:
        if self._file is None:
            return
        now = datetime.now(UTC)
        document = {
            "time": now.isoformat(timespec="milliseconds"),
            "unix_s": round(now.timestamp(), 3),
            "pid": os.getpid(),
            "version": package_version(),
            "uptime_s": round(self._clock() - self._start_s, 1),
            "state": state,
            "pairs": [_rounded(asdict(pair)) for pair in pairs],
        }
        try:
            write_whole(self._file, json.dumps(document, indent=1).encode() + b"\n")
        except OutputError as error:
            LOG.warning(str(error))

    def _notify(self, state: RunState, pairs: Sequence[PairStatus], is_stopping: bool) -> None:
        if self._notifier is None:
            return
        fields: dict[str, str | int] = {"STATUS": describe(state, pairs)}
        if is_stopping and not self._was_stopping:
            self._was_stopping = True
            fields["STOPPING"] = 1
        elif not self._was_ready and all(status.is_ready for status in self._statuses):
            self._was_ready = True
            fields["READY"] = 1
        if state != "stalled":
            fields["WATCHDOG"] = 1
        if not self._notifier.send(**fields):
            LOG.warning("the service manager does not take messages at %s", self._notifier.address)

    def _log(self, state: RunState, pairs: Sequence[PairStatus]) -> None:
        """On a change, and once a minute."""
        told = state, [(pair.state, pair.notices, [one.state for one in pair.cameras.values()]) for pair in pairs]
        now_s = self._clock()
        if told != self._logged or now_s - self._logged_s >= _LOG_EVERY_S:
            level = logging.WARNING if state in ("stalled", "waiting") and told != self._logged else logging.INFO
            # By state, so that a repeated one is held back, and a new one is not.
            LOG.log(level, f"status {state}: %s", describe(state, pairs))
            self._logged, self._logged_s = told, now_s


@contextmanager
def supervised(
    supervisor: Supervisor, stop: threading.Event, reopen: threading.Event, reopens: Sequence[Callable[[], None]]
) -> Generator[None]:
    """Runs the supervisor in a thread of its own during the block.

    stop: the run is to end. reopen: files are to be opened again, which `reopens` do; it is cleared then.
    """
    done = threading.Event()

    def watch() -> None:
        trimmed_s, is_settled = time.monotonic(), False
        while not done.is_set():
            supervisor.look(stop.is_set())
            if time.monotonic() - trimmed_s >= _TRIM_EVERY_S:
                trimmed_s = time.monotonic()
                if not is_settled:
                    settle()
                is_settled = True
                give_back()
            if reopen.wait(supervisor.period_s) and not done.is_set():
                reopen.clear()
                _reopen(reopens)

    thread = threading.Thread(target=watch, name="supervisor", daemon=True)
    thread.start()
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
        raise
    finally:
        done.set()
        reopen.set()
        thread.join(_JOIN_S)
        unsettle()
        supervisor.end(failure)


def _reopen(reopens: Sequence[Callable[[], None]]) -> None:
    for one in reopens:
        try:
            one()
        except (OSError, OutputError) as error:
            LOG.error("cannot open a file again: %s", error)
    LOG.info("files are opened again, as SIGHUP asked for")


def describe(state: RunState, pairs: Sequence[PairStatus]) -> str:
    """One line for people: `running, 25.0 fps, latency 12 ms; ir ok, rgb ok`."""
    return "; ".join([state, *(_pair_text(pair) for pair in pairs)]) if len(pairs) > 1 else _pair_text(pairs[0])


def _pair_text(pair: PairStatus) -> str:
    parts = [f"{pair.name}: {pair.state}" if pair.name else pair.state, f"{pair.frames} frames", f"{pair.fps:.1f} fps"]
    if pair.latency_p50_ms is not None:
        parts.append(f"latency p50 {pair.latency_p50_ms:.0f} ms")
    if pair.since_output_s is not None and pair.state in ("waiting", "stalled"):
        parts.append(f"last picture {pair.since_output_s:.0f} s ago")
    parts += [f"{role} {one.state}" for role, one in pair.cameras.items()]
    return ", ".join([*parts, *pair.notices, *([pair.error] if pair.error else [])])


def _rounded(value: Any) -> Any:
    """Figures to three places, all through."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in cast(dict[str, Any], value).items()}
    return value
