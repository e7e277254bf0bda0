"""The live loop: two sources in, aligned pictures and transforms out.

Per output frame: a pair, its alignment, the picture, the sinks. `latency_ms` of a frame:

- `read`: waiting for and decoding the pair;
- the aligner's own stages, see `Alignment.timings_ms`;
- `draw`: warp and blend, 0 if no sink wants a picture;
- `total`: until the picture is ready; for cameras from the RGB frame's grab, for recordings from the pair
being read.
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vr.runtime.aligner import Aligner
from vr.runtime.alignment import DEFAULT_ALPHA, Alignment
from vr.runtime.blend import VIEWS, View, render
from vr.runtime.errors import InputError
from vr.runtime.pairing import DEFAULT_SLOP_MS, Pair, Pairing, pair_sources
from vr.runtime.person_masks import MaskOptions, PersonMasks
from vr.runtime.preprocess import Frame, to_bgr
from vr.runtime.report import LiveReport, LiveStats
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.search import DEFAULT_SEARCH, check_search
from vr.runtime.sinks import (
    FlowSink,
    Output,
    Sink,
    TransformSink,
    VideoSink,
    WindowSink,
    can_show_windows,
    open_recording,
)
from vr.runtime.sinks.targets import FileTarget, FolderTarget
from vr.runtime.sources import SourceOptions, SourcePair, open_pair
from vr.runtime.stopping import stop_on_signals

NO_DISPLAY = "no display found: running without a window (--no-window leaves this line out)"


@dataclass(frozen=True)
class LiveOptions:
    """Everything that `vr-live` can be told; `vr-live --help` says what each means."""

    ir: str
    rgb: str
    model: Path | None = None
    provider: str = "auto"
    threads: int | None = None
    rig: str = DEFAULT_RIG
    search: str = DEFAULT_SEARCH
    mode: str | None = None
    masks: MaskOptions = field(default_factory=MaskOptions)
    alpha: float = DEFAULT_ALPHA
    view: View = "overlay"
    frames: int | None = None
    window: bool = True
    record: Path | None = None
    transforms: Path | None = None
    flows: Path | None = None
    overwrite: bool = False
    slop_ms: float = DEFAULT_SLOP_MS
    ir_offset_ms: float = 0.0
    sources: SourceOptions = field(default_factory=SourceOptions)

    def check(self) -> None:
        """Raises InputError for values out of range and outputs that would overwrite each other."""
        rig_prior(self.rig)
        check_search(self.search)
        self.masks.check(self.mode)
        if not 0.0 <= self.alpha <= 1.0:
            raise InputError(f"--alpha is {self.alpha:g}; expected 0 (RGB alone) to 1 (IR alone)")
        if self.view not in VIEWS:
            raise InputError(f"unknown --view {self.view!r}; expected one of {', '.join(VIEWS)}")
        if self.frames is not None and self.frames < 1:
            raise InputError(f"--frames is {self.frames}; expected 1 or more")
        outputs = [path.resolve() for path in (self.record, self.transforms, self.flows) if path is not None]
        if len(set(outputs)) < len(outputs):
            raise InputError("--record, --transforms and --flows name the same place; give each its own")


class VideoAligner(Protocol):
    """The part of `vr.runtime.Aligner` that the loop uses."""

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """Aligns the next pair of a video."""
        ...


def run_live(
    options: LiveOptions,
    say: Callable[[str], None] = lambda _text: None,
    on_frame: Callable[[int, int | None], None] = lambda _done, _length: None,
) -> LiveReport:
    """Runs until a source ends, `options.frames` are done, the window is closed, or SIGINT or SIGTERM
    arrives.

    say: gets what a user should know before the first frame. on_frame: gets the number of output frames
    done, and how many there will be (None if unknown). Raises VrError; what was written up to then is closed
    and kept, and nothing that was there before is replaced.
    """
    options.check()
    with stop_on_signals() as stop:
        sinks = _open_sinks(options, stop, say)
        aligner = _load_aligner(options)
        say(_describe(aligner, options))
        with open_pair(options.ir, options.rgb, options.sources) as sources:
            pairing = pair_sources(sources.ir, sources.rgb, options.slop_ms, options.ir_offset_ms)
            for sink in sinks:
                if isinstance(sink, VideoSink):
                    sink.start(sources.rgb.fps, may_skip=sources.rgb.live)
            loop = LiveLoop(pairing, aligner, sinks, sources, options, stop)
            with closing_sinks(sinks, say) as written:
                report = loop.run(on_frame)
    return replace(report, written=written, search=aligner.search_text)


class LiveLoop:
    """Pairs, aligns, draws and hands out, one frame after the other."""

    def __init__(
        self,
        pairing: Pairing,
        aligner: VideoAligner,
        sinks: Sequence[Sink],
        sources: SourcePair,
        options: LiveOptions,
        stop: threading.Event,
    ) -> None:
        self._pairing, self._aligner, self._sinks, self._sources = pairing, aligner, sinks, sources
        self._options, self._stop = options, stop
        self._draws = any(sink.wants_picture for sink in sinks)
        self._stats = LiveStats()

    def run(self, on_frame: Callable[[int, int | None], None]) -> LiveReport:
        """The whole loop. Raises whatever a source, the aligner or a sink raises."""
        length = self._length()
        start_s = end_s = time.monotonic()
        while not self._stop.is_set() and self._stats.frames != self._options.frames:
            asked_s = time.monotonic()
            pair = self._pairing.next(self._stop)
            if pair is None:
                break
            self._put_out(pair, asked_s)
            end_s = time.monotonic()
            on_frame(self._stats.frames, length)
        return self._stats.report(end_s - start_s, self._pairing.counts)

    def _put_out(self, pair: Pair, asked_s: float) -> None:
        read_s = time.monotonic()
        alignment = self._aligner(pair.ir.frame, pair.rgb.frame, time_s=pair.rgb.time_s)
        aligned_s = time.monotonic()
        picture = self._draw(alignment, pair) if self._draws else None
        drawn_s = time.monotonic()
        began_s = pair.rgb.time_s if self._sources.rgb.live else read_s
        latency_ms = {"read": (read_s - asked_s) * 1000.0, **alignment.timings_ms}
        latency_ms |= {"draw": (drawn_s - aligned_s) * 1000.0, "total": (drawn_s - began_s) * 1000.0}
        output = Output(self._stats.frames, pair, alignment, latency_ms, picture)
        for sink in self._sinks:
            sink.write(output)
        truth = self._sources.truth
        self._stats.add(alignment, latency_ms["total"], None if truth is None else truth(pair.rgb.index))

    def _draw(self, alignment: Alignment, pair: Pair) -> NDArray[np.uint8]:
        return render(self._options.view, alignment, to_bgr(pair.rgb.frame), self._options.alpha)

    def _length(self) -> int | None:
        known = [n for n in (self._options.frames, self._sources.rgb.length) if n is not None]
        return min(known, default=None)


@contextmanager
def closing_sinks(sinks: Sequence[Sink], say: Callable[[str], None]) -> Generator[list[Path]]:
    """Closes all sinks at the end, also if one of them fails to; yields the list that then says what they
    left.
    """
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        # The first error is the one to report, not what closing may add to it.
        _close_all(sinks, written, complete=False)
        for path in written:
            say(f"kept what was written so far: {path}")
        raise
    failure = _close_all(sinks, written, complete=True)
    if failure is not None:
        raise failure


def _close_all(sinks: Sequence[Sink], written: list[Path], complete: bool) -> Exception | None:
    """Adds what the sinks left to `written`; returns the first error."""
    failure: Exception | None = None
    for sink in sinks:
        try:
            path = sink.close(complete)
        except Exception as error:
            failure = failure or error
        else:
            written += [] if path is None else [path]
    return failure


def _open_sinks(options: LiveOptions, stop: threading.Event, say: Callable[[str], None]) -> list[Sink]:
    """Checks every output and writes nothing yet. Raises OutputError."""
    sinks: list[Sink] = []
    if options.record is not None:
        sinks.append(open_recording(options.record, options.overwrite))
    if options.transforms is not None:
        sinks.append(TransformSink(FileTarget(options.transforms, options.overwrite)))
    if options.flows is not None:
        sinks.append(FlowSink(FolderTarget(options.flows)))
    if options.window:
        if can_show_windows():
            sinks.append(WindowSink(stop))
        else:
            say(NO_DISPLAY)
    return sinks


def _load_aligner(options: LiveOptions) -> Aligner:
    masks = None
    if options.mode == "mask":
        masks = PersonMasks.load(options.masks, options.provider, options.threads)
    return Aligner.load(options.model, options.provider, options.threads, options.rig, options.search, masks)


def _describe(aligner: Aligner, options: LiveOptions) -> str:
    info = aligner.info
    height, width = info.size_hw
    name = "built-in" if options.model is None else str(options.model)
    size = f"{info.network} ({info.kind}), {width}x{height} px, {info.precision}"
    lines = [f"model: {name}, {size}, run {info.training_run or 'unknown'}", f"provider: {aligner.provider}"]
    if options.mode == "mask":
        lines.append(f"masks: {options.masks.describe()}")
    if not info.has_confidence and options.mode == "mask":
        lines.append("confidence: Dice of the two masks as they are aligned; below 0.5 nothing is shown as aligned")
    elif not info.has_confidence:
        lines.append("this model gives no confidence: a wrong alignment is not recognised as wrong")
    return "\n".join(lines)
