"""What a live run measured."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.geometry import (
    IDENTITY_THETA,
    Float64Array,
    SizeHw,
    apply_matrix,
    grid_error_px,
    grid_points,
    theta_to_matrix,
)
from vr.runtime.pairing import PairingCounts
from vr.runtime.sinks.base import Output

STATES: tuple[State, ...] = ("estimated", "held", "refused")
_WINDOW_FRAMES = 100_000
"""Percentiles look at so many last frames, about an hour, so that memory does not grow without end."""


@dataclass(frozen=True)
class Spread:
    """Percentiles of one measure."""

    p50: float
    p95: float
    p99: float

    @staticmethod
    def of(values: Sequence[float] | NDArray[np.float32]) -> "Spread | None":
        """None without values."""
        if not len(values):
            return None
        p50, p95, p99 = np.percentile(np.asarray(values), (50, 95, 99))
        return Spread(float(p50), float(p95), float(p99))


@dataclass(frozen=True)
class LiveReport:
    """One live run.

    frames: output frames. elapsed_s: from the first frame being asked for to the last picture being ready; fps
    is frames over that. latency_ms: `total` of `vr.runtime.pipeline`. states: output frames by state.
    error_before_px, error_after_px: `grid_error_px` against the truth of `sim:`, with the IR frame merely
    stretched to the RGB frame, and as aligned; a refused frame counts as not aligned. None where the truth
    is unknown.
    dropped_by_sinks: outputs of cameras that a recording or file was too slow for.
    written: files and folders that the run has left. search: what a wide search has come to, None with a near one.
    offset: in time between the cameras, where it was to be found. skew_ms: how far apart in time the frames of a pair
    are. cameras: of each camera what it counts.
    infrared: what was made of the IR camera's frames, where they were not taken as they are.
    """

    frames: int
    elapsed_s: float
    latency_ms: Spread | None
    states: dict[State, int]
    pairing: PairingCounts
    error_before_px: Spread | None
    error_after_px: Spread | None
    dropped_by_sinks: int = 0
    written: list[Path] = field(default_factory=list[Path])
    search: str | None = None
    skew_ms: Spread | None = None
    offset: str | None = None
    cameras: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    infrared: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Output frames per second, 0 without frames."""
        return self.frames / self.elapsed_s if self.frames and self.elapsed_s > 0 else 0.0

    def lines(self) -> list[tuple[str, str]]:
        """The report as pairs of a heading and a text."""
        states = ", ".join(f"{state} {self.states[state]}" for state in STATES)
        counts = self.pairing
        rows = [("frames", f"{self.frames} in {self.elapsed_s:.1f} s, {self.fps:.1f} fps")]
        if (ms := self.latency_ms) is not None:
            rows.append(("latency", f"p50 {ms.p50:.1f} ms, p95 {ms.p95:.1f} ms, p99 {ms.p99:.1f} ms"))
        rows.append(("states", states))
        if self.search is not None:
            rows.append(("search", self.search))
        rows += [("infrared", fact) for fact in self.infrared]
        dropped = f"RGB unpaired {counts.unpaired_rgb}, RGB dropped {counts.dropped_rgb}"
        rows.append(("pairing", f"{dropped}, IR skipped {counts.skipped_ir}"))
        if self.offset is not None:
            rows.append(("time offset", self.offset))
        if self.skew_ms is not None:
            rows.append(("time apart", f"p50 {self.skew_ms.p50:.1f} ms, p95 {self.skew_ms.p95:.1f} ms"))
        rows += [(f"{name} camera", _count_text(counts)) for name, counts in self.cameras.items()]
        if self.dropped_by_sinks:
            rows.append(("outputs", f"{self.dropped_by_sinks} frames left out: a recording or file was too slow"))
        for when, px in (("before", self.error_before_px), ("after", self.error_after_px)):
            if px is not None:
                rows.append((f"error {when}", f"median {px.p50:.2f} px, p95 {px.p95:.2f} px"))
        return rows + [("written", str(path)) for path in self.written]


def _count_text(counts: dict[str, int]) -> str:
    """The frames, and what went wrong."""
    wrong = [f"{count} {what.replace('_', ' ')}" for what, count in counts.items() if what != "frames" and count]
    return ", ".join([f"{counts['frames']} frames", *(wrong or ["nothing wrong"])])


class LastValues:
    """The newest `_WINDOW_FRAMES` values of one measure, in memory that is taken once: a long run does not grow."""

    def __init__(self) -> None:
        self._ring: NDArray[np.float32] = np.full(_WINDOW_FRAMES, np.nan, np.float32)
        self._count = 0

    def append(self, value: float) -> None:
        """Takes the place of the oldest once all are taken."""
        self._ring[self._count % len(self._ring)] = value
        self._count += 1

    @property
    def values(self) -> NDArray[np.float32]:
        """In any order."""
        return self._ring[: self._count]


class LiveStats:
    """Collects what `LiveReport` says."""

    def __init__(self) -> None:
        self.frames = 0
        self._states: Counter[State] = Counter()
        self._latency_ms, self._skew_ms = LastValues(), LastValues()
        self._before_px, self._after_px = LastValues(), LastValues()

    def add(self, output: Output, truth: Float64Array | None) -> None:
        """Takes one output frame; `truth` is its true `matrix_rgb_to_ir` where it is known."""
        alignment = output.alignment
        self.frames += 1
        self._states[output.state] += 1
        self._latency_ms.append(output.latency_ms["total"])
        if output.skew_ms is not None:
            self._skew_ms.append(abs(output.skew_ms))
        if alignment is not None and truth is not None:
            before_px = unaligned_error_px(truth, alignment.rgb_hw, _ir_hw(alignment))
            after_px = alignment_error_px(alignment, truth)
            self._before_px.append(before_px)
            self._after_px.append(before_px if after_px is None else after_px)

    def report(self, elapsed_s: float, pairing: PairingCounts) -> LiveReport:
        """The figures so far."""
        return LiveReport(
            frames=self.frames,
            elapsed_s=elapsed_s,
            latency_ms=Spread.of(self._latency_ms.values),
            skew_ms=Spread.of(self._skew_ms.values),
            states={state: self._states[state] for state in STATES},
            pairing=pairing,
            error_before_px=Spread.of(self._before_px.values),
            error_after_px=Spread.of(self._after_px.values),
        )


def unaligned_error_px(truth: Float64Array, rgb_hw: SizeHw, ir_hw: SizeHw) -> float:
    """`grid_error_px` of the IR frame that is merely stretched to the RGB frame."""
    return grid_error_px(theta_to_matrix(IDENTITY_THETA, rgb_hw, ir_hw), truth, rgb_hw)


def alignment_error_px(alignment: Alignment, truth: Float64Array) -> float | None:
    """`grid_error_px` of an alignment, None if it is refused; a dense one is read at the nearest pixels of
    the grid.
    """
    if alignment.state == "refused":
        return None
    if alignment.matrix_rgb_to_ir is not None:
        return grid_error_px(alignment.matrix_rgb_to_ir, truth, alignment.rgb_hw)
    points = np.rint(grid_points(alignment.rgb_hw)).astype(np.intp)
    found = alignment.source_map_xy()[points[:, 1], points[:, 0]]
    return float(np.linalg.norm(found - apply_matrix(truth, points), axis=1).mean())


def _ir_hw(alignment: Alignment) -> SizeHw:
    return alignment.ir.shape[0], alignment.ir.shape[1]
