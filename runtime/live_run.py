"""One pair of sources, from its options to its report."""

import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vr.runtime.by_hand import ByHand
from vr.runtime.controls import Controls, Settings
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.interchange import RigTransform
from vr.runtime.kept import keeping
from vr.runtime.keys import Actions
from vr.runtime.live_options import LiveOptions, RunOptions
from vr.runtime.loading import AnyAligner, Say, load_aligners, model_choices
from vr.runtime.pairing import LoopedPairing, PacedPairing, Pairing, TimeRule, pair_sources
from vr.runtime.pipeline import Pipeline
from vr.runtime.report import LiveReport, LiveStats
from vr.runtime.rig_transform import rig_transform
from vr.runtime.rigs import rig_prior
from vr.runtime.sinks import (
    FlowSink,
    Output,
    Reopenable,
    ResumingSink,
    Sink,
    VideoSink,
    WindowSink,
    open_recording,
    open_transforms,
    unattended,
)
from vr.runtime.sinks.closing import closing_sinks
from vr.runtime.sinks.targets import FolderTarget
from vr.runtime.sources import LiveSource, Role, SourcePair, open_pair, open_source
from vr.runtime.sources.base import ROLES, Step
from vr.runtime.sources.opening import Steps, is_camera, is_file
from vr.runtime.sources.repeats import RepeatWatch
from vr.runtime.status import Status
from vr.runtime.steering import Steered
from vr.runtime.stopping import Stop
from vr.runtime.switching import SwitchingAligner
from vr.runtime.thermal import ThermalConditioner
from vr.runtime.thermal.hot_spot import Celsius
from vr.runtime.thermal.step import conditioning
from vr.runtime.time_offset.finding import OffsetFinder, describe_offset, find_recorded
from vr.runtime.web.newest import WebSink
from vr.runtime.web.pair import WebPair
from vr.runtime.web.recording import DEFAULT_FOLDER, RecordingSwitch

_HURRY_S = 2.0
"""How long a run that is torn down waits for its threads before it closes its files."""
OnFrame = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Process:
    """What all pairs of a process share.

    say: see `vr.runtime.live.run_live`. shows: there is a display. threads, workers: see `vr.runtime.cores`. given:
    keys of what the command line says.
    """

    say: Say
    shows: bool
    threads: int
    workers: int
    options: RunOptions
    given: Collection[str] = ()


class LiveRun:
    """One pair of sources from its options to its report."""

    def __init__(self, options: LiveOptions, stop: Stop, process: Process, sinks: Sequence[Sink] = ()) -> None:
        """Checks every output and writes nothing yet. sinks: beside those of the options. Raises OutputError."""
        self._options, self._stop, self._process = options, stop, process
        self._files = _open_files(options)
        self._own_sinks = sinks
        self._sinks: list[Sink] = [*(sink for sink, _ in self._files), *sinks]
        self._web = None if process.options.web is None else _web_sink(options, process.options)
        self._stats, self._thermal = LiveStats(), ThermalConditioner(self._options.thermal)
        self._offset = OffsetFinder() if options.finds_offset and is_camera(options.ir) else None
        self.status, self.controls = Status(options.name), Controls(Settings.of(options), model_choices(options.model))
        if options.window and process.shows:
            by_hand = ByHand(self.controls, lambda: self.newest)
            recording = None if self._web is None else self._web.recording.toggle
            actions = Actions(nudge=by_hand.nudge, toggle_recording=recording)
            self._sinks.append(WindowSink(stop, options.name, self.controls, actions))
        self._opened = OpenedSources(options, self._steps)
        self._written: list[Path] = []
        self._start_s = self._last_s = 0.0
        self.failure: Exception | None = None
        self.newest: Output | None = None
        self.length: int | None = None

    @property
    def windows(self) -> list[WindowSink]:
        """Those of its sinks that the main thread has to show."""
        return [sink for sink in self._sinks if isinstance(sink, WindowSink)]

    def page(self, number: int) -> WebPair:
        """What the page may know of it, once it is started with `--web`. number: among all pairs."""
        assert self._web is not None
        celsius = self._options.thermal.ir_celsius
        return WebPair(
            number,
            self._options.name,
            self.controls,
            self.status,
            self._web,
            celsius=None if celsius is None else Celsius.parse(celsius),
            provider=lambda: self._aligner.current.provider,
            counts=lambda: self._pairing.counts,
            dropped=lambda: self._pipeline.dropped_by_sinks,
            offset_ms=self._offset_ms,
            switching=lambda: self._aligner.switching_to,
        )

    def reopen(self) -> None:
        """Opens the files again of those of its sinks that can. Raises OutputError."""
        for sink in self._sinks:
            if isinstance(sink, Reopenable):
                sink.reopen()

    @property
    def running(self) -> bool:
        """Whether frames are still under way."""
        return self._pipeline.running

    @contextmanager
    def started(self, aligner: AnyAligner, on_frame: OnFrame) -> Generator[None]:
        """Runs in threads of its own; the end of the block waits for them and closes everything.

        What one of them met is then in `failure`. Raises what the sources raise when they are opened.
        """
        with ExitStack() as opening:
            sources = opening.enter_context(self._opened)
            self.status.opened({"ir": sources.ir, "rgb": sources.rgb})
            self._build(aligner, sources, on_frame)
            self._written = opening.enter_context(closing_sinks(self._sinks, self._process.say))
            opening.enter_context(self._keeping())
            opened = opening.pop_all()
        self._start_s = self._last_s = time.monotonic()
        self._pipeline.start()
        try:
            yield
        except BaseException:
            self._stop.set()
            self._pipeline.wait(_HURRY_S)
            with opened:
                raise
        self._finish(opened)

    def _keeping(self) -> AbstractContextManager[None]:
        process = self._process
        return keeping(self.controls, self._options, process.options.is_watched, process.given, process.say)

    def _finish(self, opened: ExitStack) -> None:
        try:
            with opened:
                self._pipeline.join()
        except Exception as error:
            self.failure = error
        self.status.end(self.failure)

    def report(self) -> LiveReport:
        """What the run has come to."""
        report = self._stats.report(self._last_s - self._start_s, self._pairing.counts)
        sources = {"IR": self._opened.pair.ir, "RGB": self._opened.pair.rgb}
        paused = sum(sink.lost for sink in self._sinks if isinstance(sink, ResumingSink))
        return replace(
            report,
            written=self._written,
            search=self._aligner.current.search_text,
            dropped_by_sinks=self._pipeline.dropped_by_sinks + paused,
            cameras={name: source.status.counts for name, source in sources.items() if isinstance(source, LiveSource)},
            infrared=self._thermal.facts,
            offset=None if self._offset is None else self._offset.text,
        )

    def _steps(self) -> Steps:
        """What is done to every frame, from the beginning of a video."""
        offset = self._offset
        steps: dict[Role, list[Step]] = {
            role: [RepeatWatch(), *([] if offset is None else [offset.step(role)])] for role in ROLES
        }
        steps["ir"].append(conditioning(self._thermal))
        return Steps(steps["ir"], steps["rgb"])

    def _time_rule(self) -> TimeRule:
        """How to pair. Of recordings whose offset is to be found, they are read for it first. Raises InputError."""
        options, rule = self._options, self._options.time_rule
        if not (options.finds_offset and is_file(options.ir) and is_file(options.rgb)):
            return rule
        ir = open_source(options.ir, "ir", options.sources)
        found = find_recorded(ir, open_source(options.rgb, "rgb", options.sources))
        self._process.say(f"time offset: {describe_offset(found)}")
        return replace(rule, ir_offset_ms=found.offset_ms or 0.0)

    def _build(self, aligner: AnyAligner, sources: SourcePair, on_frame: OnFrame) -> None:
        options, live, workers = self._options, sources.rgb.live, self._process.workers
        for sink in self._sinks:
            if isinstance(sink, VideoSink):
                sink.start(sources.rgb.fps, self._process.say)
        if live:
            self._sinks = [
                *(unattended(*file, options.storage) for file in self._files),
                *self._own_sinks,
                *self.windows,
            ]
        if self._web is not None:
            self._web.start(sources.rgb.fps)
            self._sinks.append(self._web)
        self._aligner = SwitchingAligner(aligner, self.controls, self._load, time.monotonic)
        self._pairing = self._paired(sources)
        estimation = Steered(
            estimation_for(self._aligner, parse_every(options.estimate_every), rig_prior(options.rig), live, workers),
            self.controls,
            self._start(),
        )
        self._pipeline = Pipeline(
            self._pairing,
            estimation,
            self._sinks,
            self._stop,
            self._watch(sources, on_frame),
            troubled=[self._aligner, estimation, *([] if self._offset is None else [self._offset])],
            live=live,
            controls=self.controls,
            frames=options.frames,
            workers=workers,
        )

    def _start(self) -> RigTransform | None:
        """Where estimates begin to look; says what a calibration's matrix leaves out. Raises InputError."""
        if self._options.rig_transform is None:
            return None
        start = rig_transform(self._options.rig_transform)
        for warning in start.warnings:
            self._process.say(warning)
        return start

    def _paired(self, sources: SourcePair) -> Pairing:
        options, rule = self._options, self._time_rule()
        offset_ms = None if self._offset is None else self._offset.offset_ms
        pairing = pair_sources(sources.ir, sources.rgb, rule, offset_ms)
        if options.loop and not sources.rgb.live:
            pairing = LoopedPairing(pairing, lambda: self._again(rule))
        if (options.realtime or self._process.options.is_watched) and not sources.rgb.live:
            pairing = PacedPairing(pairing)
        return pairing

    def _offset_ms(self) -> float:
        """By how much IR times are moved now."""
        return self._options.time_rule.ir_offset_ms if self._offset is None else self._offset.offset_ms()

    def _again(self, rule: TimeRule) -> Pairing:
        sources = self._opened.again()
        return pair_sources(sources.ir, sources.rgb, rule)

    def _load(self, settings: Settings) -> AnyAligner:
        """The aligner that the settings name. Raises what `load_aligners` raises."""
        named = {key: getattr(settings, key) for key in ("mode", "rig", "search")}
        options = replace(self._options, model=Path(settings.model), **named)
        options.masks.check(options.mode)
        return load_aligners([options], self._process.threads, lambda _text: None, self._process.options.is_watched)[0]

    def _watch(self, sources: SourcePair, on_frame: OnFrame) -> Callable[[Output], None]:
        length = self.length = _length(self._options, sources)

        def watch(output: Output) -> None:
            rgb = output.rgb
            truth = None if sources.truth is None or rgb is None else sources.truth(rgb.index)
            self._stats.add(output, truth)
            self._last_s = time.monotonic()
            self.status.output(output)
            self.newest = output
            on_frame(self._stats.frames, length)

        return watch


class OpenedSources:
    """Both sources of a pair, as a context; recordings can be opened again from the beginning."""

    def __init__(self, options: LiveOptions, steps: Callable[[], Steps]) -> None:
        self._options, self._steps = options, steps
        self._stack = ExitStack()
        self.pair: SourcePair

    def __enter__(self) -> SourcePair:
        """Raises StreamError or InputError, see `open_pair`."""
        options = self._options
        opened = open_pair(options.ir, options.rgb, options.sources, self._steps())
        self.pair = self._stack.enter_context(opened)
        return self.pair

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def again(self) -> SourcePair:
        """Closes both and opens them anew. Raises what opening raises."""
        self._stack.close()
        return self.__enter__()


def _length(options: LiveOptions, sources: SourcePair) -> int | None:
    known = [n for n in (options.frames, sources.rgb.length) if n is not None]
    return None if options.loop else min(known, default=None)


def _web_sink(options: LiveOptions, run: RunOptions) -> WebSink:
    return WebSink(RecordingSwitch(run.web_folder or DEFAULT_FOLDER, options.name or "vr-live", options.storage))


def _open_files(options: LiveOptions) -> list[tuple[Sink, Path]]:
    """The sinks that write, and where to. Checks every output and writes nothing yet. Raises OutputError."""
    files: list[tuple[Sink, Path]] = []
    if options.record is not None:
        files.append((open_recording(options.record, options.overwrite, options.storage), options.record))
    if options.transforms is not None:
        files.append((open_transforms(options.transforms, options.overwrite, options.storage), options.transforms))
    if options.flows is not None:
        files.append((FlowSink(FolderTarget(options.flows)), options.flows))
    return files
