"""A live run: sources, an aligner and sinks are opened, `vr.runtime.pipeline` does the work, a report comes out."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from vr.runtime.aligner import Aligner
from vr.runtime.batching import share
from vr.runtime.controls import Controls, Settings
from vr.runtime.cores import available_cores, share_cores
from vr.runtime.device_aligner import DeviceAligner, is_overlay_graph
from vr.runtime.embedded import model_path
from vr.runtime.errors import InputError
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.live_options import RUN_DEFAULTS, LiveOptions, RunOptions
from vr.runtime.logs import reopen_logs
from vr.runtime.notify import Notifier
from vr.runtime.pairing import TimeRule, pair_sources
from vr.runtime.person_masks import PersonMasks
from vr.runtime.pipeline import Pipeline
from vr.runtime.providers import BUILDING_ENGINES
from vr.runtime.report import LiveReport, LiveStats
from vr.runtime.rig_transform import rig_theta
from vr.runtime.rigs import rig_prior
from vr.runtime.session import Runner, Session, builds_engines
from vr.runtime.sinks import (
    FlowSink,
    Output,
    Reopenable,
    ResumingSink,
    Sink,
    VideoSink,
    WindowSink,
    can_show_windows,
    open_recording,
    open_transforms,
    show_windows,
    unattended,
)
from vr.runtime.sinks.targets import FolderTarget
from vr.runtime.sources import LiveSource, Role, SourcePair, open_pair, open_source
from vr.runtime.sources.base import ROLES, Step
from vr.runtime.sources.opening import Steps, is_camera, is_file
from vr.runtime.sources.repeats import RepeatWatch
from vr.runtime.status import Status
from vr.runtime.stopping import Stop, reopen_on_hangup, stop_on_signals
from vr.runtime.supervision import Supervisor, supervised
from vr.runtime.thermal import ThermalConditioner
from vr.runtime.thermal.step import conditioning
from vr.runtime.time_offset.finding import OffsetFinder, describe_offset, find_recorded

NO_DISPLAY = "no display found: running without a window (--no-window leaves this line out)"


_HURRY_S = 2.0
"""How long a run that is torn down waits for its threads before it closes its files."""
Say = Callable[[str], None]
OnFrame = Callable[[int, int | None], None]


def run_live(
    options: LiveOptions, say: Say = lambda _text: None, on_frame: OnFrame = lambda _done, _length: None
) -> LiveReport:
    """Runs until a source ends, `options.frames` are done, the window is closed, or SIGINT or SIGTERM
    arrives.

    say: gets what a user should know before the first frame. on_frame: gets the number of output frames
    done, and how many there will be (None if unknown); called from another thread. Raises VrError; what was written up
    to then is closed and kept, and nothing that was there before is replaced.
    """
    return run_pairs([options], say, on_frame)[0]


def run_pairs(
    pairs: Sequence[LiveOptions],
    say: Say = lambda _text: None,
    on_frame: OnFrame = lambda _done, _length: None,
    run_options: RunOptions = RUN_DEFAULTS,
) -> list[LiveReport]:
    """`run_live` of several pairs at the same time, with one session of the first one's model.

    A pair that fails does not end the others; the first error is raised at the end.
    """
    for options in pairs:
        options.check()
    run_options.check()
    with stop_on_signals() as stop, reopen_on_hangup(stop) as reopen, ExitStack() as stack:
        shares = share_cores(pairs[0].threads, live=any(is_camera(options.rgb) for options in pairs))
        shows, workers = _can_show(pairs, say), max(1, shares.workers // len(pairs))
        runs = [LiveRun(options, Stop(stop), say, shows, workers) for options in pairs]
        supervisor = Supervisor([run.status for run in runs], run_options.status_file, Notifier.from_environment())
        reopens = [reopen_logs, *(run.reopen for run in runs)]
        stack.enter_context(supervised(supervisor, stop, reopen, reopens))
        aligners = load_aligners(pairs, shares.threads, say)
        say(_describe(aligners[0], pairs[0]))
        for run, aligner in zip(runs, aligners, strict=True):
            stack.enter_context(run.started(aligner, on_frame if len(pairs) == 1 else _silent))
        windows = [window for run in runs for window in run.windows]
        show_windows(windows, lambda: any(run.running for run in runs))
    for run in runs:
        if run.failure is not None:
            raise run.failure
    return [run.report(aligner) for run, aligner in zip(runs, aligners, strict=True)]


def _can_show(pairs: Sequence[LiveOptions], say: Say) -> bool:
    """Whether there is a display, if one is wanted; says so, once, if there is none."""
    if not any(options.window for options in pairs):
        return False
    if can_show_windows():
        return True
    say(NO_DISPLAY)
    return False


def _silent(_done: int, _length: int | None) -> None:
    pass


class LiveRun:
    """One pair of sources from its options to its report."""

    def __init__(self, options: LiveOptions, stop: Stop, say: Say, shows: bool, workers: int) -> None:
        """Checks every output and writes nothing yet. Raises OutputError.

        shows: there is a display. workers: see `vr.runtime.cores`.
        """
        self._options, self._stop, self._say, self._workers = options, stop, say, workers
        self._files = _open_files(options)
        self._sinks: list[Sink] = [sink for sink, _ in self._files]
        if options.window and shows:
            self._sinks.append(WindowSink(stop, options.name))
        self._stats, self._thermal = LiveStats(), ThermalConditioner(self._options.thermal)
        self._offset = OffsetFinder() if options.finds_offset and is_camera(options.ir) else None
        self.status, self.controls = Status(options.name), Controls(Settings.of(options))
        self._written: list[Path] = []
        self._start_s = self._last_s = 0.0
        self.failure: Exception | None = None

    @property
    def windows(self) -> list[WindowSink]:
        """Those of its sinks that the main thread has to show."""
        return [sink for sink in self._sinks if isinstance(sink, WindowSink)]

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
    def started(self, aligner: Aligner | DeviceAligner, on_frame: OnFrame) -> Generator[None]:
        """Runs in threads of its own; the end of the block waits for them and closes everything.

        What one of them met is then in `failure`. Raises what the sources raise when they are opened.
        """
        with ExitStack() as opening:
            sources = opening.enter_context(self._open_sources())
            self._sources = sources
            self.status.opened({"ir": sources.ir, "rgb": sources.rgb})
            self._build(aligner, sources, on_frame)
            self._written = opening.enter_context(closing_sinks(self._sinks, self._say))
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

    def _finish(self, opened: ExitStack) -> None:
        try:
            with opened:
                self._pipeline.join()
        except Exception as error:
            self.failure = error
        self.status.end(self.failure)

    def report(self, aligner: Aligner | DeviceAligner) -> LiveReport:
        """What the run has come to."""
        report = self._stats.report(self._last_s - self._start_s, self._pairing.counts)
        pair = {"IR": self._sources.ir, "RGB": self._sources.rgb}
        paused = sum(sink.lost for sink in self._sinks if isinstance(sink, ResumingSink))
        return replace(
            report,
            written=self._written,
            search=aligner.search_text,
            dropped_by_sinks=self._pipeline.dropped_by_sinks + paused,
            cameras={name: source.status.counts for name, source in pair.items() if isinstance(source, LiveSource)},
            infrared=self._thermal.facts,
            offset=None if self._offset is None else self._offset.text,
        )

    def _open_sources(self) -> AbstractContextManager[SourcePair]:
        options, offset = self._options, self._offset
        steps: dict[Role, list[Step]] = {
            role: [RepeatWatch(), *([] if offset is None else [offset.step(role)])] for role in ROLES
        }
        steps["ir"].append(conditioning(self._thermal))
        return open_pair(options.ir, options.rgb, options.sources, Steps(steps["ir"], steps["rgb"]))

    def _time_rule(self) -> TimeRule:
        """How to pair. Of recordings whose offset is to be found, they are read for it first. Raises InputError."""
        options, rule = self._options, self._options.time_rule
        if not (options.finds_offset and is_file(options.ir) and is_file(options.rgb)):
            return rule
        ir = open_source(options.ir, "ir", options.sources)
        found = find_recorded(ir, open_source(options.rgb, "rgb", options.sources))
        self._say(f"time offset: {describe_offset(found)}")
        return replace(rule, ir_offset_ms=found.offset_ms or 0.0)

    def _build(self, aligner: Aligner | DeviceAligner, sources: SourcePair, on_frame: OnFrame) -> None:
        options, live = self._options, sources.rgb.live
        for sink in self._sinks:
            if isinstance(sink, VideoSink):
                sink.start(sources.rgb.fps, self._say)
        if live:
            self._sinks = [*(unattended(*file, options.storage) for file in self._files), *self.windows]
        offset_ms = None if self._offset is None else self._offset.offset_ms
        self._pairing = pair_sources(sources.ir, sources.rgb, self._time_rule(), offset_ms)
        self._pipeline = Pipeline(
            self._pairing,
            estimation_for(aligner, parse_every(options.estimate_every), rig_prior(options.rig), live, self._workers),
            self._sinks,
            self._stop,
            self._watch(sources, on_frame),
            troubled=[] if self._offset is None else [self._offset],
            live=live,
            controls=self.controls,
            frames=options.frames,
            workers=self._workers,
        )

    def _watch(self, sources: SourcePair, on_frame: OnFrame) -> Callable[[Output], None]:
        length = _length(self._options, sources)

        def watch(output: Output) -> None:
            rgb = output.rgb
            truth = None if sources.truth is None or rgb is None else sources.truth(rgb.index)
            self._stats.add(output, truth)
            self._last_s = time.monotonic()
            self.status.output(output)
            on_frame(self._stats.frames, length)

        return watch


def _length(options: LiveOptions, sources: SourcePair) -> int | None:
    known = [n for n in (options.frames, sources.rgb.length) if n is not None]
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


def load_aligners(pairs: Sequence[LiveOptions], threads: int, say: Say) -> Sequence[Aligner | DeviceAligner]:
    """One for each pair, on one session; of an overlay graph each on its own. Raises what `Aligner.load` raises."""
    first, masks = pairs[0], None
    path = model_path(first.model)
    if is_overlay_graph(path):
        return [_load_device_aligner(path, one, threads, say) for one in pairs]
    if builds_engines(path, first.provider):
        say(BUILDING_ENGINES)
    session = Session(path, first.provider, threads, transform_only=True)
    if session.provider != "cpu":
        say(f"placement: {session.placement.text}")
    runner: Runner = session if len(pairs) == 1 else share(session, len(pairs), available_cores(), threads)
    if first.mode == "mask":
        masks = [PersonMasks.load(one.masks, one.provider, threads) for one in pairs]
    aligners = [
        Aligner(runner, one.rig, one.search, None if masks is None else masks[number])
        for number, one in enumerate(pairs)
    ]
    for aligner, one in zip(aligners, pairs, strict=True):
        if one.rig_transform is not None:
            aligner.start_from(rig_theta(one.rig_transform))
    return aligners


def _load_device_aligner(path: Path, options: LiveOptions, threads: int, say: Say) -> DeviceAligner:
    if options.mode == "mask":
        raise InputError(
            f"{path} is an overlay graph, which takes frames as they are; --mode mask needs an estimate graph"
        )
    if options.rig_transform is not None:
        raise InputError(f"{path} is an overlay graph, which looks once; --rig-transform needs an estimate graph")
    if options.palette != "none":
        raise InputError(f"{path} is an overlay graph, which draws by itself; --palette needs an estimate graph")
    alpha = options.alpha if options.window or options.record is not None else None
    return DeviceAligner.load(path, options.provider, threads, options.rig, options.search, alpha, say)


def _describe(aligner: Aligner | DeviceAligner, options: LiveOptions) -> str:
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
