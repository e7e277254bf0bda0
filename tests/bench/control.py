"""Faults in a child process, and the lines on its standard input and output by which they are ordered.

One JSON object per line each way. `{"fault": KIND, "duration_s": S}` begins one, `{"ask": "faults"}` lists all with
what they injected. A child ends when its standard input does, so that none outlives its parent. Standard library
only: the proxy starts fast for it.
"""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Fault:
    """Times are `time.monotonic()`, one clock for all processes. injected: how often it was done."""

    kind: str
    begin_s: float
    end_s: float
    injected: int = 0


class FaultBoard:
    """What is wrong now, and what was."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """now: the clock of the faults; of a file its own."""
        self.now = now
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def begin(self, kind: str, duration_s: float) -> Fault:
        """Starts one at once."""
        return self.plan(kind, self.now(), duration_s)

    def plan(self, kind: str, begin_s: float, duration_s: float) -> Fault:
        """Sets one that starts then."""
        fault = Fault(kind, begin_s, begin_s + duration_s)
        with self._lock:
            self._faults.append(fault)
        return fault

    def active(self, kind: str) -> Fault | None:
        """The fault of this kind that lasts now."""
        now_s = self.now()
        with self._lock:
            return next((f for f in reversed(self._faults) if f.kind == kind and f.begin_s <= now_s < f.end_s), None)

    def number(self, fault: Fault) -> int:
        """How many of its kind came before it."""
        with self._lock:
            return [f for f in self._faults if f.kind == fault.kind].index(fault)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, oldest first."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]


def hurry() -> None:
    """Ahead of other processes, where that is allowed: a camera's own chips do not wait for the machine it serves."""
    with contextlib.suppress(OSError):
        os.nice(-10)


def announce(**facts: Any) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def obey(board: FaultBoard, kinds: tuple[str, ...], closing: Callable[[], None] = lambda: None) -> None:
    """Does what the parent says until it closes our standard input; then the process ends."""
    for line in sys.stdin:
        order = json.loads(line)
        if order.get("ask") == "faults":
            announce(faults=board.listed())
        elif (kind := order.get("fault")) in kinds:
            announce(**asdict(board.begin(kind, float(order["duration_s"]))))
        else:
            announce(error=f"{order} is unknown here; faults: {', '.join(kinds)}")
    closing()
    # Threads that hang in a socket must not keep the process.
    os._exit(0)
