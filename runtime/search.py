"""What is tried when one look of the network is not enough: `--search near` (the default) and `--search wide`.

The network is shown the pair as if a *prior*, a guess of the transform, were true already, and adds what is missing.
The frame that sees more is cut to what the other one sees, so both keep their detail and neither is mostly border:

    network's moving image (u) = IR frame (ir u),  fixed image (v) = RGB frame (rgb v),  prior = ir o rgb^-1

The network's answer `added` maps v to u, so the whole transform is `ir o added o rgb^-1`.

The near guesses are some degrees of turn and a somewhat larger or smaller picture: what the network bridges too, but
not in every scene. The wide ones (`HYPOTHESES`) go all round in steps of 30 degrees, through half, the same and twice
the field of view, and to the sides. A first look is a weak witness: a right guess that is far from the truth is as
unsure as a wrong one. So the surest answers become priors themselves. A true one then lies near the identity, where the
network is surest, and stays where it is; it has to be surer than a plain answer, because so many guesses are so many
chances to be wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.contract import ModelInfo
from vr.runtime.errors import InputError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import (
    CORNERS,
    Float64Array,
    SizeHw,
    apply_matrix,
    compose,
    grid_points,
    invert,
    matrix_to_theta,
    to_3x3,
)
from vr.runtime.temporal import corner_distance

SEARCHES = ("none", "near", "wide")
DEFAULT_SEARCH = "near"
SHIFT = 0.25
"""Step of the guesses aside, in sides of the frame that sees less."""
MAX_DIAGONAL_RARITY = 5.0
"""Rarer guesses are shifted along one axis only."""
TRIES_PER_FRAME, NEAR_TRIES_PER_FRAME = 6, 2
"""So many guesses per frame of a video, so that a live picture goes on while nothing is found."""
FINALISTS, NEAR_FINALISTS = 3, 1
"""So many of a frame's answers, the surest ones, are looked at again, at most `LOOKS` times each."""
LOOKS = 3
REFUSE_BELOW = 0.5
"""Estimates of lower confidence are refused."""
FINALIST_CONFIDENCE = 0.1
FAR_CONFIDENCE = 0.8
"""What a guess needs in the end; right ones reach 0.95 as a rule when they are looked at again."""
SURE = 0.8
"""A plain answer that is less sure is looked at again: a wrong one loses confidence, a right one comes nearer."""
SETTLED_FRAMES = 0.03
"""By how many frame sides of the one that sees less a look may still move a corner of what is found."""
SCALE_RANGE = (0.33, 3.0)
MAX_STRETCH = 1.5
"""How much longer a circle may become than wide; square pixels would give 1."""
MIN_OVERLAP = 0.25
"""Share of the frame that sees less which the other one has to see too."""


def check_search(name: str) -> None:
    """Raises InputError for an unknown search."""
    if name not in SEARCHES:
        raise InputError(f"unknown search {name!r}; expected one of {', '.join(SEARCHES)}")


def search_for(name: str, info: ModelInfo) -> "Search":
    """A search for a model; one that cannot be asked for guesses gets one look only, unless a wide search is wanted.

    Raises InputError for an unknown search, and for a wide one with such a model.
    """
    check_search(name)
    if info.kind != "dense" and info.mode == "gray" and info.has_confidence:
        return Search(name)
    if name == "wide":
        raise InputError(
            f"search {name} needs an affine or homography model of grey frames that gives a confidence; this one is "
            f"{info.kind}, {info.mode}, {'with' if info.has_confidence else 'without'} confidence; use search near"
        )
    return Search("none")


@dataclass(frozen=True)
class Hypothesis:
    """A guess: the IR picture turned (positive turns x towards y) and `scale` times as large (2: half the field of
    view), its centre shifted by `shift_xy` sides of the frame that sees less.
    """

    rotation_deg: float
    scale: float
    shift_xy: tuple[float, float] = (0.0, 0.0)

    @property
    def rarity(self) -> float:
        """Smaller is likelier: cameras upright or upside down, then on their side, then with another lens or askew."""
        turn = {0.0: 0, 180.0: 1, 90.0: 2, 270.0: 2, 30.0: 3, 330.0: 3}.get(self.rotation_deg, 5)
        return turn + 3 * abs(math.log2(self.scale)) + 8 * math.hypot(*self.shift_xy)

    def theta(self, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
        """(2, 3), of frames with square pixels."""
        size = self.scale * math.sqrt(ir_hw[0] * ir_hw[1] / (rgb_hw[0] * rgb_hw[1]))
        c, s = (size * f(math.radians(self.rotation_deg)) for f in (math.cos, math.sin))
        turn = matrix_to_theta([[c, -s, 0.0], [s, c, 0.0]], rgb_hw, ir_hw)[:, :2]
        return np.column_stack([turn, 2.0 * min(self.scale, 1.0) * np.asarray(self.shift_xy)])


@dataclass(frozen=True)
class Views:
    """What the network is shown: `ir` (2, 3) or (3, 3) and `rgb` (2, 3) as in the module's docstring; `rgb` is None for
    the whole RGB frame, and else a crop, without a turn.
    """

    ir: Float64Array
    rgb: Float64Array | None

    @staticmethod
    def of(prior: ArrayLike) -> "Views":
        """Crops the RGB frame around the middle of the IR frame if that sees less of the scene."""
        centre, side = apply_matrix(invert(prior), (0.0, 0.0)), 1.0 / scale_of(prior)
        if side >= 1.0:
            return Views(np.asarray(prior, dtype=np.float64), None)
        crop = np.column_stack([side * np.eye(2), centre])
        return Views(compose(prior, crop), crop)

    def total(self, added: Transform) -> Float64Array:
        """The whole transform, of the network's answer (2, 3) or (3, 3)."""
        theta = compose(self.ir, added)
        return theta if self.rgb is None else compose(theta, invert(self.rgb))

    def information(self, information: Transform) -> Transform:
        """Information (6, 6) of an increment on the network's fixed side, as one of an increment on the RGB frame's.

        What changes the moving side does not matter. An increment D of the RGB frame is rgb^-1 D rgb in the crop.
        """
        if self.rgb is None:
            return information
        side, (x, y) = self.rgb[0, 0], self.rgb[:, 2]
        change = np.kron(np.eye(2), [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [x / side, y / side, 1.0 / side]])
        return change.T @ np.asarray(information, dtype=np.float64) @ change


@dataclass(frozen=True)
class Answer:
    """What the network says of one pair under one prior.

    guess: the whole transform, theta (2, 3) or (3, 3), or flow (2, H, W), where it is plausible; transform: the same
    where it may be shown too; confidence in [0, 1]; information (6, 6). None where there is none.
    """

    guess: Transform | None = None
    transform: Transform | None = None
    confidence: float | None = None
    information: Transform | None = None

    @property
    def sureness(self) -> float:
        """The confidence; 0 where there is none."""
        return 0.0 if self.confidence is None else self.confidence


class Look(Protocol):
    """Asks the network about one pair."""

    rgb_hw: SizeHw
    ir_hw: SizeHw
    has_content: bool

    def __call__(self, prior: Transform | None) -> Answer:
        """The answer under a prior, None for none."""
        ...


@dataclass(frozen=True)
class Found:
    """What a search has ended with."""

    rotation_deg: float
    scale: float
    tries: int

    @property
    def text(self) -> str:
        """In words."""
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        return f"found at {round(self.rotation_deg)} degrees, scale {self.scale:.2f}, after {tries}"


class Search:
    """Looks for the transform while there is none; keeps what it found as the prior of the frames that follow."""

    def __init__(self, name: str) -> None:
        """name: one of SEARCHES. Raises InputError for an unknown one."""
        check_search(name)
        self._is_wide = name == "wide"
        self._hypotheses = {"none": (), "near": NEAR, "wide": (*NEAR, *HYPOTHESES)}[name]
        self._tries_per_frame = TRIES_PER_FRAME if self._is_wide else NEAR_TRIES_PER_FRAME
        self._finalists = FINALISTS if self._is_wide else NEAR_FINALISTS
        self.reset()

    def reset(self) -> None:
        """Forgets the video."""
        self.lost = True
        self._prior: Transform | None = None
        self._last: Transform | None = None
        self._found: Found | None = None
        self._tries = 0

    @property
    def text(self) -> str | None:
        """What the search in the video has come to, for people; None for one that is not wide."""
        if not self._is_wide:
            return None
        return f"nothing found in {self._tries} tries" if self._found is None else self._found.text

    def whole(self, look: Look) -> Answer:
        """All guesses for one pair, which has nothing to do with the video; the plain answer if none holds."""
        plain = self._plain(look, None)
        if plain.transform is not None or not look.has_content:
            return plain
        for start in range(0, len(self._hypotheses), TRIES_PER_FRAME):
            batch = self._hypotheses[start : start + TRIES_PER_FRAME]
            answers = [look(one.theta(look.rgb_hw, look.ir_hw)) for one in batch]
            held = _surest_that_holds(look, answers, FINALISTS)
            if held is not None:
                return held
        return plain

    def follow(self, look: Look) -> Answer:
        """The next pair of the video: one look and, while `lost`, the next guesses.

        A guess that holds is the prior of the next pair, and first shown if that one agrees.
        """
        first = self._plain(look, self._prior)
        if first.transform is not None:
            self._note(first.transform, look)
        elif self.lost and self._hypotheses and look.has_content:
            held = _surest_that_holds(look, list(map(look, self._next_priors(look))), self._finalists)
            self._prior = None if held is None else held.transform
        return first

    def _plain(self, look: Look, prior: Transform | None) -> Answer:
        """The answer under a prior, looked at again if it is not sure; not to be shown if it then does not hold."""
        plain = look(prior)
        if not self._hypotheses or plain.sureness >= SURE or plain.sureness < FINALIST_CONFIDENCE:
            return plain
        return _hold(look, plain, REFUSE_BELOW)

    def _next_priors(self, look: Look) -> list[Transform]:
        """The next guesses, round after round, and always the transform that was lost."""
        self._found = None
        count = self._tries_per_frame - (self._last is not None)
        batch = [self._hypotheses[(self._tries + i) % len(self._hypotheses)] for i in range(count)]
        self._tries += count
        priors: list[Transform] = [one.theta(look.rgb_hw, look.ir_hw) for one in batch]
        return priors if self._last is None else [self._last, *priors]

    def _note(self, transform: Transform, look: Look) -> None:
        self._last = self._prior
        if self._found is None and self._is_wide:
            self._found = Found(*turn_and_scale(transform, look.rgb_hw, look.ir_hw), self._tries + 1)
        self._tries = 0


def _surest_that_holds(look: Look, answers: Sequence[Answer], count: int) -> Answer | None:
    """What the surest of the answers that holds comes to, of the `count` surest ones; None if none holds."""
    worth = [one for one in answers if one.guess is not None and one.sureness >= FINALIST_CONFIDENCE]
    finalists = sorted(worth, key=lambda one: -one.sureness)[:count]
    held = (_hold(look, one, FAR_CONFIDENCE) for one in finalists)
    return next((one for one in held if one.transform is not None), None)


def _hold(look: Look, answer: Answer, confidence: float) -> Answer:
    """The first answer, with the one before as its prior, that is at least so sure and stays in place; if none of
    `LOOKS` is, the last one, not to be shown.
    """
    for _ in range(LOOKS):
        before = answer.guess
        if before is None or answer.sureness < FINALIST_CONFIDENCE:
            break
        answer = look(before)
        if answer.transform is None or answer.guess is None or answer.sureness < confidence:
            continue
        if corner_distance(answer.guess, before) / max(1.0, scale_of(before)) <= SETTLED_FRAMES:
            return answer
    return replace(answer, transform=None)


def is_sane(theta: Transform, rgb_hw: SizeHw, ir_hw: SizeHw) -> bool:
    """Whether a whole transform, (2, 3) or (3, 3), is one of two cameras that see the same: no horizon in the RGB
    frame; scale, stretch and overlap within the limits of this module.
    """
    matrix = to_3x3(theta)
    if (CORNERS @ matrix[2, :2] + matrix[2, 2]).min() <= 0.0:
        return False
    scale = scale_of(theta)
    longest, shortest = np.linalg.svd(_linear_px(theta, rgb_hw, ir_hw), compute_uv=False)
    if not SCALE_RANGE[0] <= scale <= SCALE_RANGE[1] or longest > MAX_STRETCH * shortest:
        return False
    seen = np.abs(apply_matrix(theta, _SPREAD)).max(axis=1) <= 1.0
    return float(seen.mean()) * max(1.0, scale**2) >= MIN_OVERLAP


def scale_of(theta: ArrayLike) -> float:
    """IR frame sides per RGB frame side in the middle of the RGB frame: 2 where IR sees half the field of view."""
    return math.sqrt(abs(float(np.linalg.det(_linear(theta)))))


def turn_and_scale(theta: Transform, rgb_hw: SizeHw, ir_hw: SizeHw) -> tuple[float, float]:
    """Rotation (degrees from -180 to 180, positive turns x towards y) and scale of a theta."""
    (a, b), (c, d) = _linear_px(theta, rgb_hw, ir_hw)
    return math.degrees(math.atan2(c - b, a + d)), scale_of(theta)


def _linear(matrix: ArrayLike) -> Float64Array:
    """(2, 2): how a (2, 3) or (3, 3) maps small steps from the origin."""
    m = to_3x3(matrix)
    return m[:2, :2] - np.outer(m[:2, 2], m[2, :2])


def _linear_px(theta: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> Float64Array:
    """(2, 2): the same of a theta in pixels."""
    return np.diag(ir_hw[::-1]) @ _linear(theta) @ np.diag(1.0 / np.array(rgb_hw[::-1]))


def _hypotheses() -> tuple[Hypothesis, ...]:
    """From likely to unlikely."""
    turns, scales = (float(turn) for turn in range(0, 360, 30)), (1.0, 0.5, 2.0)
    shifts = [(x, y) for x in (0.0, -SHIFT, SHIFT) for y in (0.0, -SHIFT, SHIFT)]
    everything = sorted((Hypothesis(*one) for one in product(turns, scales, shifts)), key=lambda one: one.rarity)
    return tuple(one for one in everything if 0.0 in one.shift_xy or one.rarity <= MAX_DIAGONAL_RARITY)


HYPOTHESES = _hypotheses()
NEAR_TURN_DEG, NEAR_SCALES = 10.0, (0.8, 1.25)
NEAR = (
    *(Hypothesis(0.0, scale) for scale in NEAR_SCALES),
    *(Hypothesis(turn, scale) for scale in (1.0, *NEAR_SCALES) for turn in (NEAR_TURN_DEG, -NEAR_TURN_DEG)),
)
_SPREAD = 2.0 * (grid_points((17, 17), 17) + 0.5) / 17.0 - 1.0
"""(289, 2): points all over a frame, normalised."""
