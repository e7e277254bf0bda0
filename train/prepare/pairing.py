"""Which IR frame belongs to which RGB frame, from the times of all of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError

_ROUNDING_S = 1e-6

Float64s = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """ir, rgb: (n,) positions in the two recordings, both rising. unpaired_ir, unpaired_rgb: frames without partner."""

    ir: NDArray[np.int64]
    rgb: NDArray[np.int64]
    unpaired_ir: int
    unpaired_rgb: int


def pair_times(ir_time_s: Float64s, rgb_time_s: Float64s, offset_ms: float, slop_ms: float | None) -> Pairs:
    """Pairs frames that are each other's nearest in time; each frame is used once.

    offset_ms: added to IR times. slop_ms: largest time between the two; None for a period of the faster recording.
    Raises InputError if no frame has a partner.
    """
    ir_s = ir_time_s + offset_ms / 1000.0
    slop_s = slop_ms / 1000.0 if slop_ms is not None else min(_period_s(ir_s), _period_s(rgb_time_s))
    to_rgb, to_ir = _nearest(rgb_time_s, ir_s), _nearest(ir_s, rgb_time_s)
    positions = np.arange(len(ir_s))
    mutual = to_ir[to_rgb] == positions
    close = np.abs(rgb_time_s[to_rgb] - ir_s) <= slop_s + _ROUNDING_S
    ir = positions[mutual & close]
    if not len(ir):
        raise InputError(
            f"no IR frame lies within {1000 * slop_s:.0f} ms of an RGB frame with an offset of {offset_ms:.0f} ms "
            f"(IR {ir_s[0]:.1f} to {ir_s[-1]:.1f} s, RGB {rgb_time_s[0]:.1f} to {rgb_time_s[-1]:.1f} s); "
            "check --offset-ms, --ir-fps and --rgb-fps"
        )
    return Pairs(ir, to_rgb[ir], len(ir_s) - len(ir), len(rgb_time_s) - len(ir))


def _nearest(times_s: Float64s, wanted_s: Float64s) -> NDArray[np.int64]:
    """(len(wanted_s),): position of the nearest of the rising `times_s`; the earlier one of two equally near."""
    after = np.clip(np.searchsorted(times_s, wanted_s), 0, len(times_s) - 1)
    before = np.maximum(after - 1, 0)
    is_before = np.abs(times_s[before] - wanted_s) <= np.abs(times_s[after] - wanted_s)
    return np.where(is_before, before, after)


def _period_s(times_s: Float64s) -> float:
    """Time between two frames; a quarter of a second for a single frame."""
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.25
