"""What every source of frames offers."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from vr.runtime.preprocess import Frame

Role = Literal["ir", "rgb"]


@dataclass(frozen=True)
class Stamped:
    """One frame and when it was taken.

    frame: as OpenCV gives it, see `vr.runtime.preprocess.check_frame`.
    time_s: seconds; `time.monotonic()` at the grab for a camera, seconds from the start of the recording
    otherwise.
    index: number of the frame in its source, from 0; a gap means that frames in between were not kept.
    """

    frame: Frame = field(repr=False)
    time_s: float
    index: int


class Source(Protocol):
    """A stream of frames, read once, from first to last."""

    @property
    def name(self) -> str:
        """For messages; a password in a URL is left out."""
        ...

    @property
    def live(self) -> bool:
        """True: frames come whether they are read or not, and only the newest is kept. False: every frame
        is given.
        """
        ...

    @property
    def fps(self) -> float:
        """Nominal frames per second, more than 0."""
        ...

    @property
    def length(self) -> int | None:
        """Number of frames, None where it is unknown or endless."""
        ...

    def read(self) -> Stamped | None:
        """The next frame; waits for it. None at the end. Raises StreamError or InputError if it cannot be
        had.
        """
        ...

    def close(self) -> None:
        """Ends the stream and frees what it holds; may be called twice."""
        ...


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source whose frames come on their own."""

    def newest(self, wait_s: float) -> Stamped | None:
        """The newest frame if it was not handed out before; waits for one up to `wait_s`, then None.

        Raises StreamError if the stream broke off or stalled.
        """
        ...
