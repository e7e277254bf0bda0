"""Looking at the sources of `--ir` and `--rgb` for some seconds: what they really send, and how evenly."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from vr.runtime.doctor.finding import Finding, Verdict
from vr.runtime.doctor.packages import first_words
from vr.runtime.errors import VrError
from vr.runtime.sources import LiveSource, Role, Source, SourceOptions, open_source
from vr.runtime.sources.base import Stamped, Step
from vr.runtime.sources.credentials import display_name, scrub, secrets_of
from vr.runtime.sources.opening import is_camera
from vr.runtime.sources.repeats import RepeatWatch
from vr.runtime.thermal import ThermalConditioner
from vr.runtime.time_offset.finding import describe_offset
from vr.runtime.time_offset.online import OffsetEstimator

_GAP_PERIODS = 2.5
_UNEVEN_SHARE = 0.3
_MANY_GAPS = 0.02
_OFFSET_AFTER_S = 12.0


@dataclass
class Seen:
    """What came of a source. facts: of infrared, what `ThermalConditioner` says."""

    role: Role
    name: str
    times_s: list[float] = field(default_factory=list[float])
    kind: str = ""
    repeats: int = 0
    opened_s: float = 0.0
    facts: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict[str, int])
    error: str = ""


def check_sources(specs: dict[Role, str], seconds: float, options: SourceOptions) -> list[Finding]:
    """A finding for each source, both watched at the same time, and one about their offset in time if there are two."""
    estimator = OffsetEstimator()
    seen = {role: Seen(role, display_name(spec)) for role, spec in specs.items()}
    threads = [
        threading.Thread(target=_guarded, args=(spec, seen[role], seconds, options, estimator), daemon=True)
        for role, spec in specs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    findings = [source_finding(one) for one in seen.values()]
    both_live = all(is_camera(spec) for spec in specs.values())
    if len(specs) == 2 and both_live and not any(one.error for one in seen.values()):
        findings.append(_offset(estimator, seconds))
    return findings


def _guarded(spec: str, seen: Seen, seconds: float, options: SourceOptions, estimator: OffsetEstimator) -> None:
    try:
        _watch(spec, seen, seconds, options, estimator)
    except VrError as error:
        seen.error = str(error)
    except Exception as error:  # whatever a driver throws
        seen.error = scrub(first_words(error), secrets_of(spec, seen.role))


def _watch(spec: str, seen: Seen, seconds: float, options: SourceOptions, estimator: OffsetEstimator) -> None:
    start_s, thermal, repeats = time.monotonic(), ThermalConditioner(), RepeatWatch()

    def note(stamped: Stamped) -> Stamped:
        seen.times_s.append(stamped.time_s)
        seen.kind = seen.kind or _kind(stamped)
        seen.repeats += repeats(stamped).repeats
        estimator.see(seen.role, stamped.frame, stamped.time_s)
        if seen.role == "ir":
            thermal(stamped.frame, stamped.time_s)
        return stamped

    steps: list[Step] = [note]
    source = open_source(spec, seen.role, options, steps)
    try:
        seen.opened_s = time.monotonic() - start_s
        _read(source, seconds)
    finally:
        source.close()
    seen.facts = thermal.facts if seen.role == "ir" else ()
    seen.counts = source.status.counts if isinstance(source, LiveSource) else {}


def _read(source: Source, seconds: float) -> None:
    """Of a camera for so long; of a recording so much, or for so long."""
    end_s = time.monotonic() + seconds
    if source.live:
        time.sleep(seconds)
        return
    while (stamped := source.read()) is not None and stamped.time_s < seconds and time.monotonic() < end_s:
        pass


def _kind(stamped: Stamped) -> str:
    h, w = stamped.frame.shape[:2]
    colour = "colour" if stamped.frame.shape[2:] == (3,) else "grey"
    return f"{w}x{h}, {8 * stamped.frame.dtype.itemsize} bit {colour}"


def source_finding(seen: Seen) -> Finding:
    """What is said of a source."""
    name = f"--{seen.role}"
    if seen.error:
        return Finding(name, "fail", f"{seen.error}.")
    if len(seen.times_s) < 2:
        text = f"{seen.name} was opened and gave {len(seen.times_s)} frames."
        return Finding(name, "fail", text, "Look at it with its own program; another one may be using it.")
    steps_ms = 1000.0 * np.diff(seen.times_s)
    usual_ms = float(np.median(steps_ms))
    gaps = int((steps_ms > _GAP_PERIODS * usual_ms).sum())
    jitter_ms = float(np.percentile(np.abs(steps_ms - usual_ms), 90))
    rate = 1000.0 / float(steps_ms.mean())
    parts = [
        f"{seen.name}: {seen.kind}, {rate:.1f} frames per second",
        f"every {usual_ms:.0f} ms, nine in ten within {jitter_ms:.0f} ms",
        f"{gaps} gap{'s' if gaps != 1 else ''}, the longest {steps_ms.max():.0f} ms",
        f"opened in {seen.opened_s:.1f} s",
        *seen.facts,
        *_counted(seen),
    ]
    verdict, advice = _judged(seen, gaps / len(steps_ms), jitter_ms / usual_ms)
    return Finding(name, verdict, "; ".join(parts) + ".", advice)


def _counted(seen: Seen) -> list[str]:
    words = {"decode_errors": "damaged frames", "late": "late frames", "breaks": "breaks", "stalls": "stalls"}
    counted = [f"{seen.counts[key]} {word}" for key, word in words.items() if seen.counts.get(key)]
    return [*counted, *([f"{seen.repeats} frames repeat the one before"] if seen.repeats else [])]


def _judged(seen: Seen, gap_share: float, jitter_share: float) -> tuple[Verdict, str]:
    if seen.counts.get("decode_errors") or seen.counts.get("breaks") or seen.counts.get("stalls"):
        return "warn", "The connection loses data: use a cable instead of radio, or a smaller picture or bit rate."
    if gap_share > _MANY_GAPS:
        return "warn", "Frames are missing: a slower rate or a smaller picture may help; is the machine busy?"
    if jitter_share > _UNEVEN_SHARE and seen.counts:
        return "warn", "Frames come unevenly: --slop-ms may need to be larger; a cable is steadier than radio."
    if seen.repeats > len(seen.times_s) // 2:
        return "warn", "It mostly repeats one picture: it may hang, or wait for its shutter."
    return "ok", ""


def _offset(estimator: OffsetEstimator, seconds: float) -> Finding:
    state = estimator.poll(time.monotonic(), wait=True)
    for later_s in range(1, 4):  # it believes an offset after three estimates that agree
        state = estimator.poll(time.monotonic() + 3.0 * later_s, wait=True)
    if state.offset_ms is not None:
        advice = "vr-live calibrate finds it more exactly, or use --ir-offset-ms auto."
        return Finding("time offset", "ok", f"A guess: {describe_offset(state)}.", advice)
    more = "" if seconds >= _OFFSET_AFTER_S else f" in {seconds:g} s"
    advice = "Let something move in front of both for 20 s (--seconds 20), or use --ir-offset-ms auto."
    return Finding("time offset", "ok", f"It could not be told{more}.", advice)
