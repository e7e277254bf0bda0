"""How much later one recording started than the other, from when and where things move in each.

Two cameras that look at one scene see motion at the same moments, whatever their modalities. Four curves are
compared: how much moves, where its centre is in x and in y, and how far it spreads in x. A correlation does not see
scale and shift, so the two cameras may look at the scene through different lenses. Each frame interval of the slower
recording, shifted by a candidate offset, is held against what the faster one shows within just that interval; the
integral of its motion is continuous in time, so the offset is found between frames too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.time_offset.matching import vertex
from vr.runtime.time_offset.motion import Float64s, motion_curves

_COARSE_STEP_S, _FINE_STEP_S = 0.01, 0.005
_COARSE_TREND_S, _FINE_TREND_S = 6.0, 1.0
_FINE_RANGE_S = 0.2
_RIVAL_S = 0.4
_WEIGHTS = (1.0, 1.0, 0.5, 0.5)
_LEAST_INTERVALS = 24
_LEAST_OVERLAP = 0.4
_LEAST_CONFIDENCE = 0.3
_LEAST_EVIDENCE = 40.0
_INDEPENDENT_PER_S = 10.0
_HIGHEST_CORRELATION = 0.999

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Motion:
    """Motion of one recording of n frames.

    time_s: (n,) rising. moments: (n, 5) `motion_moments` of each frame's difference to the one before.
    usable: (n,) False where the difference says nothing of the scene (dark, frozen, or the jump after either).
    """

    time_s: Float64s
    moments: Float64s
    usable: Bools


@dataclass(frozen=True)
class Offset:
    """An estimated offset.

    offset_ms: an IR frame of time t was taken when the RGB recording was at `t + offset_ms`.
    correlation: of the amount of motion at this offset, after its slow trend is taken out, -1 to 1.
    confidence: 0 (another offset explains the motion as well) to 1 (no other explains any of it).
    """

    offset_ms: float
    correlation: float
    confidence: float


def estimate_offset(ir: Motion, rgb: Motion, max_offset_s: float) -> Offset:
    """The offset within +-`max_offset_s` at which the motions agree best.

    Raises InputError where none is clearly better than the others: too short, nothing moves, or all moves evenly.
    """
    swapped = _rate(ir) > _rate(rgb)
    slow, fast = (rgb, ir) if swapped else (ir, rgb)
    if min(len(slow.time_s), len(fast.time_s)) <= _LEAST_INTERVALS:
        raise _refusal("a recording is too short")
    low, high = _possible_s(slow, fast, max_offset_s)
    found = _estimate(slow, fast, np.arange(low, high, _COARSE_STEP_S, dtype=np.float64))
    return Offset(-found.offset_ms, found.correlation, found.confidence) if swapped else found


def _estimate(slow: Motion, fast: Motion, offsets_s: Float64s) -> Offset:
    """Offset of slow to fast: the best of all by the four curves, then finely around it by the amount of motion."""
    evidence = np.array([_evidence(row) for row in _correlations(slow, fast, offsets_s, _COARSE_TREND_S)])
    # Neighbouring intervals of a fast camera repeat each other; counted fully they would look like proof.
    evidence *= min(1.0, _INDEPENDENT_PER_S / _rate(slow))
    if not len(evidence) or evidence.max() <= 0.0:
        raise _refusal("too little of the two recordings shows motion at the same time")
    best = int(evidence.argmax())
    rival = float(evidence.max(initial=0.0, where=np.abs(offsets_s - offsets_s[best]) > _RIVAL_S))
    confidence = 1.0 - rival / float(evidence[best])
    if confidence < _LEAST_CONFIDENCE or evidence[best] < _LEAST_EVIDENCE:
        raise _refusal(
            f"the motions agree hardly better at one offset than elsewhere (confidence {confidence:.2f} of at least "
            f"{_LEAST_CONFIDENCE:g}, evidence {evidence[best]:.0f} of at least {_LEAST_EVIDENCE:g})"
        )
    offset_s, correlation = _refine(slow, fast, float(offsets_s[best]))
    return Offset(1000.0 * offset_s, correlation, confidence)


def _refine(slow: Motion, fast: Motion, offset_s: float) -> tuple[float, float]:
    """The best offset near `offset_s`, from fast changes alone, and the correlation of the amount of motion there."""
    steps = round(_FINE_RANGE_S / _FINE_STEP_S)
    fine_s: Float64s = offset_s + np.arange(-steps, steps + 1, dtype=np.float64) * _FINE_STEP_S
    rows = _correlations(slow, fast, fine_s, _FINE_TREND_S)
    evidence = np.array([_evidence(row) for row in rows])
    top = int(evidence.argmax())
    return float(fine_s[top] + vertex(evidence, top) * _FINE_STEP_S), float(rows[top][1])


def _refusal(why: str) -> InputError:
    return InputError(
        f"cannot tell the offset in time: {why}; expected something that moves now and then, seen by both cameras for "
        "10 s or more; give --offset-ms N (0 if both recordings started together)"
    )


def _rate(motion: Motion) -> float:
    return (len(motion.time_s) - 1) / max(float(motion.time_s[-1] - motion.time_s[0]), 1e-9)


def _possible_s(slow: Motion, fast: Motion, max_offset_s: float) -> tuple[float, float]:
    low = max(-max_offset_s, float(fast.time_s[0] - slow.time_s[-1]))
    high = min(max_offset_s, float(fast.time_s[-1] - slow.time_s[0]))
    return low, high + _COARSE_STEP_S / 2.0


def _correlations(slow: Motion, fast: Motion, offsets_s: Float64s, trend_s: float) -> list[tuple[float, ...]]:
    """Per offset: number of intervals compared (0: too few overlap), then the correlation of each curve."""
    start, end, usable = slow.time_s[:-1], slow.time_s[1:], slow.usable[1:]
    flat = _Flattener(end, trend_s)
    levels = [flat(curve, usable) for curve in motion_curves(slow.moments[1:])]
    moments = _integral(fast, np.where(fast.usable[:, None], fast.moments, 0.0))
    unusable = _integral(fast, (~fast.usable)[:, None].astype(np.float64))
    least = max(
        _LEAST_INTERVALS, round(_LEAST_OVERLAP * min(usable.sum(), fast.usable.mean() * _rate_span(slow, fast)))
    )
    rows: list[tuple[float, ...]] = []
    for offset_s in offsets_s:
        a, b = start + offset_s, end + offset_s
        inside = usable & (a >= fast.time_s[0] - 1e-6) & (b <= fast.time_s[-1] + 1e-6)
        inside &= unusable(a, b)[:, 0] < 1e-9
        if np.count_nonzero(inside) < least:
            rows.append((0.0,) * (1 + len(levels)))
            continue
        seen = [flat(curve, inside) for curve in motion_curves(moments(a, b))]
        pairs = zip(levels, seen, strict=True)
        rows.append((float(inside.sum()), *(_correlation(x[inside], y[inside]) for x, y in pairs)))
    return rows


def _rate_span(slow: Motion, fast: Motion) -> float:
    """How many intervals of the slow recording the fast one is long."""
    return float(fast.time_s[-1] - fast.time_s[0]) * _rate(slow)


def _integral(motion: Motion, values: Float64s) -> Callable[[Float64s, Float64s], Float64s]:
    """The sum of (n, k) `values` from times a to b, (m, k); a value is spread over the interval before its frame."""
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values[1:], axis=0)])

    def between(a: Float64s, b: Float64s) -> Float64s:
        columns = [np.interp(b, motion.time_s, column) - np.interp(a, motion.time_s, column) for column in total.T]
        return np.stack(columns, axis=1)

    return between


class _Flattener:
    """Takes the slow trend out of curves: what remains is when something happens, not how much is in view."""

    def __init__(self, time_s: Float64s, trend_s: float) -> None:
        width = max(3, round(trend_s / max(float(np.median(np.diff(time_s))), 1e-6)))
        self._kernel = np.hanning((width | 1) + 2)[1:-1]

    def __call__(self, curve: Float64s, usable: Bools) -> Float64s:
        weights = usable.astype(np.float64)
        return curve - self._smooth(curve * weights) / np.maximum(self._smooth(weights), 1e-9)

    def _smooth(self, values: Float64s) -> Float64s:
        half = len(self._kernel) // 2
        return np.convolve(values, self._kernel, mode="full")[half : half + len(values)]


def _evidence(row: tuple[float, ...]) -> float:
    """How much better than chance: the log likelihood ratio of correlated against independent Gaussian curves."""
    count, *correlations = row
    clipped = np.clip(correlations, 0.0, _HIGHEST_CORRELATION)
    return float(count * np.sum(-0.5 * np.log1p(-(clipped**2)) * _WEIGHTS))


def _correlation(a: Float64s, b: Float64s) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 1e-9 else 0.0
