"""Pairing two cameras: whatever is there now is shown, and never two frames that do not belong together.

The picture is the newest RGB frame, as old as the IR camera needs to have its frame of that moment. Which IR frame it
gets:

- `nearest`: the one nearest in time, of those that are there;
- `held`: the last one taken before;
- `interpolated`: the two around it, mixed by time; the picture waits for the later one.

Where the two times differ by more than the slop the frame is left out; after half a second of that it is shown alone.
"""

import time
from collections.abc import Callable

from vr.runtime.notices import Notice
from vr.runtime.pairing.base import Alone, Pair, PairingCounts
from vr.runtime.pairing.bookkeeper import Bookkeeper
from vr.runtime.pairing.rule import TimeRule, shifted
from vr.runtime.sources.base import LiveSource, Role, Stamped
from vr.runtime.stopping import Stop

PATIENCE_S = 0.5
"""So long the last pair stays on the screen until a frame is shown without a partner."""
_WAIT_STEP_S = 0.05
_BLANK_EVERY_S = 0.5
_KEEP_MARGIN_S = 0.3
_PERIOD_SHARE = 0.1
_DUE_STEP_S = 0.01
_LONGEST_PERIOD_S = 0.4


class LivePairing:
    """See this module."""

    def __init__(
        self,
        ir: LiveSource,
        rgb: LiveSource,
        rule: TimeRule,
        offset_ms: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """offset_ms: asked for before every pair; None: that of `rule`."""
        self._ir, self._rgb, self._rule, self._clock = ir, rgb, rule, clock
        self._offset_ms = offset_ms or (lambda: rule.ir_offset_ms)
        self._book = Bookkeeper()
        self._last_rgb, self._last_alone_ir = -1, -1
        self._paired_s = self._shown_s = clock()
        self._ir_index, self._ir_new_s, self._ir_period_s = -1, float("nan"), 0.0

    @property
    def counts(self) -> PairingCounts:
        """See `Pairing`."""
        return self._book.counts

    def next(self, stop: Stop) -> Pair | Alone | None:
        """See `Pairing`."""
        while not stop.is_set():
            offset_s = self._offset_ms() / 1000.0
            rgb = self._next_rgb(offset_s)
            shown = self._without_rgb(offset_s) if rgb is None else self._with_rgb(rgb, offset_s)
            if shown is not None:
                self._shown_s = self._clock()
                return shown
        return None

    def _next_rgb(self, offset_s: float) -> Stamped | None:
        """The newest one that is old enough and was not taken yet; waits a little for it."""
        delay_s = self._delay_s(offset_s)
        self._rgb.keep(delay_s + _KEEP_MARGIN_S if delay_s else 0.0)
        self._ir.keep(max(0.0, offset_s) + _KEEP_MARGIN_S)
        # Without RGB frames the IR camera sets the pace.
        wait_s = _WAIT_STEP_S if self._rgb.status.age_s < PATIENCE_S else _DUE_STEP_S
        if not self._rgb.wait_newer(self._last_rgb, wait_s):
            return None
        waiting = [stamped for stamped in self._rgb.recent() if stamped.index > self._last_rgb]
        due_s = self._clock() - delay_s
        due = [stamped for stamped in waiting if stamped.time_s <= due_s or not delay_s]
        if not due:
            self._rgb.wait_newer(waiting[-1].index, _DUE_STEP_S)
            return None
        if self._last_rgb >= 0:
            self.counts.dropped_rgb += due[-1].index - self._last_rgb - 1
        self._last_rgb = due[-1].index
        return due[-1]

    def _delay_s(self, offset_s: float) -> float:
        """How old an RGB frame must be for its IR frame to be there."""
        waits_s = self._ir_period_s if self._rule.between == "interpolated" else 0.0
        return max(0.0, waits_s - offset_s)

    def _with_rgb(self, rgb: Stamped, offset_s: float) -> Pair | Alone | None:
        ir_frames = [shifted(one, offset_s) for one in self._ir.recent()]
        self._learn_period(ir_frames)
        slop_s = self._rule.slop_s(self._ir_period_s)
        ir = self._rule.choose(ir_frames, rgb.time_s, slop_s)
        if ir is not None:
            self._paired_s = self._clock()
            return self._book.accept(ir, rgb, slop_s)
        self.counts.unpaired_rgb += 1
        missing_s = self._clock() - self._paired_s
        return Alone(None, rgb, (self._missing("ir", missing_s),), rgb.time_s) if missing_s > PATIENCE_S else None

    def _learn_period(self, ir_frames: list[Stamped]) -> None:
        """Of the IR camera, from new pictures: some repeat each picture to reach the rate of their plug."""
        for one in ir_frames:
            if one.index <= self._ir_index or one.repeats:
                continue
            step_s = one.time_s - self._ir_new_s
            if 0.0 < step_s < _LONGEST_PERIOD_S:
                self._ir_period_s += (step_s - self._ir_period_s) * (_PERIOD_SHARE if self._ir_period_s else 1.0)
            self._ir_index, self._ir_new_s = one.index, one.time_s

    def _without_rgb(self, offset_s: float) -> Alone | None:
        """The IR frame alone, or nothing at all, where the RGB camera gives none for too long."""
        now_s = self._clock()
        recent = self._rgb.recent()
        silent_s = self._rgb.status.age_s if recent else now_s - self._paired_s
        if silent_s <= PATIENCE_S + self._delay_s(offset_s):
            return None
        newest = self._ir.recent()[-1:]
        notices = (self._missing("rgb", silent_s),)
        if newest and newest[0].index > self._last_alone_ir and self._ir.status.age_s <= PATIENCE_S:
            self._last_alone_ir = newest[0].index
            ir = shifted(newest[0], offset_s)
            return Alone(ir, None, notices, ir.time_s)
        if now_s - self._shown_s >= _BLANK_EVERY_S:
            return Alone(None, None, (*notices, self._missing("ir", self._ir.status.age_s)), now_s)
        return None

    def _missing(self, role: Role, since_s: float) -> Notice:
        source = self._ir if role == "ir" else self._rgb
        return Notice(f"{role} {'lost' if source.status.age_s > PATIENCE_S else 'unpaired'}", since_s)
