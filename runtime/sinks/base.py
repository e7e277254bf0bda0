"""What every sink offers, and what it is given."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.errors import OutputError
from vr.runtime.notices import Notice
from vr.runtime.sources.base import Stamped


@dataclass(frozen=True)
class Output:
    """One output frame.

    index: from 0, without gaps. time_s: of the scene, on the clock of the RGB source. ir, rgb: its frames; None while
    a camera gives none. alignment: of the two, None unless both are there. latency_ms: wall time by stage, see
    `vr.runtime.pipeline`. picture: (H, W, 3) uint8 BGR, or None if no sink wants one. notices: what is wrong.
    """

    index: int
    time_s: float
    ir: Stamped | None
    rgb: Stamped | None
    alignment: Alignment | None
    latency_ms: dict[str, float]
    picture: NDArray[np.uint8] | None = field(repr=False)
    notices: tuple[Notice, ...] = ()

    @property
    def state(self) -> State:
        """Of the alignment; `refused` where a frame is missing."""
        return "refused" if self.alignment is None else self.alignment.state

    @property
    def skew_ms(self) -> float | None:
        """IR time minus RGB time of a pair, both on the clock of the RGB source; None where a frame is missing."""
        if self.ir is None or self.rgb is None:
            return None
        return (self.ir.time_s - self.rgb.time_s) * 1000.0


class Sink(Protocol):
    """Takes the output frames in order."""

    @property
    def wants_picture(self) -> bool:
        """Whether `write` needs `Output.picture`."""
        ...

    def write(self, output: Output) -> None:
        """Takes one frame. Raises OutputError if it cannot be written."""
        ...

    def close(self, complete: bool) -> Path | None:
        """Finishes what was written, and says where it is; None if there is nothing.

        complete: False after an error; then nothing that was there before is replaced, and what was written
        so far is kept under another name. Raises OutputError.
        """
        ...


@runtime_checkable
class Troubled(Protocol):
    """A sink that may be unable to write for a while, and then goes on."""

    @property
    def notice(self) -> Notice | None:
        """What is wrong right now; None if nothing is. From any thread."""
        ...


@runtime_checkable
class Reopenable(Protocol):
    """A sink whose files somebody else may move away."""

    def reopen(self) -> None:
        """What comes next goes to a file of the old name. From any thread."""
        ...


def required_picture(output: Output) -> NDArray[np.uint8]:
    """The picture of an output frame. Raises OutputError if it has none."""
    if output.picture is None:
        raise OutputError(f"output frame {output.index} has no picture to record")
    return output.picture
