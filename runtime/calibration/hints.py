"""What a person can do while a rig is watched, so that it is found."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from vr.runtime.notices import Notice
from vr.runtime.preprocess import Frame, to_gray
from vr.runtime.sources.base import ROLES, Role
from vr.runtime.time_offset.motion import Float32s, motion_moments, motion_thumb, scene_change

LATEST = 8
"""So many of the last pairs are judged."""
DARK_LEVEL, FLAT_LEVELS = 30.0, 4.0
STILL_LEVELS = 0.05
"""Mean change of grey level above the noise, from pair to pair, below which nothing moves."""
_UNSURE_SHARE = 0.4

MOVE = "nothing moves: walk through the picture (the offset in time is found from what moves)"
DARK = "the colour picture is too dark: switch on a light, or come back by day"
FLAT = {
    "ir": "the infrared picture is flat: show it something warm, or wait until it has recalibrated",
    "rgb": "the colour picture is flat: take off the cover, or point it at something with edges",
}
UNSURE = "the network is not sure: show both cameras something warm with an outline, such as a person"
GOOD = "good: go on like this"


@dataclass
class _Seen:
    """Of one camera, the last pairs: mean level, spread of levels, and how much moved."""

    level: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    spread: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    motion: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    thumb: Float32s | None = None

    def add(self, frame: Frame) -> None:
        gray = to_gray(frame)
        self.level.append(float(gray.mean()))
        self.spread.append(float(gray.std()))
        thumb = motion_thumb(frame)
        if self.thumb is not None:
            self.motion.append(float(motion_moments(scene_change(thumb, self.thumb))[0]))
        self.thumb = thumb


class Hints:
    """Is shown every pair that the network is shown, and says what would help."""

    def __init__(self, needs_motion: bool) -> None:
        """needs_motion: the offset in time is looked for."""
        self._needs_motion = needs_motion
        self._seen: dict[Role, _Seen] = {role: _Seen() for role in ROLES}
        self._sure: deque[bool] = deque(maxlen=LATEST)

    def add(self, ir: Frame, rgb: Frame, sure: bool) -> None:
        """A pair (8-bit IR), and whether the network was sure of it."""
        self._seen["ir"].add(ir)
        self._seen["rgb"].add(rgb)
        self._sure.append(sure)

    def text(self, notices: tuple[Notice, ...] = ()) -> str:
        """The most useful sentence of now. notices: of the pairing."""
        if notices:
            return f"{notices[0].what}: check that camera and its cable"
        rgb = self._seen["rgb"]
        if rgb.level and np.mean(rgb.level) < DARK_LEVEL:
            return DARK
        for role, seen in self._seen.items():
            if seen.spread and np.mean(seen.spread) < FLAT_LEVELS:
                return FLAT[role]
        if len(self._sure) >= LATEST // 2 and np.mean(self._sure) < _UNSURE_SHARE:
            return UNSURE
        return MOVE if self._needs_motion and self.is_still else GOOD

    @property
    def is_still(self) -> bool:
        """Whether nothing moved of late, in either camera."""
        motions = [seen.motion for seen in self._seen.values()]
        return all(len(one) >= LATEST // 2 and max(one) < STILL_LEVELS for one in motions)
