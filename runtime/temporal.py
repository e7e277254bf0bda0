"""Fusing estimates over time: the two cameras are one rig, so the transform varies slowly.

`AffineFilter` is an exponentially forgetting mean weighted by confidence, written recursively. With weight
`w`, fused transform `m`, a new estimate `z` of confidence `c`, and `dt` seconds since the last accepted one:

    w <- w * exp(-dt / time_constant_s) + c
    m <- m + (c / w) * (z - m)

which equals `sum(c_i e^(-(t - t_i) / T) z_i) / sum(c_i e^(-(t - t_i) / T))`. Affine transforms are averaged
entry by entry in normalised coordinates: near each other, as the gate keeps them, that is the mean of where
they put each point.

Distance between two transforms: the largest distance, over the four corners of the RGB frame, between the
points that they give, in frame sides of the IR frame. An estimate further from `m` than the gate does not
enter. The gate follows the estimates' own scatter: `gate = clip(3 * rms distance of accepted estimates, 0.02,
0.10)`.

Estimates that the gate turns away build a rival mean of their own. When they agree with each other over
`RELOCK_S` and `RELOCK_COUNT` estimates without one that fits the old mean, the rig has moved, and the rival
takes over.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import State
from vr.runtime.geometry import Float64Array, apply_affine

FRAME_INTERVAL_S = 1.0 / 30.0
TIME_CONSTANT_S = 1.0
HOLD_S = 5.0
GATE_FRAMES = (0.02, 0.10)
GATE_SIGMAS = 3.0
RELOCK_S = 0.5
RELOCK_COUNT = 3
_SCATTER_GAIN = 0.05
_FIRST_SCATTER = (0.05 / GATE_SIGMAS) ** 2
_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])

Transform = NDArray[np.floating]


@dataclass(frozen=True)
class Fused:
    """What to show for a frame: `transform` is theta (2, 3) or flow (2, H, W); None if `state` is refused."""

    state: State
    transform: Transform | None


class TemporalFilter(Protocol):
    """What the aligner asks of a filter."""

    def update(self, transform: Transform | None, confidence: float, time_s: float | None) -> Fused:
        """Takes one frame's estimate, None if it was refused, and returns what to show for the frame.

        time_s: when the frame was taken; None means 1/30 s after the last one. A time before the last one
        starts anew.
        """
        ...

    def reset(self) -> None:
        """Forgets everything."""
        ...


def corner_distance(theta_a: Transform, theta_b: Transform) -> float:
    """Largest distance between corners mapped by two theta (2, 3), in frame sides (2 normalised units)."""
    offsets = apply_affine(theta_a, _CORNERS) - apply_affine(theta_b, _CORNERS)
    return float(np.linalg.norm(offsets, axis=1).max() / 2.0)


class _Clock:
    """Turns optional times into times; tells when they run backwards."""

    def __init__(self) -> None:
        self._last_s: float | None = None

    def tick(self, time_s: float | None) -> tuple[float, bool]:
        """Returns this frame's time and whether it lies before the last one."""
        last_s = self._last_s
        if time_s is None:
            time_s = 0.0 if last_s is None else last_s + FRAME_INTERVAL_S
        self._last_s = time_s
        return time_s, last_s is not None and time_s < last_s


class _Mean:
    """The recursive weighted mean of the module's docstring."""

    def __init__(self, theta: Transform, confidence: float, time_s: float) -> None:
        self.theta: Float64Array = np.asarray(theta, dtype=np.float64)
        self.weight = confidence
        self.count = 1
        self.first_s = self.last_s = time_s

    def add(self, theta: Transform, confidence: float, time_s: float, time_constant_s: float) -> None:
        self.weight = self.weight * math.exp(-(time_s - self.last_s) / time_constant_s) + confidence
        self.theta = self.theta + (confidence / self.weight) * (theta - self.theta)
        self.count += 1
        self.last_s = time_s


class AffineFilter:
    """Fuses theta over time; formula, gate and re-lock in the module's docstring.

    State per frame: `estimated` when this frame's estimate entered the mean; `held` when it did not, and the
    mean is younger than `hold_s`; else `refused`.
    """

    def __init__(self, time_constant_s: float = TIME_CONSTANT_S, hold_s: float = HOLD_S) -> None:
        self._time_constant_s = time_constant_s
        self._hold_s = hold_s
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._clock = _Clock()
        self._mean: _Mean | None = None
        self._rival: _Mean | None = None
        self._scatter = _FIRST_SCATTER

    def update(self, transform: Transform | None, confidence: float, time_s: float | None) -> Fused:
        """See `TemporalFilter.update`; `transform` is theta (2, 3)."""
        now_s, backwards = self._clock.tick(time_s)
        if backwards:
            self._forget()
        if self._mean is not None and now_s - self._mean.last_s > self._hold_s:
            self._forget()
        entered = transform is not None and self._take(transform, confidence, now_s)
        if self._mean is None:
            return Fused("refused", None)
        return Fused("estimated" if entered else "held", self._mean.theta)

    def _take(self, theta: Transform, confidence: float, now_s: float) -> bool:
        """Whether the estimate entered the mean."""
        if self._mean is None:
            self._mean = _Mean(theta, confidence, now_s)
            return True
        distance = corner_distance(theta, self._mean.theta)
        if distance > self._gate():
            return self._take_as_rival(theta, confidence, now_s)
        self._scatter += _SCATTER_GAIN * (distance**2 - self._scatter)
        self._rival = None
        self._mean.add(theta, confidence, now_s, self._time_constant_s)
        return True

    def _take_as_rival(self, theta: Transform, confidence: float, now_s: float) -> bool:
        """Whether the rig has moved: then the rival, this estimate included, becomes the mean."""
        rival = self._rival
        stale = rival is None or now_s - rival.last_s > self._hold_s
        if rival is None or stale or corner_distance(theta, rival.theta) > self._gate():
            self._rival = _Mean(theta, confidence, now_s)
            return False
        rival.add(theta, confidence, now_s, self._time_constant_s)
        if now_s - rival.first_s < RELOCK_S or rival.count < RELOCK_COUNT:
            return False
        self._mean, self._rival = rival, None
        return True

    def _gate(self) -> float:
        return float(np.clip(GATE_SIGMAS * math.sqrt(self._scatter), *GATE_FRAMES))

    def _forget(self) -> None:
        self._mean = self._rival = None
        self._scatter = _FIRST_SCATTER


class DenseFilter:
    """Passes each flow through; shows the last one for up to `hold_s` where a frame has none."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._clock = _Clock()
        self._flow: Transform | None = None
        self._flow_s = 0.0

    def update(self, transform: Transform | None, confidence: float, time_s: float | None) -> Fused:
        """See `TemporalFilter.update`; `transform` is a flow (2, H, W), and `confidence` has no effect."""
        del confidence
        now_s, backwards = self._clock.tick(time_s)
        if transform is not None:
            self._flow, self._flow_s = transform, now_s
            return Fused("estimated", transform)
        if backwards or now_s - self._flow_s > self._hold_s:
            self._flow = None
        return Fused("refused" if self._flow is None else "held", self._flow)
