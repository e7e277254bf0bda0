"""The parts of the accuracy report, one function each: from a `Bench` to what stands in the JSON under its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.progress import Progress

from benchmarks.accuracy_dense import dense_figures
from benchmarks.accuracy_figures import (
    EXACT_LIMITS_PX,
    Figures,
    Trial,
    by_group,
    calibration_error,
    judged,
    reliability,
    summary,
)
from benchmarks.accuracy_methods import HANDMADE, SIFT, Method, Model
from benchmarks.accuracy_trials import Runner, Trials
from benchmarks.accuracy_video import Track, follow, video_figures
from benchmarks.protocol_controls import generated_pairs, hopeless_pairs, same_modality_pairs
from benchmarks.protocol_dense import bent_scenes, protocol_f
from benchmarks.protocol_video import videos
from benchmarks.protocols import FRAME_HW, Files, KnownPair, LandmarkPair, landmark_pairs, protocol_s, protocol_wide
from vr.runtime.geometry import apply_matrix, grid_points
from vr.train.evaluate import measures
from vr.train.evaluate.measures import finite_or_none, share

Item = TypeVar("Item")
AGREE_PX, OFF_PX = 1.0, 3.0
_GRID_PX = grid_points(FRAME_HW)


@dataclass(frozen=True)
class Amount:
    """How much is measured; `pairs_per_folder` None: all of them."""

    pairs_per_folder: int | None = None
    scenes: int = 30
    clip_draws: int = 3
    video_scenes: int = 3


@dataclass(frozen=True)
class Work:
    """What to measure on: files by folder for single frames, whole clips by name, folders with landmarks."""

    folders: list[tuple[Path, Files]]
    clips: dict[str, Files]
    landmarks: list[Path]
    amount: Amount


@dataclass
class Bench:
    """What every section needs; `trials` fills with the results of the single-frame sections, by section."""

    work: Work
    models: list[Model]
    classical: list[Method]
    runner: Runner
    progress: Progress
    trials: dict[str, Trials] = field(default_factory=dict[str, Trials])

    def run(self, section: str, pairs: Iterable[KnownPair], methods: list[Method]) -> Trials:
        """Every method on every pair, with a progress bar."""
        self.trials[section] = self.runner.run(section, self.shown(section, pairs), methods)
        return self.trials[section]

    def shown(self, section: str, items: Iterable[Item]) -> Iterable[Item]:
        """The items, behind a progress bar."""
        known = list(items)
        return self.progress.track(known, description=section.replace("_", " "))

    def methods(self, *classical: str) -> list[Method]:
        """The classical methods of these names, all of them without a name, and then the models."""
        return [method for method in self.classical if not classical or method.name in classical] + [*self.models]

    def narrow_pairs(self) -> list[KnownPair]:
        """All pairs of protocol S."""
        return [pair for folder, files in self.work.folders for pair in protocol_s(folder, files)]


def protocol_s_section(bench: Bench) -> Figures:
    """Group of pairs to method to figures."""
    trials = bench.run("protocol_s", bench.narrow_pairs(), bench.methods())
    groups = {name: by_group(one) for name, one in trials.items()}
    names = next(iter(groups.values()))
    return {group: {name: summary(groups[name][group]) for name in trials} for group in names}


def wide_section(bench: Bench) -> Figures:
    """Method to figures, over all folders."""
    pairs = [pair for folder, files in bench.work.folders for pair in protocol_wide(folder, files)]
    trials = bench.run("wide", pairs, bench.methods(HANDMADE))
    return {name: summary(one) for name, one in trials.items()}


def generated_section(bench: Bench) -> Figures:
    """Method to figures."""
    trials = bench.run("generated", generated_pairs(bench.work.amount.scenes), bench.methods(HANDMADE))
    return {name: summary(one, EXACT_LIMITS_PX) for name, one in trials.items()}


def same_modality_section(bench: Bench) -> Figures:
    """Method to figures."""
    pairs = [pair for folder, files in bench.work.folders for pair in same_modality_pairs(folder, files)]
    trials = bench.run("same_modality", pairs, bench.methods(SIFT, HANDMADE))
    return {name: summary(one, EXACT_LIMITS_PX) for name, one in trials.items()}


def hopeless_section(bench: Bench) -> Figures:
    """Model to kind to share that was refused, and "all"."""
    pairs = list(hopeless_pairs(bench.narrow_pairs()))
    refused: dict[str, dict[str, list[bool]]] = {model.name: {} for model in bench.models}
    for pair in bench.shown("hopeless", pairs):
        for model in bench.models:
            answer = model.aligner.estimate(pair.ir, pair.rgb)
            for kind in (pair.kind, "all"):
                refused[model.name].setdefault(kind, []).append(answer.state == "refused")
    return {
        name: {kind: {"pairs": len(hits), "refused": share(np.array(hits))} for kind, hits in kinds.items()}
        for name, kinds in refused.items()
    }


def landmarks_section(bench: Bench) -> Figures:
    """Method to pair to mean landmark error, px at 320 px width (None: refused), and the mean over the pairs."""
    pairs = [pair for folder in bench.work.landmarks for pair in landmark_pairs(folder)]
    errors: dict[str, dict[str, float | None]] = {method.name: {} for method in bench.methods()}
    for pair in bench.shown("landmarks", pairs):
        for method in bench.methods():
            errors[method.name][pair.name] = landmark_error_px(method, pair)
    return errors if pairs else {}


def landmark_error_px(method: Method, pair: LandmarkPair) -> float | None:
    """Mean distance between found and true points, px at an IR frame of 320 px width; None if refused."""
    source = method(pair.ir, pair.rgb).source
    if source is None:
        return None
    ir_hw = pair.ir.shape[0], pair.ir.shape[1]
    return finite_or_none(measures.landmark_error_px(source, pair.points_rgb, pair.points_ir, ir_hw))


def video_section(bench: Bench) -> Figures:
    """Model to kind of video to figures."""
    amount = bench.work.amount
    tracks: dict[str, list[Track]] = {model.name: [] for model in bench.models}
    for video in bench.shown("video", videos(bench.work.clips, amount.clip_draws, amount.video_scenes)):
        frames = list(video)
        for model in bench.models:
            tracks[model.name].append(follow(model.aligner, video.kind, video.name, frames))
    return {name: video_figures(one) for name, one in tracks.items() if one}


def dense_section(bench: Bench) -> Figures:
    """Kind of pair to model to figures; empty without a dense model."""
    if all(model.aligner.info.kind != "dense" for model in bench.models):
        return {}
    pairs = [pair for folder, files in bench.work.folders for pair in protocol_f(folder, files)]
    kinds = {"real": pairs, "generated": list(bent_scenes(bench.work.amount.scenes))}
    shown = bench.shown
    return {kind: dense_figures(list(shown(f"dense, {kind}", one)), bench.models) for kind, one in kinds.items()}


def labels_section(bench: Bench) -> Figures:
    """How far the labels can be trusted: where the best hand-made method and the first model, which share nothing but
    gradients, agree within AGREE_PX, and how many of these agreements are more than OFF_PX away from the label.
    """
    first, handmade = bench.models[0], [method for method in bench.classical if method.name == HANDMADE]
    off_px: list[float] = []
    pairs = bench.narrow_pairs()
    for pair in bench.shown("labels", pairs):
        answers = [method(pair.ir, pair.rgb).ungated for method in (first, *handmade)]
        if any(answer is None or answer.ndim != 2 for answer in answers):
            continue
        ours, theirs = (apply_matrix(answer, _GRID_PX) for answer in answers if answer is not None)
        if np.linalg.norm(ours - theirs, axis=1).mean() < AGREE_PX:
            truth = apply_matrix(pair.matrix_rgb_to_ir, _GRID_PX)
            off_px.append(float(np.linalg.norm((ours + theirs) / 2.0 - truth, axis=1).mean()))
    figures = {"pairs": len(pairs), "agree": len(off_px), "agree_but_off": sum(off > OFF_PX for off in off_px)}
    return {**figures, "median_off_px": finite_or_none(np.median(off_px)) if off_px else None}


def confidence_section(bench: Bench) -> Figures:
    """Model to reliability curve over the pairs of protocol S and the wide one."""
    rows: Figures = {}
    for model in bench.models:
        bins = reliability(judged(known_trials(bench, model.name)))
        if bins:
            rows[model.name] = {"bins": bins, "calibration_error": calibration_error(bins)}
    return rows


def known_trials(bench: Bench, name: str) -> list[Trial]:
    """What a method did on the real pairs of both ranges."""
    return [trial for section in ("protocol_s", "wide") for trial in bench.trials[section][name]]


SECTIONS: dict[str, Callable[[Bench], Figures]] = {
    "protocol_s": protocol_s_section,
    "wide": wide_section,
    "generated": generated_section,
    "same_modality": same_modality_section,
    "hopeless": hopeless_section,
    "landmarks_px": landmarks_section,
    "video": video_section,
    "dense": dense_section,
    "labels": labels_section,
    "confidence": confidence_section,
}
