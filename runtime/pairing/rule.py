"""Which infrared frame a colour frame gets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2

from vr.runtime.errors import InputError
from vr.runtime.option import AUTO
from vr.runtime.sources.base import Stamped

Between = Literal["nearest", "held", "interpolated"]
BETWEEN: tuple[Between, ...] = ("nearest", "held", "interpolated")
AUTO_SLOP_MS = 100.0
_AUTO_SLOP_PERIODS = 1.25
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class TimeRule:
    """Which IR frame an RGB frame gets.

    slop_ms: largest time between the two, None: 1.25 periods of the IR camera, at least 100 ms. ir_offset_ms: an IR
    frame of time t was taken when the clock of the RGB source was at t + offset. between: of the IR frames around an
    RGB frame the nearest, the last one before (`held`), or both, mixed by time (`interpolated`).
    """

    slop_ms: float | None = None
    ir_offset_ms: float = 0.0
    between: Between = "nearest"

    def check(self) -> None:
        """Raises InputError for a value out of range."""
        if self.slop_ms is not None and not self.slop_ms >= 0:
            raise InputError(f"slop is {self.slop_ms:g} ms; expected 0 or more")
        if self.between not in BETWEEN:
            raise InputError(f"unknown --ir-between {self.between!r}; expected one of {', '.join(BETWEEN)}")

    def slop_s(self, ir_period_s: float) -> float:
        """The slop with an IR camera of this period."""
        slop_ms = max(AUTO_SLOP_MS, 1000.0 * _AUTO_SLOP_PERIODS * ir_period_s) if self.slop_ms is None else self.slop_ms
        return slop_ms / 1000.0 + _ROUNDING_S

    def choose(self, ir: Sequence[Stamped], time_s: float, slop_s: float) -> Stamped | None:
        """The IR frame for an RGB frame of `time_s`; None if none of `ir`, times rising, is within the slop."""
        nearest = min(ir, key=lambda one: abs(one.time_s - time_s), default=None)
        before = next((one for one in reversed(ir) if one.time_s <= time_s + _ROUNDING_S), None)
        if self.between == "held":
            nearest = before
        if nearest is None or abs(nearest.time_s - time_s) > slop_s:
            return None
        if self.between != "interpolated" or before is None:
            return nearest
        after = next((one for one in ir if one.time_s > before.time_s), None)
        return nearest if after is None else _mixed(before, after, time_s, nearest, slop_s)


def _mixed(before: Stamped, after: Stamped, time_s: float, nearest: Stamped, slop_s: float) -> Stamped:
    """Both frames by their nearness in time, or the nearest where they do not fit together."""
    if before.frame.shape != after.frame.shape or before.frame.dtype != after.frame.dtype:
        return nearest
    step_s = after.time_s - before.time_s
    if step_s > 2.0 * slop_s or time_s <= before.time_s:
        return nearest
    share = (time_s - before.time_s) / step_s
    mixed = cv2.addWeighted(before.frame, 1.0 - share, after.frame, share, 0.0)
    return replace(after, frame=mixed, time_s=time_s)  # type: ignore[arg-type]


def parse_ms(option: str, text: str) -> float:
    """Milliseconds, as they were given. Raises InputError if it is no number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{option} is {text!r}; expected a number of milliseconds, or {AUTO}")
    return value


def shifted(stamped: Stamped, by_s: float) -> Stamped:
    """The frame on another clock."""
    since_s = None if stamped.since_s is None else stamped.since_s + by_s
    return replace(stamped, time_s=stamped.time_s + by_s, since_s=since_s) if by_s else stamped
