"""How long this process had to wait for the machine: a wrong pair at such a time says little about the run.

Frames without timestamps of their own (MJPEG) are stamped as they are read; a reader that gets no processor reads late.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

_BEAT_S, _LATE_S = 0.01, 0.05


@dataclass
class Heartbeat:
    """late: times at which a thread that wanted to run every 10 ms ran, and by how much too late, s; from 0.05 s on."""

    late: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    @property
    def late_ms_max(self) -> int:
        """The longest wait."""
        return round(1000.0 * max((late_s for _, late_s in self.late), default=0.0))


@contextmanager
def heartbeat() -> Generator[Heartbeat]:
    """Beats in a thread of its own."""
    beat, stop = Heartbeat(), threading.Event()

    def run() -> None:
        due_s = time.monotonic() + _BEAT_S
        while not stop.wait(max(0.0, due_s - time.monotonic())):
            now_s = time.monotonic()
            if now_s - due_s > _LATE_S:
                beat.late.append((now_s, now_s - due_s))
            due_s = now_s + _BEAT_S

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        stop.set()
        thread.join()
