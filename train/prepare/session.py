"""One call of `vr-train prepare`: opens and surveys everything, plans, then writes."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vr.runtime.sources.quiet import quiet_opencv
from vr.runtime.stopping import stop_on_signals
from vr.train.prepare.folder import REPORT, DatasetFolder
from vr.train.prepare.inputs import Input, open_inputs
from vr.train.prepare.masks import Segmenters
from vr.train.prepare.people import open_segmenter
from vr.train.prepare.plan import Plan, make_plan, plan_source
from vr.train.prepare.reading import Recording
from vr.train.prepare.settings import Settings
from vr.train.prepare.sheet import write_sheet
from vr.train.prepare.summary import summarise, table, warnings
from vr.train.prepare.survey import Survey, survey
from vr.train.prepare.writing import Job, write_pairs


@dataclass(frozen=True)
class Request:
    """What the user asked for. resume_command: what to type after an interruption."""

    settings: Settings
    out: Path
    resume: bool = False
    resume_command: str = ""


def run_prepare(request: Request) -> dict[str, Any]:
    """Prepares the data set and returns the content of `report.json`.

    Raises a VrError before anything is written if the input is unusable, and KeyboardInterrupt after Ctrl-C, when
    what is written can be resumed.
    """
    quiet_opencv()
    settings, folder = request.settings, DatasetFolder(request.out)
    settings.check()
    if request.resume:
        folder.check_resumable(settings.to_dict())
    else:
        folder.check_free()
    inputs = open_inputs(settings)
    segmenters = _open_segmenters(settings)
    with stop_on_signals() as stop, _progress() as bar:
        plan = _plan(inputs, settings, stop, bar)
        finished = _write(Job(plan, inputs, settings, folder, segmenters), request.resume, stop, bar)
    if not finished:
        typer.echo(f"stopped; go on with: {request.resume_command}", err=True)
        raise KeyboardInterrupt
    return _conclude(folder, plan, inputs, settings)


def _plan(inputs: list[Input], settings: Settings, stop: Event, bar: Progress) -> Plan:
    sources = []
    for source in inputs:
        ir, rgb = (_survey(recording, settings, stop, bar) for recording in (source.ir, source.rgb))
        sources.append(plan_source(ir, rgb, settings, is_aligned=source.archive is not None))
    return make_plan(sources, settings)


def _survey(recording: Recording, settings: Settings, stop: Event, bar: Progress) -> Survey:
    task = bar.add_task(f"looking at {recording.name}", total=None)

    def on_frame() -> None:
        bar.advance(task)
        if stop.is_set():
            # Nothing is written yet, so there is nothing to keep.
            raise KeyboardInterrupt

    found = survey(recording, settings.dark_level, on_frame)
    bar.update(task, total=len(found.index))
    return found


def _write(job: Job, resume: bool, stop: Event, bar: Progress) -> bool:
    if not resume:
        job.folder.start(job.settings.to_dict())
    lines = job.folder.read_lines()
    task = bar.add_task("writing pairs", total=len(job.plan.pairs), completed=len(lines))
    return write_pairs(job, lines, stop.is_set, lambda: bar.advance(task))


def _conclude(folder: DatasetFolder, plan: Plan, inputs: list[Input], settings: Settings) -> dict[str, Any]:
    lines = folder.read_lines()
    has_stored_masks = any(source.archive is not None and source.archive.has_masks for source in inputs)
    report = summarise(plan, lines, settings, has_stored_masks)
    write_sheet(folder, lines)
    folder.write_json(REPORT, report)
    folder.remove_examples()
    rows = table(report)
    width = max(len(heading) for heading, _ in rows)
    for heading, text in rows:
        typer.echo(f"{heading:<{width}}  {text}")
    for warning in warnings(report):
        typer.echo(f"note: {warning}")
    typer.echo(f"data set in {folder.root}; look at {folder.root / 'contact.png'} before training on it")
    return report


def _open_segmenters(settings: Settings) -> Segmenters:
    ir = None if settings.ir_weights is None else open_segmenter(Path(settings.ir_weights), settings.backbone)
    if settings.masks != "both":
        return Segmenters(ir, None)
    return Segmenters(ir, open_segmenter(Path(settings.weights) if settings.weights else None, settings.backbone))


@contextmanager
def _progress() -> Generator[Progress]:
    """Bars on stderr, where that is a terminal."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar
