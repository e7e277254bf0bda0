"""A sink that reads from the pixels when the frames of each output were taken, and what that says about a run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.coded import MODULUS_MS, decode, difference_ms
from vr.runtime.sinks import Output
from vr.runtime.sources.base import Stamped

STEADY = 5
"""So many good outputs in a row are a run that works again."""
FRESH_MS = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """One output.

    at_s: `time.monotonic()` when it came. ir_ms, rgb_ms: scene times, None where there is no frame or its code is
    damaged. shown: both frames are there and drawn as aligned.
    """

    at_s: float
    shown: bool
    ir_ms: int | None
    rgb_ms: int | None
    notices: str

    @property
    def skew_ms(self) -> int | None:
        """|scene time of IR - of RGB|; None where one is not known."""
        if self.ir_ms is None or self.rgb_ms is None:
            return None
        return abs(difference_ms(self.ir_ms, self.rgb_ms))

    @property
    def age_ms(self) -> int | None:
        """How old the RGB picture is."""
        return age_ms(self, self.rgb_ms)

    def is_good(self, limit_ms: float) -> bool:
        """A pair that is shown, belongs together, and is of now."""
        skew_ms, age_ms = self.skew_ms, self.age_ms
        return self.shown and skew_ms is not None and skew_ms <= limit_ms and (age_ms or 0) <= FRESH_MS


class Witness:
    """See `vr.runtime.sinks.Sink`."""

    wants_picture = False

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def write(self, output: Output) -> None:
        """See `Sink`."""
        shown = output.state != "refused" and output.ir is not None and output.rgb is not None
        notices = ", ".join(sorted(notice.what for notice in output.notices))
        self.seen.append(Seen(time.monotonic(), shown, _scene_ms(output.ir), _scene_ms(output.rgb), notices))

    def close(self, complete: bool) -> Path | None:
        """Nothing to close."""
        return None


def _scene_ms(stamped: Stamped | None) -> int | None:
    return None if stamped is None else decode(stamped.frame)


def recovered_at_s(seen: Sequence[Seen], from_s: float, limit_ms: float) -> float | None:
    """When the first of STEADY good outputs in a row came, from `from_s` on."""
    start, length = 0.0, 0
    for one in seen:
        if one.at_s < from_s:
            continue
        if not one.is_good(limit_ms):
            length = 0
            continue
        start = one.at_s if length == 0 else start
        length += 1
        if length == STEADY:
            return start
    return None


def wrong_moments(seen: Sequence[Seen], limit_ms: float, begins_s: Sequence[float], most: int = 40) -> list[str]:
    """Where the wrong pairs without a notice lie: s from the begin of the last fault, and the age of both pictures."""
    moments: list[str] = []
    for one in seen:
        skew_ms = one.skew_ms
        if not one.shown or one.notices or skew_ms is None or skew_ms <= limit_ms:
            continue
        before = [begin_s for begin_s in begins_s if begin_s <= one.at_s]
        place = f"{one.at_s - before[-1]:.2f} s" if before else "before"
        moments.append(f"{place}: ir {age_ms(one, one.ir_ms)} ms, rgb {age_ms(one, one.rgb_ms)} ms")
    return moments[:most]


def age_ms(one: Seen, scene_ms: int | None) -> int | None:
    """How old one of its pictures is."""
    return None if scene_ms is None else difference_ms(round(one.at_s * 1000.0) % MODULUS_MS, scene_ms)


@dataclass(frozen=True)
class Verdict:
    """outputs, shown: counts. wrong: shown pairs whose frames lie further apart than the limit, without a notice;
    wrong_noticed: the same while the output says that something is wrong. unreadable: shown with a damaged picture.
    skew_ms_max: of shown pairs without a notice.
    """

    outputs: int
    shown: int
    wrong: int
    wrong_noticed: int
    unreadable: int
    skew_ms_max: int
    notices: list[str]


def judge(seen: Sequence[Seen], limit_ms: float) -> Verdict:
    """Looks at every output that is shown as a pair."""
    shown = [one for one in seen if one.shown]
    known = [(one, one.skew_ms) for one in shown if one.skew_ms is not None]
    wrong = [one for one, skew_ms in known if skew_ms is not None and skew_ms > limit_ms]
    return Verdict(
        outputs=len(seen),
        shown=len(shown),
        wrong=sum(not one.notices for one in wrong),
        wrong_noticed=sum(bool(one.notices) for one in wrong),
        unreadable=len(shown) - len(known),
        skew_ms_max=max((skew_ms or 0 for one, skew_ms in known if not one.notices), default=0),
        notices=sorted({one.notices for one in seen if one.notices}),
    )
