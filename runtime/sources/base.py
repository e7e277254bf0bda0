"""What every source of frames offers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame
from vr.runtime.thermal.hot_spot import HotSpot

Role = Literal["ir", "rgb"]
ROLES: tuple[Role, ...] = ("ir", "rgb")


@dataclass(frozen=True)
class Stamped:
    """One frame and when it was taken.

    frame: as OpenCV gives it, see `vr.runtime.preprocess.check_frame`.
    time_s: seconds; `time.monotonic()` at the grab for a camera, seconds from the start of the recording
    otherwise.
    index: number of the frame in its source, from 0; a gap means that frames in between were not kept.
    since_s: since when the pictures look alike, None if this one differs from the one before. repeats: they are one and
    the same.
    hot_spot: the hottest of a raw IR frame, where its temperatures are known; raw: (h, w) uint16, that frame itself.
    """

    frame: Frame = field(repr=False)
    time_s: float
    index: int
    since_s: float | None = None
    repeats: bool = False
    hot_spot: HotSpot | None = None
    raw: NDArray[np.uint16] | None = field(default=None, repr=False)


Step = Callable[[Stamped], Stamped]
"""What is done to every frame of a source, in order, before anybody else sees it."""


@dataclass(frozen=True)
class CameraStatus:
    """How a camera is doing.

    state: `running`, or `lost` (not there, silent, or being opened). age_s: time since its last frame, or since it is
    waited for. counts: see `vr.runtime.sources.camera.CameraCounts`.
    """

    state: Literal["running", "lost"]
    age_s: float
    counts: dict[str, int]


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
    """A source whose frames come on their own, and which never ends: a camera that breaks off is opened again."""

    @property
    def status(self) -> CameraStatus:
        """How it is doing now."""
        ...

    def recent(self) -> list[Stamped]:
        """The newest frames, oldest first, times rising; at least the two newest, as far as there are."""
        ...

    def wait_newer(self, index: int, wait_s: float) -> bool:
        """Whether there is a frame with a higher number than `index`; waits for one up to `wait_s`."""
        ...

    def keep(self, seconds: float) -> None:
        """How far back `recent` shall go."""
        ...
