"""A live run: sources, an aligner and sinks are opened, `vr.runtime.pipeline` does the work, a report comes out."""

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack, nullcontext

from vr.runtime.cores import share_cores
from vr.runtime.dashboard import Dashboard
from vr.runtime.live_options import RUN_DEFAULTS, LiveOptions, RunOptions
from vr.runtime.live_run import LiveRun, OnFrame, Process
from vr.runtime.loading import Say, describe, load_aligners
from vr.runtime.logs import reopen_logs
from vr.runtime.notify import Notifier
from vr.runtime.report import LiveReport
from vr.runtime.sinks import Sink, can_show_windows, show_windows
from vr.runtime.sources.opening import is_camera
from vr.runtime.stopping import Stop, reopen_on_hangup, stop_on_signals
from vr.runtime.supervision import Supervisor, supervised
from vr.runtime.web.starting import page_for

_LOOK_S = 0.05
"""How long a run may have ended before its dashboard does."""
NO_DISPLAY = "no display found: running without a window (--no-window leaves this line out)"


def run_live(
    options: LiveOptions,
    say: Say = lambda _text: None,
    on_frame: OnFrame = lambda _done, _length: None,
    sinks: Sequence[Sink] = (),
) -> LiveReport:
    """Runs until a source ends, `options.frames` are done, the window is closed, or SIGINT or SIGTERM
    arrives.

    say: gets what a user should know before the first frame. on_frame: gets the number of output frames
    done, and how many there will be (None if unknown); called from another thread. sinks: of one's own, beside those
    that the options name; each is written to in a thread of its own. Raises VrError; what was written up
    to then is closed and kept, and nothing that was there before is replaced.
    """
    return run_pairs([options], say, on_frame, sinks=sinks)[0]


def run_pairs(
    pairs: Sequence[LiveOptions],
    say: Say = lambda _text: None,
    on_frame: OnFrame = lambda _done, _length: None,
    run_options: RunOptions = RUN_DEFAULTS,
    given: Collection[str] = (),
    dashboard: Dashboard | None = None,
    sinks: Sequence[Sink] = (),
) -> list[LiveReport]:
    """`run_live` of several pairs at the same time, with one session of the first one's model.

    A pair that fails does not end the others; the first error is raised at the end. given: keys of what the command
    line says, which comes before what was kept of an earlier run. dashboard: shows the run unless there is a window or
    a page, and `on_frame` is not called then. sinks: of the first pair, see `run_live`.
    """
    for options in pairs:
        options.check()
    run_options.check()
    with stop_on_signals() as stop, reopen_on_hangup(stop) as reopen, ExitStack() as stack:
        shares = share_cores(pairs[0].threads, live=any(is_camera(options.rgb) for options in pairs))
        shows, workers = _can_show(pairs, run_options, say), max(1, shares.workers // len(pairs))
        process = Process(say, shows, shares.threads, workers, run_options, given)
        runs = [LiveRun(options, Stop(stop), process, () if number else sinks) for number, options in enumerate(pairs)]
        page = stack.enter_context(page_for(run_options, stop.is_set))
        supervisor = Supervisor([run.status for run in runs], run_options.status_file, Notifier.from_environment())
        reopens = [reopen_logs, *(run.reopen for run in runs)]
        stack.enter_context(supervised(supervisor, stop, reopen, reopens))
        aligners = load_aligners(pairs, shares.threads, say, run_options.is_watched)
        say(describe(aligners[0], pairs[0]))
        board = None if shows or run_options.is_watched else dashboard
        for run, aligner in zip(runs, aligners, strict=True):
            stack.enter_context(run.started(aligner, on_frame if len(pairs) == 1 and board is None else _silent))
        if page is not None:
            page.serve([run.page(number) for number, run in enumerate(runs)], say)
        _show(runs, board)
    for run in runs:
        if run.failure is not None:
            raise run.failure
    return [run.report() for run in runs]


def _show(runs: Sequence[LiveRun], board: Dashboard | None) -> None:
    """Keeps windows or dashboard up to date until all runs have ended; returns at once without either."""
    windows = [window for run in runs for window in run.windows]
    with nullcontext() if board is None else board.watching(runs):
        show_windows(windows, lambda: any(run.running for run in runs))
        while board is not None and any(run.running for run in runs):
            time.sleep(_LOOK_S)


def _can_show(pairs: Sequence[LiveOptions], run: RunOptions, say: Say) -> bool:
    """Whether there is a display, if one is wanted; says so, once, if there is none and no page either."""
    if not any(options.window for options in pairs):
        return False
    if can_show_windows():
        return True
    if not run.is_watched:
        say(NO_DISPLAY)
    return False


def _silent(_done: int, _length: int | None) -> None:
    pass
