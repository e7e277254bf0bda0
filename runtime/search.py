"""What is tried when one look of the network is not enough: `--search near` (the default) and `--search wide`.

The network is shown the pair as if a *prior*, a guess of the transform, were true already, and adds what is missing.
The frame that sees more is cut to what the other one sees, so both keep their detail and neither is mostly border:

    network's moving image (u) = IR frame (ir u),  fixed image (v) = RGB frame (rgb v),  prior = ir o rgb^-1

The network's answer `added` maps v to u, so the whole transform is `ir o added o rgb^-1`.

The near guesses are some degrees of turn and a somewhat larger or smaller picture: what the network bridges too, but
not in every scene. The wide ones go all round in steps of 30 degrees, through half, the same and twice the field of
view, and to the sides (`vr.runtime.guesses`). A first look is a weak witness: a right guess that is far from the truth
is as unsure as a wrong one. So the surest answers become priors themselves. A true one then lies near the identity,
where the network is surest, and stays where it is; it has to be surer than a plain answer, because so many guesses are
so many chances to be wrong.

A *start* (`Search.start_from`) is a guess that somebody made for this rig: by hand, or when it was set up. Looks begin
with it; what it leaves is usually so little that one look is enough. Nothing is shown that the network does not
confirm, and a start that is wrong costs some frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.contract import ModelInfo
from vr.runtime.errors import InputError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import Float64Array, SizeHw, apply_matrix, compose, invert, theta_of_numbers
from vr.runtime.guesses import HYPOTHESES, NEAR, affine_of, overlaps, scale_of, turn_and_scale
from vr.runtime.temporal import corner_distance

SEARCHES = ("none", "near", "wide")
DEFAULT_SEARCH = "near"
TRIES_PER_FRAME, NEAR_TRIES_PER_FRAME = 6, 2
"""So many guesses per frame of a video, so that a live picture goes on while nothing is found."""
FINALISTS, NEAR_FINALISTS = 3, 1
"""So many of a frame's answers, the surest ones, are looked at again, at most `LOOKS` times each."""
LOOKS = 3
START_PATIENCE = 5
"""So many looks in a row through a start may miss; then every other one is without it, until one of either is right."""
REFUSE_BELOW = 0.5
"""Estimates of lower confidence are refused."""
FINALIST_CONFIDENCE = 0.1
FAR_CONFIDENCE = 0.8
"""What a guess needs in the end; right ones reach 0.95 as a rule when they are looked at again."""
SURE = 0.8
"""A plain answer that is less sure is looked at again: a wrong one loses confidence, a right one comes nearer."""
SETTLED_FRAMES = 0.03
"""By how many frame sides of the one that sees less a look may still move a corner of what is found."""


def check_search(name: str) -> None:
    """Raises InputError for an unknown search."""
    if name not in SEARCHES:
        raise InputError(f"unknown search {name!r}; expected one of {', '.join(SEARCHES)}")


def search_for(name: str, info: ModelInfo) -> "Search":
    """A search for a model; one that cannot be asked for guesses gets one look only, unless a wide search is wanted.

    Raises InputError for an unknown search, and for a wide one with such a model.
    """
    check_search(name)
    if _can_look_through(info):
        return Search(name)
    if name == "wide":
        raise InputError(
            f"search {name} needs an affine or homography model of grey frames that gives a confidence; this one is "
            f"{info.kind}, {info.mode}, {'with' if info.has_confidence else 'without'} confidence; use search near"
        )
    return Search("none")


def check_start(start: Transform | None, info: ModelInfo) -> Float64Array | None:
    """The start as a model can use it: a homography's affine part, the best over the RGB frame, for an affine model.

    start: theta (2, 3) or (3, 3). Raises InputError for a model that cannot be shown a pair through a start, and for a
    start that no two cameras of one scene have: `is_sane` without what needs the sizes of the frames.
    """
    if start is None:
        return None
    if not _can_look_through(info):
        raise InputError(
            f"a start (--rig-transform) needs an affine or homography model of grey frames that gives a confidence; "
            f"this one is {info.kind}, {info.mode}, {'with' if info.has_confidence else 'without'} confidence"
        )
    theta = theta_of_numbers(np.asarray(start, dtype=np.float64).ravel().tolist())
    if not overlaps(theta):
        raise InputError(
            "the transform to start from leaves the two cameras less than a quarter of a picture in common, or makes "
            "one picture more than three times as large as the other; expected one from the RGB frame to the IR frame, "
            "in normalised coordinates from -1 to 1"
        )
    return affine_of(theta) if info.kind == "affine" else theta


def _can_look_through(info: ModelInfo) -> bool:
    """Whether a model can be shown a pair through a guess, and says how sure it is then."""
    return info.kind != "dense" and info.mode == "gray" and info.has_confidence


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
        self._start: Transform | None = None
        self.reset()

    def start_from(self, start: Transform | None) -> None:
        """Begins anew, from `start` (as `check_start` gives it) until it is told otherwise; None: without."""
        self._start = start
        self.reset()

    def reset(self) -> None:
        """Forgets the video, not the start."""
        self.lost = True
        self._prior: Transform | None = self._start
        self._misses = 0
        self._last: Transform | None = None
        self._found: Found | None = None
        self._tries = 0

    @property
    def prior(self) -> Transform | None:
        """What the next pair of the video is looked at through first; None: nothing."""
        return self._prior

    @property
    def text(self) -> str | None:
        """What the search in the video has come to, for people; None for one that is not wide."""
        if not self._is_wide:
            return None
        return f"nothing found in {self._tries} tries" if self._found is None else self._found.text

    def whole(self, look: Look) -> Answer:
        """All guesses for one pair, which has nothing to do with the video, the start first; if none holds, the answer
        of the plain look.
        """
        plain = self._plain(look, self._start)
        if plain.transform is None and self._start is not None:
            plain = self._plain(look, None)
        if plain.transform is not None or not look.has_content:
            return plain
        for first in range(0, self._count, TRIES_PER_FRAME):
            batch = range(first, min(first + TRIES_PER_FRAME, self._count))
            held = _surest_that_holds(look, [look(self._guess(number, look)) for number in batch], FINALISTS)
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
        elif look.has_content and self.lost and self._count:
            held = _surest_that_holds(look, list(map(look, self._next_priors(look))), self._finalists)
            self._prior = self._begin_again() if held is None else held.transform
        elif look.has_content and (self._prior is None or self._prior is self._start):
            self._prior = self._begin_again()
        return first

    def _begin_again(self) -> Transform | None:
        """What to look through after a miss: the start, if its patience is over every other time nothing."""
        self._misses += 1
        without = self._misses >= START_PATIENCE and (self._misses - START_PATIENCE) % 2 == 0
        return None if without else self._start

    @property
    def _count(self) -> int:
        """How many guesses there are."""
        return len(self._hypotheses) + self._around_start

    @property
    def _around_start(self) -> int:
        """How many of them are near the start."""
        return len(NEAR) if self._start is not None and self._hypotheses else 0

    def _guess(self, number: int, look: Look) -> Float64Array:
        """Guesses near the start come first."""
        if self._start is not None and number < self._around_start:
            return compose(self._start, NEAR[number].theta(look.rgb_hw, look.rgb_hw))
        return self._hypotheses[number - self._around_start].theta(look.rgb_hw, look.ir_hw)

    def _plain(self, look: Look, prior: Transform | None) -> Answer:
        """The answer under a prior, looked at again if it is not sure; not to be shown if it then does not hold."""
        plain = look(prior)
        if not self._hypotheses or plain.sureness >= SURE or plain.sureness < FINALIST_CONFIDENCE:
            return plain
        return _hold(look, plain, REFUSE_BELOW)

    def _next_priors(self, look: Look) -> list[Transform]:
        """The next guesses, round after round, and always the transform that was lost."""
        self._found = None
        lost = [] if self._last is None or self._last is self._start else [self._last]
        count = self._tries_per_frame - len(lost)
        batch = [self._guess((self._tries + i) % self._count, look) for i in range(count)]
        self._tries += count
        return [*lost, *batch]

    def _note(self, transform: Transform, look: Look) -> None:
        self._last = self._prior
        if self._found is None and self._is_wide:
            self._found = Found(*turn_and_scale(transform, look.rgb_hw, look.ir_hw), self._tries + 1)
        self._tries = self._misses = 0


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
