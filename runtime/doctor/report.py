"""All checks one after the other, none of which can end the others, and how their findings are shown."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from vr.runtime.doctor.cameras import check_cameras
from vr.runtime.doctor.finding import Finding, worst
from vr.runtime.doctor.machine import check_machine
from vr.runtime.doctor.packages import check_packages, first_words
from vr.runtime.doctor.providers import check_providers
from vr.runtime.doctor.sources import check_sources
from vr.runtime.doctor.speed import Speed, measure_speed, speed_findings
from vr.runtime.sources import Role, SourceOptions

_GPU = "GPU"


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
    add("machine", check_machine)
    working: list[str] = []
    add("providers", lambda: _providers(report, working))
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


def _providers(report: Report, working: list[str]) -> list[Finding]:
    has_gpu = any(one.name == _GPU and "driver" in one.text and one.verdict == "ok" for one in report.findings)
    findings, names = check_providers(has_gpu and "No NVIDIA" not in _text_of(report, _GPU))
    working += names
    return findings


def _text_of(report: Report, name: str) -> str:
    return next((one.text for one in report.findings if one.name == name), "")


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
