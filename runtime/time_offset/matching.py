"""The offset in time between two cameras, from the motion that each saw.

Amount, centre and spread of motion over time are correlated at every candidate offset; the best is refined by their
fast changes alone, because slow ones differ where one camera sees things come before the other does. Both cameras'
motion is taken over nearly the same lag (`track.LAG_S`) and dated in its middle, whatever their rates: motion over 33
and over 111 ms differ in what rises above the noise, which shifts the best offset by tens of ms. How far the best
offset moves when a part of the time is left out (jackknife; Efron and Stein, Ann. Stat. 9, 1981), and how far the
curves disagree, says how sure it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vr.runtime.time_offset.motion import motion_curves

_STEP_S = 0.01
_COARSE_TREND_S, _FINE_TREND_S = 6.0, 0.7
_FINE_RANGE_S, _FINE_STEP_S = 0.3, 0.005
_RIVAL_S = 0.4
_CURVE_WEIGHTS = (1.0, 1.0, 0.5, 0.5)
_FINE_WEIGHTS = (1.0, 1.0, 1.0, 0.0)
_PARTS = 6
_LEAST_SAMPLES = 50
_LEAST_SPAN_S = 8.0
_MOST_PER_S = 13.0
_LONGEST_GAP_S = 0.3
_HIGHEST_CORRELATION = 0.999

Float64s = NDArray[np.float64]


@dataclass(frozen=True)
class MotionSeries:
    """time_s: (n,) rising, the middle of each interval. moments: (n, 5), see `motion.motion_moments`."""

    time_s: Float64s
    moments: Float64s


@dataclass(frozen=True)
class Match:
    """The offset at which two series agree best.

    offset_ms: an IR frame of time t was taken when the RGB clock was at `t + offset_ms`.
    confidence: 0 (another offset explains the motion as well) to 1 (no other explains any of it).
    evidence: log likelihood ratio of this offset against motions that have nothing in common.
    uncertainty_ms: standard deviation of the offset, over time and over curves.
    """

    offset_ms: float
    confidence: float
    evidence: float
    uncertainty_ms: float


def match_motion(ir: MotionSeries, rgb: MotionSeries, max_offset_s: float) -> Match | None:
    """The best offset within +-`max_offset_s`, however good; None where too little was seen to say anything."""
    if min(len(ir.time_s), len(rgb.time_s)) < _LEAST_SAMPLES or min(_span_s(ir), _span_s(rgb)) < _LEAST_SPAN_S:
        return None
    sign = 1.0 if _rate(ir) <= _rate(rgb) else -1.0
    slow, fast = (ir, rgb) if sign > 0 else (rgb, ir)
    slow = _thinned(slow)
    offsets_s = np.arange(-max_offset_s, max_offset_s + _STEP_S / 2, _STEP_S)
    coarse = _evidence(slow, fast, offsets_s, _COARSE_TREND_S)[:, :, 0] @ np.array(_CURVE_WEIGHTS)
    best = int(coarse.argmax())
    if coarse[best] <= 0.0:
        return None
    rival = float(coarse.max(initial=0.0, where=np.abs(offsets_s - offsets_s[best]) > _RIVAL_S))
    offset_s, deviation_s = _refine(slow, fast, float(offsets_s[best]))
    return Match(sign * offset_s * 1000.0, 1.0 - rival / float(coarse[best]), float(coarse[best]), deviation_s * 1000.0)


def _refine(slow: MotionSeries, fast: MotionSeries, offset_s: float) -> tuple[float, float]:
    """The best offset near `offset_s`, from fast changes alone, and its standard deviation."""
    steps = round(_FINE_RANGE_S / _FINE_STEP_S)
    offsets_s: Float64s = offset_s + np.arange(-steps, steps + 1, dtype=np.float64) * _FINE_STEP_S
    evidence = _evidence(slow, fast, offsets_s, _FINE_TREND_S)
    weighted = evidence * np.array(_FINE_WEIGHTS)[:, None]
    by_part = [_top(offsets_s, weighted[:, :, part].sum(axis=1)) for part in range(_PARTS + 1)]
    return by_part[0], float(np.hypot(_jackknife(by_part[1:]), _disagreement(offsets_s, weighted[:, :, 0])))


def _disagreement(offsets_s: Float64s, evidence: Float64s) -> float:
    """Standard deviation of the curves' own best offsets, each counted by its (offsets, curves) evidence."""
    tops = np.array([_top(offsets_s, curve) for curve in evidence.T])
    weights = evidence.max(axis=0)
    mean = np.average(tops, weights=weights)
    return float(np.sqrt(np.average((tops - mean) ** 2, weights=weights)))


def _jackknife(without_one: list[float]) -> float:
    count = len(without_one)
    return float(np.sqrt((count - 1) * np.var(without_one)))


def _evidence(slow: MotionSeries, fast: MotionSeries, offsets_s: Float64s, trend_s: float) -> Float64s:
    """(offsets, curves, 1 + parts): log likelihood ratio of correlated against independent Gaussian curves, from all
    samples of `slow`, and from all but those of one part of the time each. 0 where too few samples overlap.
    """
    grid_s, fast_values, known = _on_grid(fast, trend_s)
    slow_grid_s, slow_trend = _trend(slow, trend_s)
    place = np.rint((slow.time_s[None] + offsets_s[:, None] - grid_s[0]) / _STEP_S).astype(np.int64)
    inside = (place >= 0) & (place < len(grid_s))
    place = np.where(inside, place, 0)
    both = (inside & known[place]).astype(np.float64)
    parts = np.arange(len(slow.time_s)) * _PARTS // len(slow.time_s)
    member = np.concatenate([np.ones((len(parts), 1)), parts[:, None] != np.arange(_PARTS)], axis=1)
    count = both @ member
    rows: list[Float64s] = []
    for curve, values, trend in zip(motion_curves(slow.moments), fast_values, slow_trend, strict=True):
        a = (curve - np.interp(slow.time_s, slow_grid_s, trend))[:, None] * member
        rows.append(_correlation(both, values[place] * both, a, member, count))
    clipped = np.clip(np.stack(rows, axis=1), 0.0, _HIGHEST_CORRELATION)
    counted = np.where(count >= _LEAST_SAMPLES * (_PARTS - 1) / _PARTS, count, 0.0)
    return counted[:, None] * -0.5 * np.log1p(-(clipped**2))


def _correlation(both: Float64s, b: Float64s, a: Float64s, member: Float64s, count: Float64s) -> Float64s:
    """(offsets, 1 + parts) correlation coefficients of a: (n, 1 + parts), b: (offsets, n), 0 where not `both`."""
    n = np.maximum(count, 1.0)
    mean_a, mean_b = both @ a / n, b @ member / n
    covariance = b @ a / n - mean_a * mean_b
    variances = (both @ (a * a) / n - mean_a**2) * ((b * b) @ member / n - mean_b**2)
    return covariance / np.sqrt(np.maximum(variances, 1e-18))


def _on_grid(series: MotionSeries, trend_s: float) -> tuple[Float64s, list[Float64s], NDArray[np.bool_]]:
    """Times every _STEP_S, each curve there without its trend, and where the series has samples on both sides."""
    grid_s, curves, known = _resampled(series)
    return grid_s, [curve - _smooth(curve, known, trend_s) for curve in curves], known


def _trend(series: MotionSeries, trend_s: float) -> tuple[Float64s, list[Float64s]]:
    grid_s, curves, known = _resampled(series)
    return grid_s, [_smooth(curve, known, trend_s) for curve in curves]


def _resampled(series: MotionSeries) -> tuple[Float64s, list[Float64s], NDArray[np.bool_]]:
    time_s = series.time_s
    grid_s = np.arange(time_s[0], time_s[-1] + _STEP_S, _STEP_S)
    after = np.clip(np.searchsorted(time_s, grid_s), 1, len(time_s) - 1)
    known = time_s[after] - time_s[after - 1] <= _LONGEST_GAP_S
    return grid_s, [np.interp(grid_s, time_s, curve) for curve in motion_curves(series.moments)], known


def _smooth(values: Float64s, known: NDArray[np.bool_], trend_s: float) -> Float64s:
    """Weighted by a triangle of full width `trend_s`: a moving mean of a moving mean, over known values."""
    half = max(1, round(trend_s / _STEP_S / 4))
    weights = known.astype(np.float64)
    total = _moving_sum(_moving_sum(values * weights, half), half)
    return total / np.maximum(_moving_sum(_moving_sum(weights, half), half), 1e-9)


def _moving_sum(values: Float64s, half: int) -> Float64s:
    """Of `half` values on both sides and the one in the middle; outside there are zeros."""
    sums = np.concatenate([[0.0], np.cumsum(np.pad(values, half))])
    return sums[2 * half + 1 :] - sums[: -(2 * half + 1)]


def _thinned(series: MotionSeries) -> MotionSeries:
    """Neighbours of a fast camera repeat each other; counted fully they would look like proof."""
    step = max(1, int(_rate(series) / _MOST_PER_S))
    return MotionSeries(series.time_s[::step], series.moments[::step])


def _span_s(series: MotionSeries) -> float:
    return float(series.time_s[-1] - series.time_s[0])


def _rate(series: MotionSeries) -> float:
    """Samples per second where there are samples, so that gaps do not count."""
    return 1.0 / max(float(np.median(np.diff(series.time_s))), 1e-3)


def _top(offsets_s: Float64s, scores: Float64s) -> float:
    top = int(scores.argmax())
    return float(offsets_s[top] + vertex(scores, top) * _FINE_STEP_S)


def vertex(scores: Float64s, top: int) -> float:
    """Where, in steps from `top`, the parabola through the best score and its neighbours has its top."""
    if not 0 < top < len(scores) - 1:
        return 0.0
    before, peak, after = scores[top - 1 : top + 2]
    bend = before - 2.0 * peak + after
    return float(0.5 * (before - after) / bend) if bend < -1e-12 else 0.0
