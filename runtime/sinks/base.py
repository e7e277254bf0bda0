"""What every sink offers, and what it is given."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.pairing import Pair


@dataclass(frozen=True)
class Output:
    """One output frame.

    index: from 0, without gaps. latency_ms: wall time by stage, see `vr.runtime.pipeline`.
    picture: (H, W, 3) uint8 BGR, or None if no sink wants one.
    """

    index: int
    pair: Pair
    alignment: Alignment
    latency_ms: dict[str, float]
    picture: NDArray[np.uint8] | None = field(repr=False)


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
