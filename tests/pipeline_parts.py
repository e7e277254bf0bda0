"""Pairs, aligners and sinks that do as a test tells them, for the pipeline of `vr-live`."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vr.runtime.alignment import Alignment
from vr.runtime.pairing import Pair, PairingCounts
from vr.runtime.preprocess import Frame
from vr.runtime.sinks import Output
from vr.runtime.sources.base import Stamped
from vr.runtime.stopping import Stop

HW = (48, 64)
MATRIX = np.array([[1.0, 0.0, 3.0], [0.0, 1.0, -2.0]])


def make_pair(index: int, time_s: float | None = None, rgb_hw: tuple[int, int] = HW) -> Pair:
    time_s = index / 30.0 if time_s is None else time_s
    ir, rgb = np.full(HW, index % 256, np.uint8), np.full((*rgb_hw, 3), 100, np.uint8)
    return Pair(Stamped(ir, time_s, index), Stamped(rgb, time_s, index))


class Pairs:
    """`count` pairs, or pairs without end; `before` is called before each is given."""

    def __init__(self, count: int | None = None, before: Callable[[int], object] = lambda _index: None) -> None:
        self.counts, self.given = PairingCounts(), 0
        self._count, self._before = count, before

    def next(self, stop: Stop) -> Pair | None:
        if self.given == self._count or stop.is_set():
            return None
        self._before(self.given)
        self.given += 1
        return make_pair(self.given - 1)


class ShiftAligner:
    """Always MATRIX; notes the times of the pairs. With `gate` it sets `entered` and then waits for the gate."""

    def __init__(
        self,
        gate: threading.Event | None = None,
        entered: threading.Event | None = None,
        fails_at: int | None = None,
    ) -> None:
        self.asked: list[float | None] = []
        self._gate, self._fails_at = gate, fails_at
        self._entered = entered or threading.Event()

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        if self._gate is not None:
            self._entered.set()
            assert self._gate.wait(20)
        if len(self.asked) == self._fails_at:
            raise ValueError("the aligner broke")
        self.asked.append(time_s)
        return Alignment("estimated", 0.9, MATRIX, None, (rgb.shape[0], rgb.shape[1]), ir, {"estimate": 1.0})


class ListSink:
    """Keeps what it gets; `before` is called before each."""

    def __init__(self, wants_picture: bool = True, before: Callable[[int], object] = lambda _index: None) -> None:
        self.wants_picture = wants_picture
        self.outputs: list[Output] = []
        self._before = before

    def write(self, output: Output) -> None:
        self._before(output.index)
        self.outputs.append(output)

    def close(self, complete: bool) -> Path | None:
        return None
