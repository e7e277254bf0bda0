"""What pairing gives and counts."""

from dataclasses import dataclass
from typing import Protocol

from vr.runtime.notices import Notice
from vr.runtime.sources.base import Stamped
from vr.runtime.stopping import Stop


@dataclass(frozen=True)
class Pair:
    """An RGB frame and the IR frame that belongs to it; both times on the clock of the RGB source.

    notices: what is wrong with it: one of the two cameras repeats an old picture. Nothing is to be learnt from it then.
    """

    ir: Stamped
    rgb: Stamped
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Alone:
    """What there is while one camera, or both, give nothing. time_s: monotonic time if there is no frame at all."""

    ir: Stamped | None
    rgb: Stamped | None
    notices: tuple[Notice, ...]
    time_s: float


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

    def next(self, stop: Stop) -> Pair | Alone | None:
        """The next pair, of cameras also what there is without one; waits for it. None at the end, or once `stop` is
        set. Raises what the sources raise.
        """
        ...
