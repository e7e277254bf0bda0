"""One session for several camera pairs: what they ask at the same time is answered together.

On a GPU a batch costs little more than one pair. On a CPU it costs some per cent more per pair than one alone
(measured: 7.7 ms alone, 8.0 in twos, 8.5 in fours), so there pairs are answered one by one, on as many cores as
there are.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vr.runtime.contract import ModelInfo
from vr.runtime.providers import DEVICES, MOST_IN_A_BATCH
from vr.runtime.session import Runner

Outputs = Mapping[str, NDArray[np.float32] | NDArray[np.uint8]]


class _Request:
    """What one pair asks."""

    def __init__(self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> None:
        self.feed, self.outputs = feed, tuple(outputs)
        self.answer: Outputs | None = None
        self.failure: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.failure is not None

    def fits(self, other: "_Request") -> bool:
        """Whether both can be answered by one run."""
        same_shapes = all(self.feed[name].shape[1:] == other.feed[name].shape[1:] for name in self.feed)
        return self.outputs == other.outputs and same_shapes


class SharedRunner:
    """A `Runner` that several threads may ask; nobody waits for a batch to fill up.

    Who finds the session free runs it for all that wait by then.
    """

    def __init__(self, session: Runner, most: int, at_once: int = 1) -> None:
        """most: largest batch. at_once: how many runs of the session go on at the same time."""
        self._session, self._most, self._free = session, most, at_once
        self._waiting: list[_Request] = []
        self._changed = threading.Condition()

    @property
    def path(self) -> Path:
        """See `Runner`."""
        return self._session.path

    @property
    def info(self) -> ModelInfo:
        """See `Runner`."""
        return self._session.info

    @property
    def provider(self) -> str:
        """See `Runner`."""
        return self._session.provider

    def run(self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Outputs:
        """See `Runner`; `feed` holds one pair. Raises what the session raises."""
        request = _Request(feed, outputs)
        with self._changed:
            self._waiting.append(request)
            self._changed.wait_for(lambda: request.done or (self._free > 0 and request in self._waiting))
            batch = [] if request.done else self._take(request)
            self._free -= 1 if batch else 0
        if batch:
            self._answer(batch)
        if request.failure is not None:
            raise request.failure
        assert request.answer is not None
        return request.answer

    def _take(self, request: _Request) -> list[_Request]:
        """The request, and those that waited longest of the ones that fit it."""
        self._waiting.remove(request)
        batch = [request, *[other for other in self._waiting if request.fits(other)][: self._most - 1]]
        self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _answer(self, batch: list[_Request]) -> None:
        failure: BaseException | None = None
        values: Outputs = {}
        try:
            feed = {name: np.concatenate([one.feed[name] for one in batch]) for name in batch[0].feed}
            values = self._session.run(feed, batch[0].outputs)
        except BaseException as error:
            failure = error
        with self._changed:
            for number, one in enumerate(batch):
                one.failure = failure
                one.answer = {name: value[number : number + 1] for name, value in values.items()}
            self._free += 1
            self._changed.notify_all()


def share(session: Runner, pairs: int, cores: int, threads: int) -> SharedRunner:
    """For `pairs` pairs on a machine of so many cores, whose session uses `threads` of them."""
    if session.provider not in DEVICES:
        return SharedRunner(session, 1, max(1, min(pairs, cores // threads)))
    return SharedRunner(session, min(pairs, MOST_IN_A_BATCH))
