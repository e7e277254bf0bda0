"""The offset in time between two running cameras, from what moves in their pictures."""

import threading

from vr.runtime.errors import InputError
from vr.runtime.preprocess import Frame
from vr.runtime.sources.base import Role
from vr.runtime.time_offset.following import OffsetFollower, OffsetState
from vr.runtime.time_offset.matching import match_motion
from vr.runtime.time_offset.track import WINDOW_S, MotionTrack

EVERY_S = 2.0
MOST_OFFSET_S = 10.0
FOLLOW_WINDOW_S = 30.0
"""Once an offset is found, older motion would only hide that it has changed."""


class OffsetEstimator:
    """Sees every frame of both cameras, and says how much later one's clock is than the other's.

    It needs something that moves now and then, seen by both for about 15 s. It is blind where all moves evenly, or
    where one camera moves itself. A gap of more than 2 s in one camera's frames makes it start anew with the motion of
    this camera, not with the offset.
    """

    def __init__(self, max_offset_s: float = 2.0) -> None:
        """Looks for offsets within +-`max_offset_s`. Raises InputError unless that is above 0 and at most 10."""
        if not 0.0 < max_offset_s <= MOST_OFFSET_S:
            raise InputError(
                f"largest offset in time is {max_offset_s:g} s; expected more than 0 and at most {MOST_OFFSET_S:g}"
            )
        self._max_offset_s = max_offset_s
        self._tracks: dict[Role, MotionTrack] = {"ir": MotionTrack(), "rgb": MotionTrack()}
        self._follower = OffsetFollower()
        self._last_s: float | None = None
        self._worker: threading.Thread | None = None

    def see(self, role: Role, frame: Frame, time_s: float) -> None:
        """One frame and when it was taken; each camera's frames from one thread at a time."""
        self._tracks[role].add(frame, time_s)

    def poll(self, now_s: float, wait: bool = False) -> OffsetState:
        """The state. Every 2 s of `now_s`, any clock, a new estimate is begun: in a thread of its own, or with `wait`
        before this returns. Call it from one thread.
        """
        is_due = self._last_s is None or not 0.0 <= now_s - self._last_s < EVERY_S
        if is_due and (self._worker is None or not self._worker.is_alive()):
            self._last_s = now_s
            self._worker = threading.Thread(target=self._estimate, name="time offset", daemon=True)
            self._worker.start()
        if wait and self._worker is not None:
            self._worker.join()
        return self._follower.state

    def _estimate(self) -> None:
        window_s = FOLLOW_WINDOW_S if self._follower.state.status == "found" else WINDOW_S
        ir, rgb = self._tracks["ir"].series(window_s), self._tracks["rgb"].series(window_s)
        self._follower.add(match_motion(ir, rgb, self._max_offset_s))
