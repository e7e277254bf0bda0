"""Telling a frozen camera from a scene that stands still."""

from dataclasses import replace

from vr.runtime.notices import Notice
from vr.runtime.pairing.base import Pair
from vr.runtime.preprocess import Frame, to_gray
from vr.runtime.sources.base import Role, Stamped
from vr.runtime.sources.repeats import Cells, cells, change

_MOVED_LEVELS = 8.0
"""A change of the mean of a cell (1/32 by 1/24 of the frame), of 255, that noise does not make."""


class Frozen:
    """Marks the pairs in which one camera repeats an old picture while the other one sees something move.

    While nothing moves, an old picture is as good as a new one; a scene that stands still is no fault of a camera.
    """

    def __init__(self) -> None:
        self._watched: dict[Role, _Repeated] = {}

    def marked(self, pair: Pair, slop_s: float) -> Pair:
        """The pair, with its notices."""
        frozen = [
            self._look("ir", pair.ir, pair.rgb.frame, slop_s),
            self._look("rgb", pair.rgb, pair.ir.frame, slop_s),
        ]
        notices = tuple(notice for notice in frozen if notice is not None)
        return replace(pair, notices=notices) if notices else pair

    def _look(self, role: Role, stamped: Stamped, other: Frame, slop_s: float) -> Notice | None:
        if stamped.since_s is None:
            self._watched.pop(role, None)
            return None
        known = self._watched.get(role)
        if known is None or known.since_s != stamped.since_s:
            known = self._watched[role] = _Repeated(stamped.since_s, other)
        age_s = stamped.time_s - stamped.since_s
        if not stamped.repeats or age_s <= slop_s or not known.is_stale(other):
            return None
        return Notice(f"{role} frozen", age_s)


class _Repeated:
    """One run of repeats, and what the other camera saw as it began."""

    def __init__(self, since_s: float, other: Frame) -> None:
        self.since_s = since_s
        self._other: Frame | None = other
        self._cells: Cells | None = None
        self._stale = False

    def is_stale(self, other: Frame) -> bool:
        """Whether the other camera has seen something move since then."""
        if self._other is not None:
            self._cells, self._other = cells(to_gray(self._other)), None
        if not self._stale and self._cells is not None:
            self._stale = change(cells(to_gray(other)), self._cells) >= _MOVED_LEVELS
        return self._stale
