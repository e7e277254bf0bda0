"""Recordings as people watch them: at the speed at which they were taken, and again from the beginning."""

import time
from collections.abc import Callable
from dataclasses import replace

from vr.runtime.pairing.base import Alone, Pair, Pairing, PairingCounts
from vr.runtime.pairing.rule import shifted
from vr.runtime.stopping import Stop

_STEP_S = 0.05


class PacedPairing:
    """Gives each pair when its time has come; one that comes late anyway at once, and the next ones as far after it
    as they were taken.
    """

    def __init__(self, pairing: Pairing, clock: Callable[[], float] = time.monotonic) -> None:
        self._pairing, self._clock = pairing, clock
        self._due_s: float | None = None
        self._last_s = 0.0

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`."""
        return self._pairing.counts

    def next(self, stop: Stop) -> Pair | Alone | None:
        """See `Pairing`; waits until the pair is due."""
        pair = self._pairing.next(stop)
        if not isinstance(pair, Pair):
            return pair
        now_s, taken_s = self._clock(), pair.rgb.time_s
        due_s = now_s if self._due_s is None else self._due_s + max(0.0, taken_s - self._last_s)
        while (left_s := due_s - self._clock()) > 0.0 and not stop.is_set():
            time.sleep(min(left_s, _STEP_S))
        self._due_s, self._last_s = max(due_s, now_s), taken_s
        return pair


class LoopedPairing:
    """Goes on with `again()` where a recording ends, until the run is stopped; times and frame numbers keep rising."""

    def __init__(self, pairing: Pairing, again: Callable[[], Pairing]) -> None:
        self._pairing, self._again = pairing, again
        self._before = PairingCounts()
        self._shift_s, self._shift_ir, self._shift_rgb = 0.0, 0, 0
        self._first_s: float | None = None
        self._last: Pair | None = None
        self._period_s = 0.0

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`; of all rounds."""
        return _sum(self._before, self._pairing.counts)

    def next(self, stop: Stop) -> Pair | Alone | None:
        """See `Pairing`."""
        pair = self._pairing.next(stop)
        if pair is None and self._last is not None and not stop.is_set():
            self._begin_again(self._last)
            pair = self._pairing.next(stop)
        if not isinstance(pair, Pair):
            return pair
        return self._following(pair)

    def _begin_again(self, last: Pair) -> None:
        self._before = self.counts
        self._shift_s = last.rgb.time_s + self._period_s - (self._first_s or 0.0)
        self._shift_ir, self._shift_rgb = last.ir.index + 1, last.rgb.index + 1
        self._pairing = self._again()

    def _following(self, pair: Pair) -> Pair:
        if self._first_s is None:
            self._first_s = pair.rgb.time_s
        ir, rgb = (shifted(one, self._shift_s) for one in (pair.ir, pair.rgb))
        ir, rgb = replace(ir, index=ir.index + self._shift_ir), replace(rgb, index=rgb.index + self._shift_rgb)
        moved = Pair(ir, rgb, pair.notices)
        if self._last is not None:
            self._period_s = moved.rgb.time_s - self._last.rgb.time_s
        self._last = moved
        return moved


def _sum(one: PairingCounts, other: PairingCounts) -> PairingCounts:
    return PairingCounts(
        one.paired + other.paired,
        one.unpaired_rgb + other.unpaired_rgb,
        one.dropped_rgb + other.dropped_rgb,
        one.skipped_ir + other.skipped_ir,
    )
