"""All checks one after the other, none of which can end the others, and how their findings are shown."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from vr.runtime.doctor.cameras import check_cameras
from vr.runtime.doctor.finding import Finding, worst
from vr.runtime.doctor.machine import ask_gpus, check_machine
from vr.runtime.doctor.packages import check_packages, first_words
from vr.runtime.doctor.providers import check_providers
from vr.runtime.doctor.sources import check_sources
from vr.runtime.doctor.speed import Speed, measure_speed, speed_findings
from vr.runtime.sources import Role, SourceOptions


@dataclass
class Report:
    """findings: in order. speeds: as measured."""

    findings: list[Finding] = field(default_factory=list[Finding])
    speeds: list[Speed] = field(default_factory=list[Speed])

    @property
    def failed(self) -> bool:
        """Whether anything does not work."""
        return worst(self.findings) == "fail"

    @property
    def verdict(self) -> str:
        """All in one line."""
        fails, warns = ([one.name for one in self.findings if one.verdict == kind] for kind in ("fail", "warn"))
        if fails:
            return f"Does not work: {', '.join(fails)}. Do what stands beside them, then run this again."
        if warns:
            return f"Works. What could be better: {', '.join(warns)}."
        return "Everything works."

    def as_json(self) -> str:
        """For machines."""
        whole: dict[str, Any] = {
            "verdict": worst(self.findings),
            "text": self.verdict,
            "findings": [one.as_dict() for one in self.findings],
            "speed": [one.as_dict() for one in self.speeds],
        }
        return json.dumps(whole, indent=2, ensure_ascii=False)


def examine(specs: dict[Role, str], seconds: float, options: SourceOptions, quick: bool) -> Report:
    """specs: the sources to look at, by role. quick: without measuring speed."""
    report = Report()

    def add(name: str, check: Callable[[], list[Finding]]) -> None:
        report.findings += guarded(name, check)

    add("packages", check_packages)
    gpus, working = ask_gpus(), list[str]()
    add("machine", lambda: check_machine(gpus))
    add("providers", lambda: _providers(bool(gpus.lines), working))
    add("cameras", check_cameras)
    if specs:
        add("sources", lambda: check_sources(specs, seconds, options))
    if working and not quick:
        add("speed", lambda: _speed(report, working))
    return report


def guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """What a check finds, or that it failed itself."""
    try:
        return check()
    except Exception as error:
        advice = "This is a fault of the check: report it, with the output of --json."
        return [
            Finding(name, "fail", f"It could not be looked at: {type(error).__name__}, {first_words(error)}.", advice)
        ]


def _providers(has_gpu: bool, working: list[str]) -> list[Finding]:
    findings, names = check_providers(has_gpu)
    working += names
    return findings


def _speed(report: Report, working: list[str]) -> list[Finding]:
    report.speeds = measure_speed(working)
    return speed_findings(report.speeds)


def show(report: Report, console: Console) -> None:
    """A table, and the verdict."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in report.findings:
        text = one.text if not one.advice else f"{one.text} {one.advice}"
        table.add_row(one.verdict.upper(), one.name, text, style="bold" if one.verdict == "fail" else None)
    console.print(table)
    console.print(report.verdict)
