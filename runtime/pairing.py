"""Bringing frames of two cameras together that were taken at nearly the same time."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

from vr.runtime.errors import InputError
from vr.runtime.sources.base import LiveSource, Source, Stamped
from vr.runtime.stopping import Stop

DEFAULT_SLOP_MS = 100.0
_ROUNDING_S = 1e-6
_WAIT_STEP_S = 0.1


@dataclass(frozen=True)
class Pair:
    """An RGB frame and the IR frame nearest to it in time."""

    ir: Stamped
    rgb: Stamped


@dataclass
class PairingCounts:
    """What pairing did.

    paired: RGB frames that got an IR frame.
    unpaired_rgb: RGB frames that were read, but had no IR frame within the slop.
    dropped_rgb: RGB frames of a camera that newer ones replaced before they were read.
    skipped_ir: IR frames between used ones that no RGB frame got.
    """

    paired: int = 0
    unpaired_rgb: int = 0
    dropped_rgb: int = 0
    skipped_ir: int = 0


class Pairing(Protocol):
    """Gives pairs until the streams end."""

    @property
    def counts(self) -> PairingCounts:
        """What happened so far."""
        ...

    def next(self, stop: Stop) -> Pair | None:
        """The next pair; waits for it. None at the end, or once `stop` is set. Raises what the sources
        raise.
        """
        ...


def pair_sources(ir: Source, rgb: Source, slop_ms: float = DEFAULT_SLOP_MS, ir_offset_ms: float = 0.0) -> Pairing:
    """Pairs two sources: without loss if both are recordings, by the newest frames if both are cameras.

    slop_ms: largest time between the frames of a pair. ir_offset_ms: how much later the IR recording started; the IR
    frames of the pairs have times of the RGB recording. Raises InputError for one camera and one recording, whose times
    have nothing in common, for a negative slop, for an offset that is not finite, and for one between cameras.
    """
    if not slop_ms >= 0:
        raise InputError(f"slop is {slop_ms:g} ms; expected 0 or more")
    if not math.isfinite(ir_offset_ms):
        raise InputError(f"--ir-offset-ms is {ir_offset_ms:g}; expected a number of milliseconds")
    if ir_offset_ms and (ir.live or rgb.live):
        raise InputError("--ir-offset-ms is for recordings; frames of cameras are stamped by one clock, leave it out")
    if isinstance(ir, LiveSource) and isinstance(rgb, LiveSource):
        return LivePairing(ir, rgb, slop_ms)
    if ir.live or rgb.live:
        raise InputError(f"{ir.name} and {rgb.name}: a camera cannot be paired with a recording; give two of a kind")
    return RecordedPairing(ir, rgb, slop_ms, ir_offset_ms)


class _Bookkeeper:
    """Fills PairingCounts."""

    def __init__(self) -> None:
        self.counts = PairingCounts()
        self._last_used_ir = -1

    def accept(self, ir: Stamped, rgb: Stamped) -> Pair:
        self.counts.paired += 1
        self.counts.skipped_ir += max(0, ir.index - self._last_used_ir - 1)
        self._last_used_ir = max(self._last_used_ir, ir.index)
        return Pair(ir, rgb)


class RecordedPairing:
    """Every RGB frame with the IR frame nearest in time; one IR frame may serve several RGB frames.

    Ends with the RGB frames, or when the IR frames have ended and none is within the slop any more.
    """

    def __init__(self, ir: Source, rgb: Source, slop_ms: float, ir_offset_ms: float) -> None:
        self._ir, self._rgb = ir, rgb
        self._slop_s = slop_ms / 1000.0 + _ROUNDING_S
        self._ir_offset_s = ir_offset_ms / 1000.0
        self._before: Stamped | None = None
        self._after: Stamped | None = self._read_ir()
        self._book = _Bookkeeper()

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`."""
        return self._book.counts

    def next(self, stop: Stop) -> Pair | None:
        """See `Pairing`."""
        while not stop.is_set() and (rgb := self._rgb.read()) is not None:
            ir = self._nearest(rgb.time_s)
            if ir is not None and abs(ir.time_s - rgb.time_s) <= self._slop_s:
                return self._book.accept(ir, rgb)
            self.counts.unpaired_rgb += 1
            if self._after is None:
                return None
        return None

    def _nearest(self, time_s: float) -> Stamped | None:
        while self._after is not None and self._after.time_s < time_s:
            self._before, self._after = self._after, self._read_ir()
        candidates = [stamped for stamped in (self._before, self._after) if stamped is not None]
        return min(candidates, key=lambda stamped: abs(stamped.time_s - time_s), default=None)

    def _read_ir(self) -> Stamped | None:
        stamped = self._ir.read()
        return None if stamped is None else replace(stamped, time_s=stamped.time_s + self._ir_offset_s)


class LivePairing:
    """The newest RGB frame with the nearer of the two newest IR frames; never waits for a frame to come."""

    def __init__(self, ir: LiveSource, rgb: LiveSource, slop_ms: float) -> None:
        self._ir, self._rgb = ir, rgb
        self._slop_s = slop_ms / 1000.0 + _ROUNDING_S
        self._last_ir: Stamped | None = None
        self._last_rgb_index: int | None = None
        self._book = _Bookkeeper()

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`."""
        return self._book.counts

    def next(self, stop: Stop) -> Pair | None:
        """See `Pairing`."""
        while not stop.is_set():
            if self._last_ir is None:
                self._last_ir = self._ir.newest(_WAIT_STEP_S)
                continue
            rgb = self._rgb.newest(_WAIT_STEP_S)
            if rgb is None:
                continue
            self._count_dropped(rgb.index)
            ir = self._nearest(self._last_ir, rgb.time_s)
            if abs(ir.time_s - rgb.time_s) <= self._slop_s:
                return self._book.accept(ir, rgb)
            self.counts.unpaired_rgb += 1
        return None

    def _nearest(self, last: Stamped, time_s: float) -> Stamped:
        newest = self._ir.newest(0.0)
        if newest is None:
            return last
        self._last_ir = newest
        return min(last, newest, key=lambda stamped: abs(stamped.time_s - time_s))

    def _count_dropped(self, rgb_index: int) -> None:
        if self._last_rgb_index is not None:
            self.counts.dropped_rgb += rgb_index - self._last_rgb_index - 1
        self._last_rgb_index = rgb_index
