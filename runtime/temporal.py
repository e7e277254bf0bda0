"""Fusing estimates over time: the two cameras are one rig, so the transform varies slowly.

`ThetaFilter` sums evidence, not answers: an estimate counts in each direction as much as its frame determines that
direction (`vr.runtime.evidence`). Estimates that agree form a track (`vr.runtime.tracks`); one track is shown, the
others, up to `MAX_RIVALS`, are rivals. How they change places is decided by votes: those of the estimates of the last
`2 * relock_s` seconds, at least the last `MIN_VOTES`, each with the mass of its evidence.

- At first, and after the hold has run out, the track with most votes is shown, if it has half of them.
- A track of `SETTLED_COUNT` estimates over `relock_s` is settled. Where a settled track is shown, a rival replaces it
  only when its votes alone would settle it and are half of all, and the shown one has at most `OLD_SHARE` as many:
  the rig was knocked. Answers that disagree among themselves never get there, nor do those that agree while others
  still support what is shown.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vr.runtime.alignment import State
from vr.runtime.evidence import Evidence, Transform, Weigher, to_theta
from vr.runtime.geometry import CORNERS, apply_matrix
from vr.runtime.rigs import DEFAULT_RIG, RigPrior, rig_prior
from vr.runtime.tracks import SETTLED_COUNT, Track

FRAME_INTERVAL_S = 1.0 / 30.0
DENSE_HOLD_S = 5.0
MAX_RIVALS = 3
MIN_VOTES = 6
OLD_SHARE = 0.15


@dataclass(frozen=True)
class Fused:
    """What to show for a frame: `transform` is theta, (2, 3) or (3, 3), or flow (2, H, W); None if refused."""

    state: State
    transform: Transform | None


class TemporalFilter(Protocol):
    """What the aligner asks of a filter."""

    def update(
        self, transform: Transform | None, confidence: float, information: Transform | None, time_s: float | None
    ) -> Fused:
        """Takes one frame's estimate, None if it was refused, and returns what to show for the frame.

        information: (6, 6), see `vr.runtime.evidence`; None where the model gives none. time_s: when the frame was
        taken; None means 1/30 s after the last one. A time before the last one starts anew.
        """
        ...

    def reset(self) -> None:
        """Forgets everything."""
        ...


def corner_distance(theta_a: Transform, theta_b: Transform) -> float:
    """Largest distance between corners mapped by two theta, (2, 3) or (3, 3), in frame sides (2 normalised units)."""
    offsets = apply_matrix(theta_a, CORNERS) - apply_matrix(theta_b, CORNERS)
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


@dataclass(frozen=True)
class _Vote:
    """An estimate's voice for its track."""

    track: Track
    mass: float
    time_s: float


class ThetaFilter:
    """Fuses theta over time; how is in the module's docstring.

    State per frame: `estimated` when this frame's estimate belongs to the track that is shown; `held` when it does
    not, and the track got its last one less than `hold_s` ago; else `refused`.
    """

    def __init__(self, prior: RigPrior | None = None) -> None:
        """prior: one of `vr.runtime.rigs.RIGS`, default `fixed`."""
        self._prior = rig_prior(DEFAULT_RIG) if prior is None else prior
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._clock = _Clock()
        self._forget()

    def update(
        self, transform: Transform | None, confidence: float, information: Transform | None, time_s: float | None
    ) -> Fused:
        """See `TemporalFilter.update`; `transform` is theta, (2, 3) or (3, 3), of the same shape every time."""
        now_s, backwards = self._clock.tick(time_s)
        if backwards:
            self._forget()
        self._drop_silent(now_s)
        supported: Track | None = None
        if transform is not None:
            supported = self._take(self._weigher.weigh(transform, confidence, information), now_s)
            self._elect()
        if self._shown is None:
            return Fused("refused", None)
        return Fused("estimated" if supported is self._shown else "held", to_theta(self._shown.point))

    def _forget(self) -> None:
        self._weigher = Weigher()
        self._shown: Track | None = None
        self._rivals: list[Track] = []
        self._votes: deque[_Vote] = deque()

    def _drop_silent(self, now_s: float) -> None:
        """Drops the tracks whose hold has run out; with the shown one all votes but those of its rivals."""
        self._rivals = [rival for rival in self._rivals if now_s - rival.last_s <= self._prior.hold_s]
        if self._shown is not None and now_s - self._shown.last_s > self._prior.hold_s:
            self._shown = None
            self._votes = deque(vote for vote in self._votes if vote.track in self._rivals)

    def _tracks(self) -> list[Track]:
        return self._rivals if self._shown is None else [self._shown, *self._rivals]

    def _take(self, evidence: Evidence, now_s: float) -> Track:
        """Gives the estimate to the track that it belongs to, or to a new one, and counts its vote."""
        track = self._home(evidence)
        if track is None:
            track = Track(evidence, now_s, self._prior)
            self._rivals.append(track)
        else:
            track.add(evidence, now_s)
        self._votes.append(_Vote(track, evidence.mass, now_s))
        while len(self._votes) > MIN_VOTES and now_s - self._votes[0].time_s > 2.0 * self._prior.relock_s:
            self._votes.popleft()
        self._drop_weakest_rival(track)
        return track

    def _home(self, evidence: Evidence) -> Track | None:
        """The shown track if the estimate is within its gate, else the nearest rival of which that is true."""
        if self._shown is not None and self._shown.accepts(evidence):
            return self._shown
        near = [rival for rival in self._rivals if rival.accepts(evidence)]
        return min(near, key=lambda rival: rival.distance_frames(evidence), default=None)

    def _drop_weakest_rival(self, newest: Track) -> None:
        if len(self._rivals) > MAX_RIVALS:
            others = [rival for rival in self._rivals if rival is not newest]
            self._rivals.remove(min(others, key=lambda rival: (self._support(rival), rival.last_s)))

    def _elect(self) -> None:
        """Decides which track is shown; the rules are in the module's docstring."""
        best = max(self._tracks(), key=self._support)
        has_half = self._support(best) >= 0.5 * sum(vote.mass for vote in self._votes)
        if self._shown is None or not self._shown.is_settled():
            self._show(best if has_half else None)
        elif has_half and self._insists(best) and self._support(self._shown) <= OLD_SHARE * self._support(best):
            self._show(best)

    def _show(self, track: Track | None) -> None:
        """Shows another track, or none; the one before becomes a rival."""
        if track is not self._shown:
            self._rivals = [other for other in self._tracks() if other is not track]
            self._shown = track

    def _insists(self, track: Track) -> bool:
        """Whether the votes of now alone would settle the track."""
        times_s = [vote.time_s for vote in self._votes if vote.track is track]
        return len(times_s) >= SETTLED_COUNT and times_s[-1] - times_s[0] >= self._prior.relock_s

    def _support(self, track: Track) -> float:
        return sum(vote.mass for vote in self._votes if vote.track is track)


class DenseFilter:
    """Passes each flow through; shows the last one for up to `hold_s` where a frame has none."""

    def __init__(self, hold_s: float = DENSE_HOLD_S) -> None:
        self._hold_s = hold_s
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._clock = _Clock()
        self._flow: Transform | None = None
        self._flow_s = 0.0

    def update(
        self, transform: Transform | None, confidence: float, information: Transform | None, time_s: float | None
    ) -> Fused:
        """See `TemporalFilter.update`; `transform` is a flow (2, H, W), the estimate's quality has no effect."""
        del confidence, information
        now_s, backwards = self._clock.tick(time_s)
        if transform is not None:
            self._flow, self._flow_s = transform, now_s
            return Fused("estimated", transform)
        if backwards or now_s - self._flow_s > self._hold_s:
            self._flow = None
        return Fused("refused" if self._flow is None else "held", self._flow)
