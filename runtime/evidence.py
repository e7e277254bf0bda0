"""What one frame pair says about the transform, and in which directions.

A theta is a vector of its free entries, row by row: six of an affine (2, 3), eight of a homography (3, 3). Here it is
brought into a basis in which its squared length is the mean over the frame of the squared displacement that it means,
in frame sides of the IR frame ("frames"): `u = BASIS @ theta`, where a point of the frame is spread over [-1, 1], so
that x^2 has the mean 1/3. An affine needs a scale for each entry. A homography's last two, g and h, move a point, to
first order and near the identity, by `-(g x + h y) (x, y)`: a shift by -(g, h) / 3, and orthogonal to all other entries
a bend with the mean square (g^2 + h^2) / 5 in squared normalised units.

A network that finds an affine gives its information as the normal matrix H (6, 6) of its last Gauss-Newton round: of
an increment D (2, 3) on the fixed side, `theta_true = theta o (I + D)^-1`. To first order the step of theta is `-L D`,
with L = theta[:, :2], so of theta itself the information is `(L^-1 (x) I)^T H (L^-1 (x) I)`, a Kronecker product.

H counts edges and knows nothing of what all edges of a frame have in common (parallax, the difference between the
modalities), which keeps even a frame full of edges from being exact. So the weight of an estimate saturates:
`W = H (H + FLOOR * r I)^-1`, with r the usual mean information per direction. Its eigenvalues lie in [0, 1): near 1
where the frame determines the transform as well as frames usually do, near 0 where it says nothing. No absolute
scale enters.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, to_3x3

FLOOR = 0.1
CONFIDENCE_POWER = 4

Transform = NDArray[np.floating[Any]]


def _basis() -> Float64Array:
    """(8, 8) of the module's docstring; upper triangular, so an affine's is its first block, and the inverse's too."""
    row = [math.sqrt(1.0 / 3.0), math.sqrt(1.0 / 3.0), 1.0]
    basis: Float64Array = np.diag([*row, *row, math.sqrt(0.2), math.sqrt(0.2)]) / 2.0
    basis[2, 6] = basis[5, 7] = -1.0 / 6.0
    return basis


BASIS = _basis()
_EYE: Float64Array = np.eye(3)
_FROM_BASIS: Float64Array = np.linalg.inv(BASIS).astype(np.float64)


@dataclass(frozen=True)
class Evidence:
    """One estimate: `point` (n,) is theta in BASIS, with n 6 or 8, `share` (n, n) is W, and `trust` in [0, 1] the
    confidence's part.

    An estimate that is wrong with some probability is worth less than that probability says, hence the power.
    """

    point: Float64Array
    share: Float64Array
    trust: float

    @property
    def mass(self) -> float:
        """How much it counts on the whole, in [0, 1]."""
        return self.trust * float(np.trace(self.share)) / self.point.size

    def distance_frames(self, point: Float64Array, sureness: Float64Array) -> float:
        """How far `point` is from the estimate where both are determined; rms over the frame, in frame sides.

        sureness (n, n) is to `point` what `share` is to the estimate, but unbounded. A direction counts by their
        parallel sum, `share (share + sureness)^-1 sureness`: little if either says little.
        """
        offset = self.point - point
        common = self.share @ np.linalg.solve(self.share + sureness, sureness @ offset)
        return math.sqrt(max(float(offset @ common), 0.0))


class Weigher:
    """Turns network answers into `Evidence`; learns how much information frames usually carry."""

    def __init__(self, memory_frames: int = 300) -> None:
        self._memory_frames = memory_frames
        self._seen = 0
        self._usual = 0.0

    def weigh(self, theta: Transform, confidence: float, information: Transform | None) -> Evidence:
        """The evidence of theta, (2, 3) or (3, 3); information (6, 6) of an affine as networks give it, None counts all
        directions alike.
        """
        point = to_point(theta)
        trust = min(max(confidence, 0.0), 1.0) ** CONFIDENCE_POWER
        known = None if information is None else _scaled(information, theta)
        if known is None:
            return Evidence(point, np.eye(point.size), trust)
        floor = FLOOR * self._learn(float(np.trace(known)) / 6.0)
        share = np.linalg.solve(known + floor * np.eye(6), known)
        return Evidence(point, (share + share.T) / 2.0, trust)

    def _learn(self, level: float) -> float:
        """The mean level so far, of the last frames once there are many."""
        self._seen = min(self._seen + 1, self._memory_frames)
        self._usual += (level - self._usual) / self._seen
        return self._usual


def to_point(theta: Transform) -> Float64Array:
    """Theta in BASIS: (6,) of (2, 3), (8,) of (3, 3) with last entry 1."""
    entries = np.asarray(theta, dtype=np.float64).ravel()[:8]
    return BASIS[: entries.size, : entries.size] @ entries


def to_theta(point: Float64Array) -> Float64Array:
    """Inverse of `to_point`."""
    entries = _FROM_BASIS[: point.size, : point.size] @ point
    return entries.reshape(2, 3) if point.size == 6 else np.append(entries, 1.0).reshape(3, 3)


def theta_information(information: Transform, theta: Transform) -> Float64Array:
    """Information (6, 6) of an increment on the fixed side as information of the entries of theta (2, 3)."""
    inverse = np.linalg.inv(to_3x3(theta)[:2, :2])
    # The Kronecker product with the identity; np.kron takes several times as long.
    change = (inverse[:, None, :, None] * _EYE[None, :, None, :]).reshape(6, 6)
    return change.T @ np.asarray(information, dtype=np.float64) @ change


def _scaled(information: Transform, theta: Transform) -> Float64Array | None:
    """Information of the point; None if it is no information matrix of an affine."""
    if theta.shape != (2, 3) or information.shape != (6, 6) or not np.isfinite(information).all():
        return None
    scaled = _FROM_BASIS[:6, :6] @ theta_information(information, theta) @ _FROM_BASIS[:6, :6]
    scaled = (scaled + scaled.T) / 2.0
    lowest, highest = np.linalg.eigvalsh(scaled)[[0, -1]]
    return scaled if highest > 0.0 and lowest >= -1e-3 * highest else None
