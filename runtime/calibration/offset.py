"""The offset in time of the two sources of a calibration: given, found from what moves, or known to be none."""

import time
from dataclasses import dataclass

from vr.runtime.errors import InputError
from vr.runtime.live_options import LiveOptions
from vr.runtime.option import AUTO
from vr.runtime.sources import Role, open_source
from vr.runtime.sources.base import Stamped, Step
from vr.runtime.sources.opening import is_camera, is_file
from vr.runtime.time_offset.finding import find_recorded
from vr.runtime.time_offset.following import OffsetState
from vr.runtime.time_offset.online import OffsetEstimator

_HELP = "let something move now and then in front of both cameras for 15 s or more, with --seconds 60"


@dataclass(frozen=True)
class Offset:
    """setting: what the options of a live run should say, ms or auto. text: for people, what is known of it."""

    setting: str
    text: str
    found: bool = True


class OffsetWatch:
    """Finds the offset of the two sources of `options`, unless it is given."""

    def __init__(self, options: LiveOptions) -> None:
        """Reads recordings for it. Raises what opening them raises."""
        self._given = None if options.finds_offset else options.time_rule.ir_offset_ms
        self._estimator: OffsetEstimator | None = None
        self._state = OffsetState()
        self._cameras = is_camera(options.ir)
        self._simulated = not self._cameras and not is_file(options.ir)
        if options.finds_offset and self._cameras:
            self._estimator = OffsetEstimator()
        elif options.finds_offset and is_file(options.ir) and is_file(options.rgb):
            self._state = _recorded(options)

    @property
    def is_looking(self) -> bool:
        """Whether it still looks for motion."""
        return self._estimator is not None and self._state.offset_ms is None

    @property
    def fixed_ms(self) -> float:
        """What to pair by before anything is found."""
        return self._given if self._given is not None else self._state.offset_ms or 0.0

    def following_ms(self) -> float:
        """What to pair by now."""
        return self.fixed_ms

    def steps(self, role: Role) -> list[Step]:
        """What shows a camera's frames to the estimator."""
        estimator = self._estimator
        if estimator is None:
            return []

        def show(stamped: Stamped) -> Stamped:
            estimator.see(role, stamped.frame, stamped.time_s)
            return stamped

        return [show]

    def poll(self) -> None:
        """Takes what was found in the meantime; from one thread."""
        if self._estimator is not None:
            self._state = self._estimator.poll(time.monotonic())

    @property
    def result(self) -> Offset:
        """What has come of it."""
        if self._given is not None:
            return Offset(f"{self._given:g}", f"{self._given:g} ms, as given")
        if self._simulated:
            return Offset("0", "0 ms: both simulated cameras have one clock")
        if self._state.offset_ms is not None:
            give_or_take_ms = 2.0 * (self._state.uncertainty_ms or 0.0)
            text = f"IR {self._state.offset_ms:+.0f} ms, give or take {give_or_take_ms:.0f} ms (95 %), by what moved"
            return Offset(f"{self._state.offset_ms:.0f}", text)
        if self._cameras:
            return Offset(AUTO, f"not found: too little moved. vr-live goes on looking for it; or {_HELP}", False)
        return Offset("0", f"not found: too little moved, 0 ms is used; or {_HELP}, or give --ir-offset-ms", False)


def _recorded(options: LiveOptions) -> OffsetState:
    ir = open_source(options.ir, "ir", options.sources)
    try:
        rgb = open_source(options.rgb, "rgb", options.sources)
    except BaseException:
        ir.close()
        raise
    try:
        return find_recorded(ir, rgb)
    except InputError:
        return OffsetState()
