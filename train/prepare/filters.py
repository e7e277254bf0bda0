"""Which frames say nothing, or nothing new."""

import numpy as np
from numpy.typing import NDArray

from vr.train.prepare.survey import Survey
from vr.train.prepare.timing import Bools

_FROZEN_FACTOR = 0.2
_FROZEN_LEVELS = 0.5
_FROZEN_LEAST_S = 0.25
_SAME_CELL_LEVELS = 6.0
_SAME_CELLS = 0.01

Uint8s = NDArray[np.uint8]


def dark_frames(rgb: Survey, dark_share: float) -> Bools:
    """(n,) True where more than `dark_share` of the pixels are dark."""
    return rgb.dark > dark_share


def frozen_frames(ir: Survey) -> Bools:
    """(n,) True for repetitions of a frame that go on for a quarter of a second or more: a camera that recalibrates.

    A live picture has at least noise, so `frozen` is measured by what the recording's frames differ by as a rule.
    """
    change = ir.change[1:]
    if not len(change):
        return np.zeros(len(ir.change), bool)
    limit = min(_FROZEN_LEVELS, _FROZEN_FACTOR * float(np.median(change)))
    same = np.concatenate([[False], change <= limit])
    frozen = np.zeros(len(same), bool)
    for first, last in _runs(same):
        if ir.time_s[last] - ir.time_s[first - 1] >= _FROZEN_LEAST_S and last > first:
            frozen[first : last + 1] = True
    return frozen


def empty_frames(survey: Survey, least_detail: float) -> Bools:
    """(n,) True where a frame is as good as one flat area: fog, a covered lens."""
    return survey.detail < least_detail


def usable_for_timing(survey: Survey, bad: Bools) -> Bools:
    """(n,) True where the difference to the frame before is motion: neither frame is `bad`."""
    return ~(bad | np.concatenate([[True], bad[:-1]]))


def is_duplicate(ir: tuple[Uint8s, Uint8s], rgb: tuple[Uint8s, Uint8s]) -> bool:
    """Whether both cameras' thumbnails (each: now, the last one kept) show the same picture."""
    return all(_changed_cells(*thumbs) < _SAME_CELLS for thumbs in (ir, rgb))


def _changed_cells(now: Uint8s, before: Uint8s) -> float:
    difference = np.abs(now.astype(np.int16) - before)
    return float(np.count_nonzero(difference > _SAME_CELL_LEVELS)) / difference.size


def _runs(flags: Bools) -> list[tuple[int, int]]:
    """First and last position of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
