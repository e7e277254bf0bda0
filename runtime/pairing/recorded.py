"""Pairing two recordings: every RGB frame, and nothing is lost."""

from vr.runtime.pairing.base import Pair, PairingCounts
from vr.runtime.pairing.bookkeeper import Bookkeeper
from vr.runtime.pairing.rule import TimeRule, shifted
from vr.runtime.sources.base import Source, Stamped
from vr.runtime.stopping import Stop


class RecordedPairing:
    """Every RGB frame with its IR frame; one IR frame may serve several RGB frames.

    Ends with the RGB frames, or when the IR frames have ended and none is within the slop any more.
    """

    def __init__(self, ir: Source, rgb: Source, rule: TimeRule) -> None:
        self._ir, self._rgb, self._rule = ir, rgb, rule
        self._slop_s = rule.slop_s(1.0 / ir.fps)
        self._ir_offset_s = rule.ir_offset_ms / 1000.0
        self._before: Stamped | None = None
        self._after: Stamped | None = self._read_ir()
        self._book = Bookkeeper()

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`."""
        return self._book.counts

    def next(self, stop: Stop) -> Pair | None:
        """See `Pairing`."""
        while not stop.is_set() and (rgb := self._rgb.read()) is not None:
            ir = self._rule.choose(self._around(rgb.time_s), rgb.time_s, self._slop_s)
            if ir is not None:
                return self._book.accept(ir, rgb, self._slop_s)
            self.counts.unpaired_rgb += 1
            if self._after is None:
                return None
        return None

    def _around(self, time_s: float) -> list[Stamped]:
        """The IR frames before and after."""
        while self._after is not None and self._after.time_s < time_s:
            self._before, self._after = self._after, self._read_ir()
        return [stamped for stamped in (self._before, self._after) if stamped is not None]

    def _read_ir(self) -> Stamped | None:
        stamped = self._ir.read()
        return None if stamped is None else shifted(stamped, self._ir_offset_s)
