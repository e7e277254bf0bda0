"""What the controls do to the transform: hold it, set it by hand, begin somewhere else.

By hand is a person's word, not the network's: its state is `held`, and the picture says so.
"""

import time
from dataclasses import dataclass

from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls, Follow, Settings
from vr.runtime.estimation import Asked, Estimation
from vr.runtime.geometry import SizeHw, theta_of_numbers, theta_to_matrix
from vr.runtime.interchange import RigTransform
from vr.runtime.notices import Notice
from vr.runtime.pairing import Pair
from vr.runtime.preprocess import frame_hw

_WORDS: dict[Follow, str] = {"hold": "transform held", "hand": "aligned by hand"}


@dataclass(frozen=True)
class _Shown:
    """A transform that was shown, and when its pair was taken."""

    alignment: Alignment
    time_s: float


class Steered:
    """An `Estimation` that does what `Controls.settings.follow` says at the moment of the answer; also `Troubled`."""

    def __init__(self, estimation: Estimation, controls: Controls, start: RigTransform | None = None) -> None:
        """start: becomes the setting `theta` at the first pair, whose sizes it may need, if nobody has set another."""
        self._estimation, self._controls, self._start = estimation, controls, start
        self._last: _Shown | None = None
        self._follow: Follow = "estimate"
        self._since_s = 0.0

    @property
    def notice(self) -> Notice | None:
        """That the transform is not the network's answer to this pair."""
        word = _WORDS.get(self._follow)
        return None if word is None else Notice(word, time.monotonic() - self._since_s)

    def ask(self, pair: Pair) -> Asked:
        """See `Estimation`."""
        if self._controls.settings.follow == "estimate":
            return self._estimation.ask(pair)
        return Asked(pair, is_due=False)

    def answer(self, asked: Asked) -> Alignment:
        """See `Estimation`."""
        pair, settings = asked.pair, self._settings(asked.pair)
        self._note(settings.follow)
        if settings.follow == "hand":
            alignment = _by_hand(settings, pair)
        elif settings.follow == "hold":
            alignment = self._held(pair)
        else:
            alignment = self._estimation.answer(asked)
        if alignment.state != "refused":
            self._last = _Shown(alignment, pair.rgb.time_s)
        return alignment

    def drawn(self, asked: Asked) -> None:
        """See `Estimation`."""
        if self._follow == "estimate":
            self._estimation.drawn(asked)

    def close(self) -> None:
        """See `Estimation`."""
        self._estimation.close()

    def _settings(self, pair: Pair) -> Settings:
        start, self._start = self._start, None
        if start is not None and self._controls.settings.theta is None:
            theta = start.theta(_rgb_hw(pair), frame_hw(pair.ir.frame))
            self._controls.change({"theta": theta.ravel().tolist()})
        return self._controls.settings

    def _note(self, follow: Follow) -> None:
        if follow != self._follow:
            self._follow, self._since_s = follow, time.monotonic()

    def _held(self, pair: Pair) -> Alignment:
        """The last transform that was shown, however old; refused if there has been none."""
        if self._last is None:
            return Alignment("refused", None, None, None, _rgb_hw(pair), pair.ir.frame)
        age_s = max(0.0, pair.rgb.time_s - self._last.time_s)
        return self._last.alignment.carried_to(pair.ir.frame, _rgb_hw(pair), "held", age_s)


def _by_hand(settings: Settings, pair: Pair) -> Alignment:
    matrix = theta_to_matrix(theta_of_numbers(settings.theta), _rgb_hw(pair), frame_hw(pair.ir.frame))
    return Alignment("held", None, matrix, None, _rgb_hw(pair), pair.ir.frame)


def _rgb_hw(pair: Pair) -> SizeHw:
    return frame_hw(pair.rgb.frame)
