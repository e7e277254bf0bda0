"""The threads of a live run: what reads, aligns, draws and writes does so at the same time.

    recordings:  read -> [2 + w] -> align -> [1] -> draw -> [2] -> one thread per sink
                          w workers look at these ahead
    cameras:     (a thread per camera fills its slot)  align -> [1] -> draw -> [2, drops] -> one thread per sink

OpenCV, onnxruntime and FFmpeg release Python's lock while they work. `[n]` holds at most n items: where the next one is
slower, a recording waits, and nothing of it is lost. A camera never waits: `align` takes the newest pair when it is
free, and a sink that cannot follow loses pictures, which are counted, while the others get theirs. The main thread
shows windows.

`latency_ms` of a frame:

- `read`: waiting for and decoding the pair;
- the aligner's own stages, see `Alignment.timings_ms`;
- `draw`: warp and blend, 0 if no sink wants a picture;
- `total`: for cameras from the RGB frame's grab until the picture is ready, waiting included; for recordings the time
spent on the frame, waiting and reading left out, because a frame waits there only for being read too early.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.blend import lone_picture, render
from vr.runtime.controls import Controls
from vr.runtime.estimation import Asked, Estimation
from vr.runtime.geometry import SizeHw
from vr.runtime.handover import Handover
from vr.runtime.notices import Notice
from vr.runtime.pairing import Alone, Pair, Pairing
from vr.runtime.preprocess import to_bgr
from vr.runtime.sinks import Output, Sink, Troubled
from vr.runtime.stopping import Stop

_READ_AHEAD, _ALIGNED_AHEAD, _DRAWN_AHEAD = 2, 1, 2
_JOIN_STEP_S = 0.1
_LIGHT_AHEAD = 256
"""Outputs without pictures that a live sink may be behind: some seconds."""


@dataclass(frozen=True)
class Read:
    """What is asked for a pair, or what there is without one, and how long it was waited for."""

    asked: Asked | Alone
    read_ms: float

    @property
    def shown(self) -> Pair | Alone:
        """The frames."""
        return self.asked if isinstance(self.asked, Alone) else self.asked.pair


@dataclass(frozen=True)
class _Aligned:
    read: Read
    alignment: Alignment | None


class Pipeline:
    """One pair of sources on its way to its sinks."""

    def __init__(
        self,
        pairing: Pairing,
        estimation: Estimation,
        sinks: Sequence[Sink],
        stop: Stop,
        watch: Callable[[Output], None],
        *,
        troubled: Sequence[Troubled] = (),
        live: bool,
        controls: Controls,
        frames: int | None = None,
        workers: int = 1,
    ) -> None:
        """live: the sources are cameras. controls: how the picture is drawn right now. workers: how many pairs of a
        recording are looked at together. frames: how many to put out at most. `stop` ends the run early; what is under
        way then still gets out. watch: is told of every output, whatever the sinks lose. troubled: who beside the sinks
        may have something to say on the picture.
        """
        self._pairing, self._estimation, self._stop = pairing, estimation, stop
        self._live, self._controls, self._frames = live, controls, frames
        self._troubled = [*troubled, *(sink for sink in sinks if isinstance(sink, Troubled))]
        self._draws = any(sink.wants_picture for sink in sinks)
        self._size_hw: SizeHw | None = None
        self._pairs = Handover[Read](_READ_AHEAD + workers)
        self._aligned = Handover[_Aligned](_ALIGNED_AHEAD)
        self._outputs = [(watch, Handover[Output](_LIGHT_AHEAD))]
        for sink in sinks:
            room = _LIGHT_AHEAD if live and not sink.wants_picture else _DRAWN_AHEAD
            self._outputs.append((sink.write, Handover[Output](room, drops=live)))
        self._threads: list[threading.Thread] = []
        self._failure: Exception | None = None
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether any stage still works."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def dropped_by_sinks(self) -> int:
        """Outputs of cameras that a sink was too slow for."""
        return sum(outputs.dropped for _, outputs in self._outputs)

    def start(self) -> None:
        """Starts all stages."""
        stages: list[tuple[str, Callable[[], None]]] = [("align", self._align), ("draw", self._draw)]
        if not self._live:
            stages.insert(0, ("read", self._read))
        for number, (write, outputs) in enumerate(self._outputs):
            stages.append((f"output {number}", partial(self._write, write, outputs)))
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True) for name, work in stages
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, timeout_s: float) -> None:
        """Waits for the end of all stages, at most about so long."""
        end_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def join(self) -> None:
        """Waits for the end of all stages. Raises the first error that one of them met."""
        for thread in self._threads:
            # In steps: a signal that another thread has taken is handled once the main thread wakes up.
            while thread.is_alive():
                thread.join(_JOIN_STEP_S)
        self._estimation.close()
        if self._failure is not None:
            raise self._failure

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()

    def _read(self) -> None:
        try:
            for read in self._reads():
                if not self._pairs.put(read):
                    break
        finally:
            self._pairs.end()

    def _reads(self) -> Iterator[Read]:
        """The pairs as they come, as many as are wanted."""
        count = 0
        while not self._stop.is_set() and count != self._frames:
            asked_s = time.monotonic()
            pair = self._pairing.next(self._stop)
            if pair is None:
                return
            read_ms = (time.monotonic() - asked_s) * 1000.0
            yield Read(pair if isinstance(pair, Alone) else self._estimation.ask(pair), read_ms)
            count += 1

    def _align(self) -> None:
        try:
            for read in self._reads() if self._live else self._pairs:
                alignment = None if isinstance(read.asked, Alone) else self._estimation.answer(read.asked)
                if not self._aligned.put(_Aligned(read, alignment)):
                    break
        finally:
            self._pairs.abandon()
            self._aligned.end()

    def _draw(self) -> None:
        try:
            for index, aligned in enumerate(self._aligned):
                output = self._output(index, aligned)
                if not isinstance(aligned.read.asked, Alone):
                    self._estimation.drawn(aligned.read.asked)
                if not all([outputs.put(output) for _, outputs in self._outputs]):
                    break
        finally:
            self._aligned.abandon()
            for _, outputs in self._outputs:
                outputs.end()

    def _output(self, index: int, aligned: _Aligned) -> Output:
        read, alignment = aligned.read, aligned.alignment
        shown, timings_ms = read.shown, {} if alignment is None else alignment.timings_ms
        time_s = shown.time_s if isinstance(shown, Alone) else shown.rgb.time_s
        start_s = time.monotonic()
        notices = (*shown.notices, *(notice for sink in self._troubled if (notice := sink.notice) is not None))
        picture = self._picture(alignment, shown, notices) if self._draws else None
        end_s = time.monotonic()
        spent_ms = {**timings_ms, "draw": (end_s - start_s) * 1000.0}
        total_ms = (end_s - time_s) * 1000.0 if self._live else sum(spent_ms.values())
        latency_ms = {"read": read.read_ms, **spent_ms, "total": total_ms}
        return Output(index, time_s, shown.ir, shown.rgb, alignment, latency_ms, picture, notices)

    def _picture(
        self, alignment: Alignment | None, shown: Pair | Alone, notices: Sequence[Notice]
    ) -> NDArray[np.uint8]:
        rgb = None if shown.rgb is None else to_bgr(shown.rgb.frame)
        spot, style = None if shown.ir is None else shown.ir.hot_spot, self._controls.settings.style
        if alignment is not None and rgb is not None:
            picture = render(style, alignment, rgb, notices, spot)
            self._size_hw = picture.shape[0], picture.shape[1]
            return picture
        ir = None if shown.ir is None else shown.ir.frame
        return lone_picture(rgb, ir, self._size_hw, notices, style.palette, spot)

    def _write(self, write: Callable[[Output], None], outputs: Handover[Output]) -> None:
        try:
            for output in outputs:
                write(output)
        finally:
            outputs.abandon()
