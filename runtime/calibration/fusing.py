"""From what the network says of many frames to the one transform of a rig, and how sure that is.

The cameras of a rig do not move against each other, so one transform holds for all frames. Answers are fused in two
rounds: the one that most others agree with, then the mean of all that agree with it, each weighed by what its frame
determines (`vr.runtime.evidence`).

How sure that is, is found by drawing the frames again and again with replacement (bootstrap; Efron, Ann. Stat. 7,
1979), in blocks of neighbours, because frames that follow each other make nearly the same error (Kuensch, Ann. Stat.
17, 1989). Errors that all frames of a scene have in common cannot be seen that way; `COMMON_FRAMES` and
`COMMON_SHARE` stand for them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vr.runtime.errors import InputError
from vr.runtime.evidence import Evidence, Transform, Weigher, to_theta
from vr.runtime.geometry import CORNERS, IDENTITY_THETA, Float64Array, SizeHw, apply_matrix, compose, invert
from vr.runtime.temporal import corner_distance

GATE_FRAMES = 0.03
"""Answers whose corners lie so near to each other, in frame sides, agree."""
LEAST_AGREEING, LEAST_SHARE = 8, 0.5
"""So many frames have to agree, and so large a share of those that the network answered."""
DRAWS = 400
BLOCKS = 8
"""The frames are drawn in so many blocks of neighbours."""
COMMON_FRAMES, COMMON_SHARE = 0.0014, 1.15
"""Standard deviation of what all frames of a scene are off by together, frame sides at a corner: at least so much, and
so many times the scatter of single looks, because a scene that is looked at unsurely is seen wrongly by all of them.
"""


@dataclass(frozen=True)
class Sighting:
    """What the network says of one frame pair: `theta` (2, 3) or (3, 3), its confidence and information (6, 6)."""

    theta: Transform
    confidence: float
    information: Transform | None


@dataclass(frozen=True)
class Rig:
    """The transform of a rig.

    theta: (2, 3) or (3, 3) float64. uncertainty_px: with 95 % probability no corner of the RGB picture is off by more,
    px of it. looked: frames that the network was shown. answered: those that it was sure of. agreeing: those whose
    answer is this one.
    """

    theta: Float64Array
    uncertainty_px: float
    looked: int
    answered: int
    agreeing: int


def fuse(sightings: Sequence[Sequence[Sighting]], looked: int, rgb_hw: SizeHw, seed: int = 0) -> Rig:
    """The rig of the sightings of each frame (one or several looks at it), frames in the order of time.

    looked: how many frames were looked at in all. rgb_hw: of the frames whose pixels the uncertainty is in. Raises
    InputError where too few frames agree.
    """
    frames = [list(one) for one in sightings if one]
    centre = most_agreed([one.theta for frame in frames for one in frame])
    near = [] if centre is None else [_agreeing(frame, centre) for frame in frames]
    agreeing = [frame for frame in near if frame]
    check_agreement(looked, len(frames), len(agreeing))
    evidence = _evidence(agreeing)
    theta = _mean(evidence)
    common_frames = math.hypot(COMMON_FRAMES, COMMON_SHARE * _scatter_frames(theta, agreeing))
    uncertainty_px = _uncertainty_px(theta, evidence, common_frames, rgb_hw, seed)
    return Rig(theta, uncertainty_px, looked, len(frames), len(agreeing))


def check_agreement(looked: int, answered: int, agreeing: int) -> None:
    """Raises InputError where too few frames agree."""
    if agreeing >= max(LEAST_AGREEING, LEAST_SHARE * answered):
        return
    if answered < LEAST_AGREEING:
        raise InputError(
            f"the network was sure of {answered} of {looked} frames; expected at least {LEAST_AGREEING}: show both "
            "cameras something warm with an outline (a person, a car), by better light, and for longer (--seconds 60)"
        )
    raise InputError(
        f"only {agreeing} of the {answered} frames that the network was sure of agree on one transform, of {looked} in "
        f"all; expected at least {LEAST_AGREEING} and half of them: both cameras have to be fixed to each other, and "
        "what they look at should be further away than ten times their distance from each other"
    )


def most_agreed(thetas: Sequence[Transform]) -> Transform | None:
    """The one that most others agree with; None of none."""
    if not thetas:
        return None
    points = np.stack([apply_matrix(theta, CORNERS) for theta in thetas])
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1).max(axis=-1) / 2.0
    return thetas[int((np.minimum(apart, GATE_FRAMES)).sum(axis=1).argmin())]


def corners_off_px(theta: Transform, truth: Transform, rgb_hw: SizeHw) -> float:
    """By how many px of the RGB picture its corner that is furthest off would be, were `truth` true."""
    offsets = apply_matrix(compose(invert(theta), truth), CORNERS) - CORNERS
    return float(np.linalg.norm(offsets * np.array(rgb_hw[::-1]) / 2.0, axis=1).max())


def _agreeing(frame: Sequence[Sighting], centre: Transform) -> list[Sighting]:
    return [one for one in frame if corner_distance(one.theta, centre) <= GATE_FRAMES]


def _evidence(frames: Sequence[Sequence[Sighting]]) -> list[list[Evidence]]:
    weigher = Weigher(memory_frames=10_000)
    return [[weigher.weigh(one.theta, one.confidence, one.information) for one in frame] for frame in frames]


def _sums(frame: Sequence[Evidence]) -> tuple[Float64Array, Float64Array]:
    """Weight (n, n) of a frame's answers together, as much as one answer's, and weight times point (n,)."""
    weight = sum((one.trust * one.share for one in frame), start=np.zeros_like(frame[0].share)) / len(frame)
    pull = sum((one.trust * one.share @ one.point for one in frame), start=np.zeros_like(frame[0].point)) / len(frame)
    return weight, pull


def _mean(frames: Sequence[Sequence[Evidence]]) -> Float64Array:
    weights, pulls = zip(*map(_sums, frames), strict=True)
    return to_theta(_solved(np.sum(weights, axis=0), np.sum(pulls, axis=0)))


def _solved(weight: Float64Array, pull: Float64Array) -> Float64Array:
    return np.linalg.solve(weight + 1e-9 * np.eye(len(pull)), pull).astype(np.float64)


def _scatter_frames(theta: Float64Array, frames: Sequence[Sequence[Sighting]]) -> float:
    """Median over all looks of the distance of a corner of the RGB picture from where `theta` has it, frame sides."""
    back = invert(theta)
    apart = [corner_distance(compose(back, one.theta), IDENTITY_THETA) for frame in frames for one in frame]
    return float(np.median(apart))


def _uncertainty_px(
    theta: Float64Array, frames: Sequence[Sequence[Evidence]], common_frames: float, rgb_hw: SizeHw, seed: int
) -> float:
    """See `Rig`: the 95th percentile over draws of the frames, each moved by an error that all have in common."""
    rng = np.random.default_rng(seed)
    weights, pulls = (np.stack(part) for part in zip(*map(_sums, frames), strict=True))
    count = min(BLOCKS, len(frames))
    block_of = np.arange(len(frames)) * count // len(frames)
    off_px: list[float] = []
    for _ in range(DRAWS):
        # How often each block is drawn, and with it each of its frames.
        times = np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)[block_of]
        point = _solved((times @ weights.reshape(len(frames), -1)).reshape(weights.shape[1:]), times @ pulls)
        off_px.append(corners_off_px(theta, compose(to_theta(point), _common_error(rng, common_frames)), rgb_hw))
    return float(np.percentile(off_px, 95.0))


def _common_error(rng: np.random.Generator, frames: float) -> Float64Array:
    """(2, 3) near the identity: moves each corner by about so many frame sides, in a random affine way."""
    # Six numbers of one size: a corner (1, 1) is moved by the sum of three.
    size = 2.0 * frames / math.sqrt(3.0)
    return np.eye(3)[:2] + size * rng.normal(size=(2, 3))
