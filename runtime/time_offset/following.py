"""From single estimates of an offset to the one in use: adopted late, followed slowly, changed by a jump rarely."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vr.runtime.time_offset.matching import Match

Status = Literal["searching", "found", "lost"]

_LEAST_EVIDENCE = 60.0
_LEAST_CONFIDENCE = 0.25
_MOST_UNCERTAIN_MS = 15.0
_AGREEING_MS = 20.0
_NEAR_MS = 40.0
_TO_ADOPT, _TO_JUMP, _TO_LOSE = 3, 4, 6
_FOLLOW_SHARE = 0.2
_REMEMBERED = 8


@dataclass(frozen=True)
class OffsetState:
    """What is known of the offset.

    status: "searching": nothing yet; "found"; "lost": it was found, but the estimates of late contradict it and each
        other. While nothing moves a found offset stays found.
    offset_ms: an IR frame of time t was taken when the RGB clock was at `t + offset_ms`; the last one found if lost,
        None while searching.
    confidence: of the last sure estimate, 0 (another offset explains the motion as well) to 1; 0 while searching.
    uncertainty_ms: standard deviation of the last sure estimate, or of the last few if that is more; None while
        searching.
    """

    status: Status = "searching"
    offset_ms: float | None = None
    confidence: float = 0.0
    uncertainty_ms: float | None = None


def is_sure(match: Match) -> bool:
    """Whether an estimate counts at all."""
    return (
        match.evidence >= _LEAST_EVIDENCE
        and match.confidence >= _LEAST_CONFIDENCE
        and match.uncertainty_ms <= _MOST_UNCERTAIN_MS
    )


class OffsetFollower:
    """Takes estimates in order."""

    def __init__(self) -> None:
        self.state = OffsetState()
        self._near: deque[float] = deque(maxlen=_REMEMBERED)
        self._elsewhere: deque[float] = deque(maxlen=_TO_LOSE)

    def add(self, match: Match | None) -> OffsetState:
        """The state after one more estimate; None, or one that is not sure, changes nothing."""
        if match is None or not is_sure(match):
            return self.state
        offset_ms = self.state.offset_ms
        if self.state.status == "found" and offset_ms is not None and abs(match.offset_ms - offset_ms) <= _NEAR_MS:
            self._elsewhere.clear()
            self._hold(match, offset_ms + _FOLLOW_SHARE * (match.offset_ms - offset_ms))
        else:
            self._elsewhere.append(match.offset_ms)
            self._reconsider(match)
        return self.state

    def _reconsider(self, match: Match) -> None:
        needed = _TO_JUMP if self.state.status == "found" else _TO_ADOPT
        latest = list(self._elsewhere)[-needed:]
        if len(latest) == needed and max(latest) - min(latest) <= _AGREEING_MS:
            self._elsewhere.clear()
            self._near.clear()
            self._near.extend(latest[:-1])
            self._hold(match, float(np.mean(latest)))
        elif self.state.status == "found" and len(self._elsewhere) == _TO_LOSE:
            self.state = OffsetState("lost", self.state.offset_ms, match.confidence, self.state.uncertainty_ms)

    def _hold(self, match: Match, offset_ms: float) -> None:
        self._near.append(match.offset_ms)
        spread_ms = float(np.std(self._near))
        self.state = OffsetState("found", offset_ms, match.confidence, max(match.uncertainty_ms, spread_ms))
