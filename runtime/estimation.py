"""How often the network is asked: `--estimate-every`.

Pictures between two estimates are drawn with the newest transform. Their state is that of the estimate while it is at
most FRESH_S old; then they are `held`, and `refused` once the rig's `hold_s` is over. A recording, which may be drawn
far faster than it was taken, waits for an estimate before that.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from vr.runtime.alignment import Alignment, State
from vr.runtime.errors import InputError
from vr.runtime.option import AUTO
from vr.runtime.pairing import Pair
from vr.runtime.preprocess import Frame, frame_hw
from vr.runtime.rigs import RigPrior

FRESH_S = 0.5


class VideoAligner(Protocol):
    """The part of `vr.runtime.Aligner` that is used here."""

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """Aligns the next pair of a video."""
        ...


@runtime_checkable
class PreparingAligner(VideoAligner, Protocol):
    """One that can do a part ahead; see `vr.runtime.Aligner`."""

    @property
    def can_prepare(self) -> bool:
        """Whether `prepare` may be used."""
        ...

    def prepare(self, ir: Frame, rgb: Frame) -> Any:
        """The part that does not depend on the pairs before; in any thread."""
        ...

    def finish(self, look: Any, time_s: float | None = None) -> Alignment:
        """The rest, in order."""
        ...


@dataclass(frozen=True)
class Asked:
    """A pair that an alignment was asked for, whether it is due to be estimated, and what is made ahead for it."""

    pair: Pair
    is_due: bool = True
    ahead: "Future[Any] | None" = None


class Estimation(Protocol):
    """Gives the alignment of each pair of a video: `answer(ask(pair))`, then `drawn`, in the order of the pairs."""

    def ask(self, pair: Pair) -> Asked:
        """Returns at once; may be called some pairs before `answer`, from another thread."""
        ...

    def answer(self, asked: Asked) -> Alignment:
        """The pair's alignment. Raises what the aligner raises."""
        ...

    def drawn(self, asked: Asked) -> None:
        """Is told that the pair's picture is ready."""
        ...

    def close(self) -> None:
        """Ends what runs in the background."""
        ...


def parse_every(text: str) -> int | None:
    """The N of `--estimate-every`, None for auto. Raises InputError if it is neither."""
    if text == AUTO:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--estimate-every is {text!r}; expected auto, or every how many pairs, from 1")
    return int(text)


def estimation_for(
    aligner: VideoAligner, every: int | None, prior: RigPrior, live: bool, workers: int = 1
) -> Estimation:
    """every: as `parse_every` gives it. A live picture never waits for the network unless every pair is estimated; a
    recording waits for it, so that it gives the same every time, except with auto. workers: so many threads look at the
    pairs of a recording ahead.
    """
    if every is None or (live and every > 1):
        return InBackground(aligner, every or 1, prior, waits=not live)
    return EveryNth(aligner, every, prior, 1 if live else workers)


class EveryNth:
    """Estimates every n-th pair where it is asked; with several workers, whatever can be done ahead at once."""

    def __init__(self, aligner: VideoAligner, every: int, prior: RigPrior, workers: int = 1) -> None:
        self._aligner, self._every, self._prior = aligner, every, prior
        self._count = 0
        self._newest: _Estimate | None = None
        self._preparing: PreparingAligner | None = None
        if workers > 1 and isinstance(aligner, PreparingAligner) and aligner.can_prepare:
            self._preparing = aligner
            self._pool = ThreadPoolExecutor(workers, "estimate")

    def ask(self, pair: Pair) -> Asked:
        """See `Estimation`."""
        is_due = self._count % self._every == 0 and not pair.notices
        self._count += 1
        if self._preparing is None or not is_due:
            return Asked(pair, is_due)
        return Asked(pair, is_due, self._pool.submit(self._preparing.prepare, pair.ir.frame, pair.rgb.frame))

    def answer(self, asked: Asked) -> Alignment:
        """See `Estimation`."""
        if asked.pair.notices:
            return _held(self._newest, asked.pair, self._prior)
        if self._newest is not None and not asked.is_due:
            return self._newest.carried_to(asked.pair, self._prior)
        self._newest = _Estimate(self._align(asked), asked.pair)
        return self._newest.alignment

    def _align(self, asked: Asked) -> Alignment:
        pair, time_s = asked.pair, asked.pair.rgb.time_s
        if self._preparing is not None and asked.ahead is not None:
            return self._preparing.finish(asked.ahead.result(), time_s)
        return self._aligner(pair.ir.frame, pair.rgb.frame, time_s=time_s)

    def drawn(self, asked: Asked) -> None:
        """Nothing follows from it."""

    def close(self) -> None:
        """Waits for what is being looked at."""
        if self._preparing is not None:
            self._pool.shutdown(cancel_futures=True)


class InBackground:
    """Estimates in a thread of its own: always the newest pair of those due, as often as the machine can."""

    def __init__(self, aligner: VideoAligner, every: int, prior: RigPrior, waits: bool) -> None:
        """waits: a pair waits where the newest estimate is older than FRESH_S, or there is none. Else it is held or
        refused.
        """
        self._aligner, self._every, self._prior, self._waits = aligner, every, prior, waits
        self._count = 0
        self._changed = threading.Condition()
        self._asked: Pair | None = None
        self._given: Pair | None = None
        self._newest: _Estimate | None = None
        self._failure: Exception | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="estimate", daemon=True)
        self._thread.start()

    def ask(self, pair: Pair) -> Asked:
        """See `Estimation`."""
        return Asked(pair)

    def answer(self, asked: Asked) -> Alignment:
        """See `Estimation`."""
        pair = asked.pair
        with self._changed:
            if self._waits and not self._is_fresh(pair) and not pair.notices:
                self._look_at(pair)
                self._changed.wait_for(lambda: self._failure is not None or self._is_fresh(pair))
            if self._failure is not None:
                raise self._failure
            newest = self._newest
        if newest is None or pair.notices:
            return _held(newest, pair, self._prior)
        return newest.carried_to(pair, self._prior)

    def drawn(self, asked: Asked) -> None:
        """See `Estimation`. Now the network gets the pair: before, it would compete with the drawing of its picture."""
        with self._changed:
            if self._count % self._every == 0 and not asked.pair.notices:
                self._look_at(asked.pair)
            self._count += 1

    def _look_at(self, pair: Pair) -> None:
        """Gives the pair to the thread, once: one that an answer waited for is drawn later too."""
        if pair is not self._given:
            self._asked = self._given = pair
            self._changed.notify_all()

    def _is_fresh(self, pair: Pair) -> bool:
        return self._newest is not None and self._newest.age_s(pair) <= FRESH_S

    def close(self) -> None:
        """Waits for the estimate that is being made."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (pair := self._next()) is not None:
            try:
                alignment = self._aligner(pair.ir.frame, pair.rgb.frame, time_s=pair.rgb.time_s)
                newest, failure = _Estimate(alignment, pair), None
            except Exception as error:  # belongs to whoever asks next
                newest, failure = None, error
            with self._changed:
                self._newest, self._failure = newest or self._newest, failure
                self._changed.notify_all()
            if failure is not None:
                return

    def _next(self) -> Pair | None:
        with self._changed:
            self._changed.wait_for(lambda: self._asked is not None or self._ended)
            pair, self._asked = self._asked, None
            return None if self._ended else pair


class _Estimate:
    """An alignment and when its pair was taken."""

    def __init__(self, alignment: Alignment, pair: Pair) -> None:
        self.alignment, self._pair = alignment, pair

    def age_s(self, pair: Pair) -> float:
        """How much later `pair` was taken."""
        return max(0.0, pair.rgb.time_s - self._pair.rgb.time_s)

    def carried_to(self, pair: Pair, prior: RigPrior, fresh_s: float = FRESH_S) -> Alignment:
        """The alignment itself for its own pair, and for a later one what is in this module's docstring."""
        if pair is self._pair:
            return self.alignment
        age_s = self.age_s(pair)
        state: State = self.alignment.state
        if state != "refused" and age_s > fresh_s:
            state = "held" if age_s <= prior.hold_s else "refused"
        return self.alignment.carried_to(pair.ir.frame, frame_hw(pair.rgb.frame), state, age_s)


def _held(newest: _Estimate | None, pair: Pair, prior: RigPrior) -> Alignment:
    """The newest transform, never as `estimated`: for a pair of a frozen camera, which shows nothing of now."""
    if newest is None:
        return Alignment("refused", None, None, None, frame_hw(pair.rgb.frame), pair.ir.frame)
    return newest.carried_to(pair, prior, fresh_s=-1.0)
