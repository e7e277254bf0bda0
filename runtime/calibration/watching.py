"""Watching two cameras, or recordings, for some seconds: what the network says of the pairs, and what would help it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.aligner import PairLook
from vr.runtime.calibration.fusing import Sighting
from vr.runtime.calibration.hints import Hints
from vr.runtime.calibration.offset import OffsetWatch
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.live_options import LiveOptions
from vr.runtime.pairing import Alone, Pair, Pairing, pair_sources
from vr.runtime.preprocess import frame_hw, to_8bit, to_bgr
from vr.runtime.search import search_for
from vr.runtime.session import Runner
from vr.runtime.sources import Role, SourcePair, open_pair
from vr.runtime.sources.base import ROLES, Step
from vr.runtime.sources.opening import Steps
from vr.runtime.sources.repeats import RepeatWatch
from vr.runtime.stopping import Stop
from vr.runtime.thermal import ThermalConditioner
from vr.runtime.thermal.step import conditioning

LOOKS = 40
"""So many pairs are looked at, spread over the time."""
KEPT_WIDTH_PX = 640
"""Larger frames are kept smaller: no network looks at more."""
_PATIENCE_S = 5.0
"""So much longer than asked for is waited for two cameras to give a first pair."""

Tell = Callable[[float, str], None]
"""Is told the share of the time that is over, and a hint."""


@dataclass(frozen=True)
class Kept:
    """A pair as it is kept: IR (h, w) or (h, w, 3) and RGB (H, W, 3) uint8, and what the network said of it."""

    ir: NDArray[np.uint8] = field(repr=False)
    rgb: NDArray[np.uint8] = field(repr=False)
    sighting: Sighting | None = None


@dataclass
class Watched:
    """kept: the pairs that were looked at, in order. rgb_hw, ir_hw: of the cameras' own frames. hint: the last one."""

    kept: list[Kept] = field(default_factory=list[Kept])
    rgb_hw: SizeHw = (0, 0)
    ir_hw: SizeHw = (0, 0)
    hint: str = ""


def watch(
    options: LiveOptions, session: Runner, offset: OffsetWatch, seconds: float, stop: Stop, tell: Tell
) -> Watched:
    """Watches the sources of `options` for so long, of recordings so much of them.

    Raises what opening them raises, and InputError where they give no pair.
    """
    with _opened(options, offset) as sources:
        rule = replace(options.time_rule, ir_offset_ms=offset.fixed_ms)
        pairing = pair_sources(sources.ir, sources.rgb, rule, offset.following_ms)
        watched = _Watcher(session, offset, _period_s(sources, seconds), seconds).run(pairing, stop, tell)
    if not watched.kept:
        raise InputError(
            f"{sources.ir.name} and {sources.rgb.name} gave no two frames of one moment in {seconds:g} s "
            f"({watched.hint or 'no pair'}); look with vr-live doctor --ir ... --rgb ..., or give --ir-offset-ms"
        )
    return watched


def _opened(options: LiveOptions, offset: OffsetWatch) -> AbstractContextManager[SourcePair]:
    thermal = ThermalConditioner(options.thermal)
    steps: dict[Role, list[Step]] = {role: [RepeatWatch(), *offset.steps(role)] for role in ROLES}
    steps["ir"].append(conditioning(thermal))
    return open_pair(options.ir, options.rgb, options.sources, Steps(steps["ir"], steps["rgb"]))


def _period_s(sources: SourcePair, seconds: float) -> float:
    """From one pair that is looked at to the next."""
    rgb = sources.rgb
    whole_s = seconds if rgb.length is None else min(seconds, rgb.length / rgb.fps)
    return whole_s / LOOKS


class _Watcher:
    """Looks at a pair every `period_s`."""

    def __init__(self, session: Runner, offset: OffsetWatch, period_s: float, seconds: float) -> None:
        self._session, self._offset = session, offset
        self._search = search_for("wide", session.info)
        self._hints = Hints(needs_motion=offset.is_looking)
        self._period_s, self._seconds = period_s, seconds
        self._first_s: float | None = None
        self._due_s = float("-inf")
        self._watched = Watched()

    def run(self, pairing: Pairing, stop: Stop, tell: Tell) -> Watched:
        """Until the time is over, or the recordings are."""
        opened_s = time.monotonic()
        while not stop.is_set() and (shown := pairing.next(stop)) is not None:
            if isinstance(shown, Alone):
                self._watched.hint = self._hints.text(shown.notices)
                passed_s = time.monotonic() - opened_s
                if passed_s > self._seconds + (_PATIENCE_S if self._first_s is None else 0.0):
                    break
            else:
                passed_s = self._see(shown)
                if passed_s > self._seconds:
                    break
            tell(min(passed_s / self._seconds, 1.0), self._watched.hint)
        return self._watched

    def _see(self, pair: Pair) -> float:
        """Looks at a pair if it is time; returns the time since the first one."""
        now_s = pair.rgb.time_s
        self._first_s = now_s if self._first_s is None else self._first_s
        if now_s >= self._due_s and now_s - self._first_s <= self._seconds:
            # At times that are evenly spread, but not in a burst after a gap.
            self._due_s = max(self._due_s + self._period_s, now_s + 0.5 * self._period_s)
            self._offset.poll()
            if pair.notices:
                self._watched.hint = self._hints.text(pair.notices)
            else:
                self._look(pair)
        return now_s - self._first_s

    def _look(self, pair: Pair) -> None:
        self._watched.ir_hw, self._watched.rgb_hw = frame_hw(pair.ir.frame), frame_hw(pair.rgb.frame)
        ir, rgb = _smaller(to_8bit(pair.ir.frame)), _smaller(to_bgr(pair.rgb.frame))
        answer = self._search.follow(PairLook(self._session, ir, rgb))
        self._search.lost = answer.transform is None
        sighting = None
        if answer.transform is not None:
            sighting = Sighting(answer.transform, answer.sureness, answer.information)
        self._watched.kept.append(Kept(ir, rgb, sighting))
        self._hints.add(ir, rgb, sighting is not None)
        self._watched.hint = self._hints.text()


def _smaller(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most KEPT_WIDTH_PX wide; a copy, for a camera's buffer may be used again."""
    h, w = frame_hw(frame)
    if w <= KEPT_WIDTH_PX:
        return frame.copy()
    size_wh = KEPT_WIDTH_PX, max(1, round(h * KEPT_WIDTH_PX / w))
    return cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
