"""Tracks: transforms that several estimates agree on.

A track remembers its estimates in two exponentially forgetting weighted least-squares fits of a line through time,
one with the rig's long memory and one with its short one. With weights W_i (see `vr.runtime.evidence`) and ages
a_i = t_i - t <= 0 in time constants, a fit minimises

    sum exp(a_i) (z_i - m - a_i v)^T W_i (z_i - m - a_i v)

over the transform m of now and its speed v, with a pull of v to 0 that matters only while the ages are short. For a
transform at rest the long fit is best; a drift leaves it behind, and the short one follows. Which to believe is read
from their distance d against the `tolerance` that noise alone explains: the track's transform is

    m = s m_long + (1 - s) m_short,    s = 1 / (1 + (d / tolerance)^4)

the smooth form of choosing the longest memory that the recent evidence does not contradict (Lepski's rule).
"""

import math
from dataclasses import dataclass

import numpy as np

from vr.runtime.evidence import Evidence
from vr.runtime.geometry import Float64Array
from vr.runtime.rigs import RigPrior

REST_PULL = 0.05
"""Weight of a speed of 0, in units of what the memory itself says about the speed once it is full."""
ANCHOR_MASS = 0.05
"""Weight, in frames, of what was believed before where the estimates of a memory leave a direction open."""
FIRST_SCATTER_FRAMES = 0.006
TOLERANCE_SIGMAS = 2.0
CORRELATED_S = 0.15
"""Frames so near in time make nearly the same error, and count as one."""
GATE_SIGMAS = 4.0
SETTLED_COUNT = 4
SURENESS = 10.0
"""How much surer of a direction a track is held to be, when it is compared, than the estimates that it is made of."""
_SCATTER_FRAMES = 30


class Memory:
    """One fit of the module's docstring, kept as its sums."""

    def __init__(self, time_constant_s: float, size: int) -> None:
        """size: n, 6 of an affine, 8 of a homography."""
        self._time_constant_s = time_constant_s
        self._size = size
        self._weights: Float64Array = np.zeros((3, size, size))
        self._pulls: Float64Array = np.zeros((2, size))
        self._anchor_weight: Float64Array = ANCHOR_MASS * np.eye(size)

    @property
    def weight(self) -> Float64Array:
        """(n, n): how many full estimates it holds, by direction."""
        return self._weights[0]

    @property
    def mass(self) -> float:
        """How many full estimates it holds."""
        return float(np.trace(self.weight)) / self._size

    def add(self, evidence: Evidence, passed_s: float) -> None:
        """Ages everything by `passed_s`, then adds an estimate of now."""
        age = passed_s / self._time_constant_s
        w0, w1, w2 = self._weights
        z0, z1 = self._pulls
        keep = math.exp(-age)
        self._weights = keep * np.stack([w0, w1 - age * w0, w2 - 2.0 * age * w1 + age * age * w0])
        self._pulls = keep * np.stack([z0, z1 - age * z0])
        weight = evidence.trust * evidence.share
        self._weights[0] += weight
        self._pulls[0] += weight @ evidence.point

    def solve(self, anchor: Float64Array) -> Float64Array:
        """The transform (n,) of now; `anchor` (n,) decides what no estimate determines."""
        w0, w1, w2 = self._weights
        n, anchored = self._size, w0 + self._anchor_weight
        system: Float64Array = np.empty((2 * n, 2 * n))
        system[:n, :n], system[n:, n:] = anchored, w2 + REST_PULL * anchored
        system[:n, n:] = system[n:, :n] = w1
        right = np.concatenate([self._pulls[0] + ANCHOR_MASS * anchor, self._pulls[1]])
        solution: Float64Array = np.linalg.solve(system, right).astype(np.float64)
        return solution[:n]


@dataclass
class _Scatter:
    """Mean squared distance of estimates from the track, frame sides squared; grows slowly, as outliers and knocks
    are no scatter.
    """

    mean_square: float = FIRST_SCATTER_FRAMES**2
    count: int = 3

    def add(self, distance: float) -> None:
        self.count = min(self.count + 1, _SCATTER_FRAMES)
        self.mean_square += (min(distance**2, 2.0 * self.mean_square) - self.mean_square) / self.count


class Track:
    """One transform and the memory of the estimates that agreed on it."""

    def __init__(self, evidence: Evidence, time_s: float, prior: RigPrior) -> None:
        self._prior = prior
        self._long, self._short = (Memory(s, evidence.point.size) for s in (prior.memory_s, prior.recent_s))
        self._scatter = _Scatter()
        self._long_point = self._short_point = self.point = evidence.point
        self.first_s = self.last_s = time_s
        self.count = 0
        self.add(evidence, time_s)

    def add(self, evidence: Evidence, time_s: float) -> None:
        """Takes an estimate that it `accepts`."""
        if self.count:
            self._scatter.add(self._distance_to(self._short_point, evidence))
        for memory in (self._long, self._short):
            memory.add(evidence, time_s - self.last_s)
        self.count += 1
        self.last_s = time_s
        self._long_point = self._long.solve(self._long_point)
        self._short_point = self._short.solve(self._long_point)
        self.point = self._short_point + self._stillness() * (self._long_point - self._short_point)

    def is_settled(self) -> bool:
        """Whether enough estimates agreed for long enough that it takes a knock to leave the track."""
        return self.count >= SETTLED_COUNT and self.last_s - self.first_s >= self._prior.relock_s

    def accepts(self, evidence: Evidence) -> bool:
        """Whether the estimate belongs to the track."""
        return self.distance_frames(evidence) <= self.gate_frames()

    def gate_frames(self) -> float:
        """How far an estimate may be off and still belong to the track; follows the scatter of those that did."""
        return float(np.clip(GATE_SIGMAS * math.sqrt(self._scatter.mean_square), *self._prior.gate_frames))

    def distance_frames(self, evidence: Evidence) -> float:
        """Distance of an estimate from the track, in frame sides: to the nearer of what it shows and the recent."""
        return min(self._distance_to(self.point, evidence), self._distance_to(self._short_point, evidence))

    def _distance_to(self, point: Float64Array, evidence: Evidence) -> float:
        return evidence.distance_frames(point, SURENESS * self._long.weight + 1e-9 * np.eye(point.size))

    def _stillness(self) -> float:
        """The share `s` of the module's docstring."""
        mass = max(self._short.mass, 0.01)
        independent = mass / (1.0 + mass * min(CORRELATED_S / self._prior.recent_s, 1.0))
        tolerance = TOLERANCE_SIGMAS * math.sqrt(self._scatter.mean_square / independent) + 1e-9
        apart = float(np.linalg.norm(self._long_point - self._short_point)) / tolerance
        return 1.0 / (1.0 + min(apart, 1e3) ** 4)
