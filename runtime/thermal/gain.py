"""16-bit infrared to 8 bit, steady over time.

`percentile`: a linear stretch between the 1st and the 99th percentile, of the first frame as
`vr.runtime.preprocess.to_8bit`. `plateau`: histogram equalisation in which no level counts more than a plateau, so that
a large even background does not take all grey levels (V. E. Vickers, Plateau equalization algorithm for real-time
display of high-quality infrared imagery, Optical Engineering 35(7), 1996).
"""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Uint8Array = NDArray[np.uint8]
Uint16Array = NDArray[np.uint16]
Float64Array = NDArray[np.float64]

GAINS = ("percentile", "plateau")
SETTLE_S = 1.0
"""Time constant with which the gain follows the scene."""
_CATCH_UP_S = 0.15
"""The same once the scene is another one, until the gain fits it."""
_PERCENTILES = (1.0, 99.0)
_SAMPLE_STEP = 4
_SENSOR_LIMITS = (0, 65535)
"""Values of pixels that are dead or saturated."""
_LIT_AT_LEAST = 0.05
_OUTSIDE_AT_MOST = 0.3
_SPAN_AT_LEAST = 0.2
_CAUGHT_UP_WITHIN = 0.05
_BIN_BITS = 2
_PLATEAU_OF_MEAN = 2.0


class Gain:
    """Frames of one video, in order, to 8 bit."""

    def __init__(self, kind: str) -> None:
        """kind: one of GAINS."""
        self._tone: _Tone = _Plateau() if kind == "plateau" else _Linear()
        self._limits: Float64Array | None = None
        self._last_s = 0.0
        self._catches_up = False

    @property
    def limits(self) -> tuple[float, float] | None:
        """What lies at the 1st and the 99th percentile, smoothed over time; None before the first frame."""
        return None if self._limits is None else (float(self._limits[0]), float(self._limits[1]))

    def __call__(self, frame: Uint16Array, time_s: float) -> Uint8Array:
        """A frame of any shape, taken at `time_s`, to uint8. A larger value never becomes a smaller one."""
        sample = _lit(frame)
        wanted: Float64Array = np.percentile(sample, _PERCENTILES)
        share = 1.0 if self._limits is None else self._share(sample, wanted, time_s - self._last_s)
        self._limits = wanted if self._limits is None else self._limits + share * (wanted - self._limits)
        self._last_s = time_s
        return np.take(self._tone.table(sample, self._limits, share), frame)

    def _share(self, sample: Uint16Array, wanted: Float64Array, passed_s: float) -> float:
        """How far to go from what was towards what this frame alone would get, 0 to 1."""
        assert self._limits is not None
        low, high = float(self._limits[0]), float(self._limits[1])
        span, wanted_span = max(high - low, 1.0), float(wanted[1] - wanted[0])
        outside = np.count_nonzero((sample < low) | (sample > high)) / sample.size
        if outside > _OUTSIDE_AT_MOST or wanted_span < _SPAN_AT_LEAST * span:
            self._catches_up = True
        elif float(np.max(np.abs(wanted - self._limits))) < _CAUGHT_UP_WITHIN * span:
            self._catches_up = False
        return 1.0 - math.exp(-max(passed_s, 0.0) / (_CATCH_UP_S if self._catches_up else SETTLE_S))


class _Tone(Protocol):
    """From raw value to grey level."""

    def table(self, sample: Uint16Array, limits: Float64Array, share: float) -> Uint8Array:
        """(65536,) uint8. limits: smoothed. share: how far to go towards what `sample` alone would get."""
        ...


class _Linear:
    def table(self, sample: Uint16Array, limits: Float64Array, share: float) -> Uint8Array:
        del sample, share  # the limits are all that it knows
        scale = 255.0 / max(float(limits[1] - limits[0]), 1.0)
        return np.clip((np.arange(65536.0) - limits[0]) * scale, 0, 255).astype(np.uint8)


class _Plateau:
    def __init__(self) -> None:
        self._curve: Float64Array | None = None

    def table(self, sample: Uint16Array, limits: Float64Array, share: float) -> Uint8Array:
        del limits
        wanted = _equalised(sample)
        self._curve = wanted if self._curve is None else self._curve + share * (wanted - self._curve)
        return np.repeat(np.rint(self._curve).astype(np.uint8), 1 << _BIN_BITS)


def _equalised(sample: Uint16Array) -> Float64Array:
    """Grey level, 0 to 255, of each bin of raw values: the share of the clipped histogram below its middle."""
    counts = np.bincount(sample >> _BIN_BITS, minlength=65536 >> _BIN_BITS)
    plateau = _PLATEAU_OF_MEAN * counts.sum() / max(np.count_nonzero(counts), 1)
    clipped = np.minimum(counts, plateau)
    return (np.cumsum(clipped) - clipped / 2.0) * (255.0 / clipped.sum())


def _lit(frame: Uint16Array) -> Uint16Array:
    """(n,) every so many-th pixel, without those at the sensor's limits unless nearly all are."""
    sample = frame[::_SAMPLE_STEP, ::_SAMPLE_STEP].ravel()
    lit = sample[(sample > _SENSOR_LIMITS[0]) & (sample < _SENSOR_LIMITS[1])]
    return lit if lit.size >= _LIT_AT_LEAST * sample.size else sample
