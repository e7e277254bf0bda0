"""`--ir-offset-ms auto`: the offset in time of two running cameras, and of two recordings."""

import time
from contextlib import ExitStack, closing

from vr.runtime.errors import InputError
from vr.runtime.loggers import LOG
from vr.runtime.notices import Notice
from vr.runtime.sources.base import Role, Source, Stamped, Step
from vr.runtime.time_offset.following import OffsetState
from vr.runtime.time_offset.online import OffsetEstimator

UNKNOWN = "time offset unknown"
_WORTH_SAYING_MS = 20.0
_RECORDED_S = 180.0
"""So much of two recordings is looked at, at most."""


class OffsetFinder:
    """Estimates the offset of two cameras while they run; until it is found, 0 is used and a notice says so."""

    def __init__(self) -> None:
        self._estimator = OffsetEstimator()
        self._state = OffsetState()
        self._start_s = time.monotonic()
        self._told_ms: float | None = None

    def step(self, role: Role) -> Step:
        """What shows every frame of a camera to the estimator."""

        def show(stamped: Stamped) -> Stamped:
            self._estimator.see(role, stamped.frame, stamped.time_s)
            return stamped

        return show

    def offset_ms(self) -> float:
        """The offset to be used now; from one thread."""
        self._state = self._estimator.poll(time.monotonic())
        offset_ms = self._state.offset_ms or 0.0
        if self._state.status == "found" and (
            self._told_ms is None or abs(offset_ms - self._told_ms) > _WORTH_SAYING_MS
        ):
            self._told_ms = offset_ms
            LOG.info("time offset found: %s", describe_offset(self._state))
        return offset_ms

    @property
    def notice(self) -> Notice | None:
        """See `vr.runtime.sinks.Troubled`."""
        if self._state.offset_ms is not None:
            return None
        return Notice(UNKNOWN, time.monotonic() - self._start_s)

    @property
    def text(self) -> str:
        """For the report."""
        return "not found, 0 used" if self._state.offset_ms is None else describe_offset(self._state)


def describe_offset(state: OffsetState) -> str:
    """`IR -402 ms, give or take 6 ms, confidence 0.71`."""
    if state.offset_ms is None or state.uncertainty_ms is None:
        return "unknown"
    return (
        f"IR {state.offset_ms:+.0f} ms, give or take {state.uncertainty_ms:.0f} ms, confidence {state.confidence:.2f}"
    )


def find_recorded(ir: Source, rgb: Source) -> OffsetState:
    """The offset of two recordings, from their first three minutes; reads and closes both.

    Raises InputError where it cannot be told.
    """
    estimator, state, seen_s = OffsetEstimator(), OffsetState(), 0.0
    with ExitStack() as stack:
        sources: dict[Role, Source] = {"ir": stack.enter_context(closing(ir)), "rgb": stack.enter_context(closing(rgb))}
        newest: dict[Role, Stamped | None] = {role: source.read() for role, source in sources.items()}
        while seen_s < _RECORDED_S:
            role: Role = min(newest, key=lambda one: _time_s(newest[one]))
            stamped = newest[role]
            if stamped is None or None in newest.values():
                break
            estimator.see(role, stamped.frame, stamped.time_s)
            seen_s = stamped.time_s
            state = estimator.poll(seen_s, wait=True)
            newest[role] = sources[role].read()
    if state.offset_ms is None:
        raise InputError(
            "the offset in time cannot be told: too little moves, or not for both cameras; expected something that "
            "moves now and then for 15 s or more; give --ir-offset-ms N (0 if both recordings started together)"
        )
    return state


def _time_s(stamped: Stamped | None) -> float:
    return float("inf") if stamped is None else stamped.time_s
