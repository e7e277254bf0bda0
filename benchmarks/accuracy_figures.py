"""One method on one pair, and what many of these come to.

A refused pair counts as infinitely far off in medians and shares; in JSON that is null.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_methods import Answer
from benchmarks.protocols import KnownPair
from vr.train.evaluate.measures import finite_or_none, share, warp_error_px

LIMITS_PX = (1.0, 3.0, 5.0, 10.0)
EXACT_LIMITS_PX = (0.3, 1.0, 3.0)
WRONG_PX = 10.0
GOOD_PX = 5.0
BINS = 10
Figures = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One method on one pair. `error_px`: None if refused; `ungated_px`: of what it would have answered, None if
    nothing; `rgb_level`: mean grey level of the RGB frame, 0 to 255.
    """

    folder: str
    name: str
    rgb_level: float
    error_px: float | None
    ungated_px: float | None
    confidence: float | None
    ms: float

    def to_json(self) -> Figures:
        """Rounded to what can be told."""
        digits = {"rgb_level": 1, "error_px": 3, "ungated_px": 3, "confidence": 4, "ms": 2}
        return {
            key: round(value, digits[key]) if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def trial(pair: KnownPair, answer: Answer) -> Trial:
    """Judges an answer by the truth of its pair."""
    error, ungated = (source_error_px(source, pair) for source in (answer.source, answer.ungated))
    return Trial(pair.folder, pair.name, float(pair.rgb.mean()), error, ungated, answer.confidence, answer.ms)


def source_error_px(source: NDArray[np.floating] | None, pair: KnownPair) -> float | None:
    """Mean distance over a 9x9 grid of the RGB frame between found and true source point, px at 320x240."""
    if source is None:
        return None
    rgb_hw, ir_hw = ((frame.shape[0], frame.shape[1]) for frame in (pair.rgb, pair.ir))
    return warp_error_px(source, pair.matrix_rgb_to_ir, rgb_hw, ir_hw)


def errors_px(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """One error per trial, infinity where it was refused."""
    return np.array([np.inf if one.error_px is None else one.error_px for one in trials], np.float64)


def summary(trials: Sequence[Trial], limits_px: Sequence[float] = LIMITS_PX) -> Figures:
    """The figures of one method on a set of pairs."""
    errors = errors_px(trials)
    refused = [one for one in trials if one.error_px is None]
    needless = sum(one.ungated_px is not None and one.ungated_px < GOOD_PX for one in refused)
    wrong = int((np.isfinite(errors) & (errors > WRONG_PX)).sum())
    return {
        "pairs": len(trials),
        "median_px": finite_or_none(np.median(errors)),
        "below_px": {f"{limit:g}": share(errors < limit) for limit in limits_px},
        "refused": len(refused),
        "refused_though_good": needless,
        "confidently_wrong": wrong,
        "below_10_px_or_refused": round(1.0 - wrong / len(trials), 4),
        "median_ms": round(float(np.median([one.ms for one in trials])), 2),
    }


def dark_half(trials: Sequence[Trial]) -> list[Trial]:
    """Those whose RGB frame is darker than the median one."""
    median = float(np.median([one.rgb_level for one in trials]))
    return [one for one in trials if one.rgb_level < median]


def by_group(trials: Sequence[Trial]) -> dict[str, Sequence[Trial]]:
    """All of them, the dark half, and each folder, by name."""
    groups: dict[str, Sequence[Trial]] = {"all": trials, "dark half": dark_half(trials)}
    for folder in sorted({one.folder for one in trials}):
        groups[folder] = [one for one in trials if one.folder == folder]
    return {name: group for name, group in groups.items() if group}


def reliability(said: Iterable[tuple[float, bool]]) -> list[Figures]:
    """(confidence, was right) pairs in bins of a tenth: mean confidence, share of right ones, count; empty bins left
    out.
    """
    pairs = list(said)
    bins: list[Figures] = []
    for index in range(BINS):
        inside = [one for one in pairs if min(int(one[0] * BINS), BINS - 1) == index]
        if inside:
            confidence, right = (float(np.mean([one[k] for one in inside])) for k in range(2))
            bins.append({"confidence": round(confidence, 3), "right": round(right, 3), "pairs": len(inside)})
    return bins


def calibration_error(bins: Sequence[Figures]) -> float:
    """Mean distance between confidence and share of right ones, weighted by pairs (expected calibration error)."""
    total = sum(one["pairs"] for one in bins)
    return round(sum(one["pairs"] * abs(one["confidence"] - one["right"]) for one in bins) / max(total, 1), 3)


def judged(trials: Iterable[Trial]) -> list[tuple[float, bool]]:
    """(confidence, whether the ungated answer was within GOOD_PX) of every trial that has both."""
    known = ((one.confidence, one.ungated_px) for one in trials)
    return [(said, error < GOOD_PX) for said, error in known if said is not None and error is not None]
