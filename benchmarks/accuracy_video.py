"""Our models over time, through the aligner's filter: error, jitter, and how soon a knocked rig is right again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_figures import WRONG_PX, Figures
from benchmarks.protocol_video import FPS, KNOCK_FRAME, VideoFrame
from benchmarks.protocols import FRAME_HW
from vr.runtime import Aligner
from vr.runtime.geometry import Float64Array, apply_affine, grid_points
from vr.train.evaluate.measures import finite_or_none, share, source_of, source_points

SETTLED_FRAME = 10
RIGHT_PX = 3.0
STEADY_FRAMES = 10
"""Right again means this many frames in a row within RIGHT_PX."""
_CORNERS = grid_points(FRAME_HW, 2)
_GRID = grid_points(FRAME_HW)


@dataclass
class Track:
    """One video. Per frame: error (infinite if refused), state, and the (4, 2) offset of the found corners from the
    true ones, NaN if refused.
    """

    kind: str
    name: str
    errors_px: list[float] = field(default_factory=list[float])
    states: list[str] = field(default_factory=list[str])
    offsets_px: list[Float64Array] = field(default_factory=list[Float64Array])

    def add(self, frame: VideoFrame, source: NDArray[np.floating] | None, state: str) -> None:
        """Judges one frame's shown transform."""
        self.states.append(state)
        if source is None:
            self.errors_px.append(np.inf)
            self.offsets_px.append(np.full((4, 2), np.nan))
            return
        truth = frame.matrix_rgb_to_ir
        distance = np.linalg.norm(source_points(source, _GRID) - apply_affine(truth, _GRID), axis=1)
        self.errors_px.append(float(distance.mean()))
        self.offsets_px.append(source_points(source, _CORNERS) - apply_affine(truth, _CORNERS))

    def jitter_px(self) -> NDArray[np.float64]:
        """How far each corner moved from frame to frame beyond its true movement, once settled; (frames * 4,).

        The true movement is taken away, so a steady error is no jitter, and following a drift is none either.
        """
        moved = np.linalg.norm(np.diff(np.array(self.offsets_px[SETTLED_FRAME:]), axis=0), axis=-1).ravel()
        return moved[np.isfinite(moved)]

    def recovery_s(self) -> float:
        """Seconds from the knock to the first frame from which on the error stays low; infinity if there is none."""
        right = np.array(self.errors_px[KNOCK_FRAME:]) < RIGHT_PX
        for index in range(len(right) - STEADY_FRAMES + 1):
            if right[index : index + STEADY_FRAMES].all():
                return index / FPS
        return float("inf")


def follow(aligner: Aligner, kind: str, name: str, frames: Iterable[VideoFrame]) -> Track:
    """Plays a video to the aligner, which forgets what it saw before."""
    aligner.reset()
    track = Track(kind, name)
    for frame in frames:
        alignment = aligner(frame.ir, frame.rgb, time_s=frame.time_s)
        track.add(frame, source_of(alignment), alignment.state)
    return track


def video_figures(tracks: Iterable[Track]) -> dict[str, Figures]:
    """By kind of video: steady ones by error and jitter, knocked ones by recovery."""
    kinds: dict[str, list[Track]] = {}
    for track in tracks:
        kinds.setdefault(track.kind, []).append(track)
    return {
        kind: _knocked(group) if kind.endswith("knocked") else _steady(group) for kind, group in sorted(kinds.items())
    }


def _steady(tracks: list[Track]) -> Figures:
    errors = np.concatenate([track.errors_px[SETTLED_FRAME:] for track in tracks])
    states = [state for track in tracks for state in track.states[SETTLED_FRAME:]]
    jitter = np.concatenate([track.jitter_px() for track in tracks])
    return {
        "videos": len(tracks),
        "frames": len(errors),
        "median_px": finite_or_none(np.median(errors)),
        "worst_video_median_px": finite_or_none(max(np.median(track.errors_px[SETTLED_FRAME:]) for track in tracks)),
        "jitter_rms_px": finite_or_none(np.sqrt(np.mean(jitter**2))) if jitter.size else None,
        "jitter_p95_px": finite_or_none(np.percentile(jitter, 95)) if jitter.size else None,
        "held": states.count("held"),
        "refused": states.count("refused"),
        "wrong_share": share(np.isfinite(errors) & (errors > WRONG_PX)),
    }


def _knocked(tracks: list[Track]) -> Figures:
    recovery = np.array([track.recovery_s() for track in tracks])
    return {
        "videos": len(tracks),
        "recovery_median_s": finite_or_none(np.median(recovery)),
        "recovery_worst_s": finite_or_none(recovery.max()),
        "within_2_s": share(recovery <= 2.0),
    }
