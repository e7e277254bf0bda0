"""What both kinds of pairing do with a pair that they have found."""

from vr.runtime.pairing.base import Pair, PairingCounts
from vr.runtime.pairing.frozen import Frozen
from vr.runtime.sources.base import Stamped


class Bookkeeper:
    """Fills PairingCounts, and marks pairs of a frozen camera."""

    def __init__(self) -> None:
        self.counts = PairingCounts()
        self._frozen = Frozen()
        self._last_used_ir = -1

    def accept(self, ir: Stamped, rgb: Stamped, slop_s: float) -> Pair:
        """A pair that is shown."""
        self.counts.paired += 1
        self.counts.skipped_ir += max(0, ir.index - self._last_used_ir - 1)
        self._last_used_ir = max(self._last_used_ir, ir.index)
        return self._frozen.marked(Pair(ir, rgb), slop_s)
