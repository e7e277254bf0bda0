"""The figures in Prometheus' text format, version 0.0.4."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vr.runtime.status import RUN_STATES, PairStatus
from vr.runtime.version import package_version
from vr.runtime.web.pair import WebPair, skew_ms

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Labels = dict[str, str]


@dataclass
class _Family:
    """All samples of one name; one whose value is None is left out."""

    name: str
    kind: str
    help: str
    samples: list[tuple[_Labels, float]] = field(default_factory=list[tuple[_Labels, float]])

    def add(self, value: float | None, **labels: str) -> None:
        if value is not None:
            self.samples.append((labels, value))

    def lines(self) -> Iterable[str]:
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            text = ",".join(f'{name}="{_escaped(one)}"' for name, one in labels.items())
            yield f"{self.name}{{{text}}} {value:.10g}" if text else f"{self.name} {value:.10g}"


def metrics_text(pairs: Sequence[WebPair]) -> str:
    """Of all pairs; each has its label `pair`, its name or number."""
    families = _families()
    families["vr_info"].add(1, version=package_version())
    for pair in pairs:
        _add_pair(families, pair, pair.name or str(pair.number))
    return "".join(f"{line}\n" for family in families.values() if family.samples for line in family.lines())


def _families() -> dict[str, _Family]:
    listed = [
        _Family("vr_info", "gauge", "Always 1, with the version of the package."),
        _Family("vr_state", "gauge", "1 for the state that the pair is in, else 0."),
        _Family("vr_frames_total", "counter", "Output frames, by the state of their alignment."),
        _Family("vr_frames_per_second", "gauge", "Output frames per second over the last 10 s."),
        _Family("vr_latency_seconds", "gauge", "From the grab to the picture, percentiles of the last 10 s."),
        _Family("vr_confidence", "gauge", "Of the newest alignment, 0 to 1."),
        _Family("vr_skew_seconds", "gauge", "Infrared time minus colour time of the newest pair."),
        _Family("vr_output_age_seconds", "gauge", "Time since the newest output frame."),
        _Family("vr_pairing_total", "counter", "What pairing did with frames."),
        _Family("vr_sink_dropped_total", "counter", "Outputs that a recording or file was too slow for."),
        _Family("vr_camera_up", "gauge", "1 while the camera gives frames, else 0."),
        _Family("vr_camera_age_seconds", "gauge", "Time since the last frame of the camera."),
        _Family("vr_camera_total", "counter", "What happened to the camera."),
        _Family("vr_recording", "gauge", "1 while a recording that was switched on runs, else 0."),
        _Family("vr_web_viewers", "gauge", "Video streams that are watched."),
    ]
    return {family.name: family for family in listed}


def _add_pair(families: dict[str, _Family], pair: WebPair, name: str) -> None:
    now, newest = pair.status.snapshot(), pair.sink.newest
    for state in RUN_STATES:
        families["vr_state"].add(float(state == now.state), pair=name, state=state)
    counters = pair.counters(now)
    for state in ("estimated", "held", "refused"):
        families["vr_frames_total"].add(counters.pop(state), pair=name, state=state)
    families["vr_sink_dropped_total"].add(counters.pop("dropped_by_sinks"), pair=name)
    for event, count in counters.items():
        families["vr_pairing_total"].add(count, pair=name, event=event)
    families["vr_frames_per_second"].add(now.fps, pair=name)
    for quantile, ms in (("0.5", now.latency_p50_ms), ("0.95", now.latency_p95_ms)):
        families["vr_latency_seconds"].add(None if ms is None else ms / 1000.0, pair=name, quantile=quantile)
    alignment, skew = None if newest is None else newest.alignment, skew_ms(newest)
    families["vr_confidence"].add(None if alignment is None else alignment.confidence, pair=name)
    families["vr_skew_seconds"].add(None if skew is None else skew / 1000.0, pair=name)
    families["vr_output_age_seconds"].add(now.since_output_s, pair=name)
    families["vr_recording"].add(float(pair.sink.recording.now is not None), pair=name)
    families["vr_web_viewers"].add(pair.sink.encoder.viewers, pair=name)
    _add_cameras(families, now, name)


def _add_cameras(families: dict[str, _Family], now: PairStatus, name: str) -> None:
    for role, camera in now.cameras.items():
        families["vr_camera_up"].add(float(camera.state == "running"), pair=name, camera=role)
        families["vr_camera_age_seconds"].add(camera.age_s, pair=name, camera=role)
        for event, count in camera.counts.items():
            families["vr_camera_total"].add(count, pair=name, camera=role, event=event)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
