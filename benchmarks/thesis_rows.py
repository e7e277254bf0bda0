"""The experiments of `benchmarks.thesis`: what is trained, how, and what each network reaches on the test pairs."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.thesis_scenes import FRAME_HW, DataSet, true_dice
from vr.runtime import Aligner, Alignment
from vr.runtime.contours import FILTERS
from vr.runtime.contract import ModelInfo
from vr.runtime.geometry import matrix_to_theta, theta_to_matrix
from vr.runtime.preprocess import Frame, network_input
from vr.runtime.sim.misalignment import DEFAULT_MISALIGNMENT
from vr.train.config import TrainConfig
from vr.train.data import list_pairs
from vr.train.evaluate.measures import finite_or_none, share
from vr.train.evaluate.models import load_model
from vr.train.evaluate.pairs import Sample, known_pairs, read_sample
from vr.train.evaluate.rows import Estimator, Row, measure
from vr.train.evaluate.summary import summarise
from vr.train.fit import FitConfig, fit_pair
from vr.train.loop import Trainer, fit
from vr.train.run_folder import RunFolder

SHARE_OF_TRUTH = 0.9
"""A pair has converged if the Dice of its masks reaches this share of what the true rig gives."""
LAMBDAS = (0.01, 0.6, 1.0)
"""Weights of the smoothness; the thesis published networks of the last two."""
THESIS: dict[str, Any] = {"similarity": "mse", "pyramid_levels": 1, "augment": False}
OURS_LEVELS: dict[str, Any] = {"similarity": "ngf", "pyramid_levels": 4}
OURS_BINARY: dict[str, Any] = {"similarity": "dice"}
BINARY_MODES = ("canny", "adaptive", "mask")
"""Inputs of 0 and 1; normalised gradients taught the affine network nothing on Canny and adaptive contours."""
REFINEMENT: dict[str, Any] = {"scales": 2, "steps": 30, "lr": 0.01}
REFINEMENT_HW = (120, 160)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One network on one input: lambda_smooth None for the affine one; way "thesis" or "ours"; many_rigs: which of the
    data sets.
    """

    mode: str
    network: str
    lambda_smooth: float | None
    way: str
    many_rigs: bool = False

    @property
    def name(self) -> str:
        """For people and folders."""
        rigs = "-many-rigs" if self.many_rigs else ""
        weight = "" if self.lambda_smooth is None else f"-{self.lambda_smooth:g}"
        return f"{self.mode}{rigs}-{self.network}{weight}-{self.way}"


@dataclass(frozen=True)
class Budget:
    """How much is trained: data sets, and epochs by (many rigs, network)."""

    one_rig: DataSet
    many_rigs: DataSet
    epochs: dict[tuple[bool, str], int]


FULL = Budget(
    DataSet("one-rig", one_rig=True, apart_half=False, train=96, val=12, test=30),
    DataSet("many-rigs", one_rig=False, apart_half=True, train=320, val=16, test=40),
    {(False, "affine"): 6, (False, "voxelmorph"): 14, (True, "affine"): 12, (True, "voxelmorph"): 30},
)
SHORT = Budget(
    replace(FULL.one_rig, name="one-rig-short", train=16, val=4, test=6),
    replace(FULL.many_rigs, name="many-rigs-short", train=16, val=4, test=6),
    dict.fromkeys(FULL.epochs, 1),
)


def experiments() -> list[Experiment]:
    """All of them: masks first, since they are what the thesis came to."""
    ways = ("thesis", "ours")
    found = [Experiment("mask", *network, way, many_rigs=True) for network in _networks(LAMBDAS) for way in ways]
    for mode in ("mask", "gray", *FILTERS):
        found += [Experiment(mode, *network, way) for network in _networks((0.6,)) for way in ways]
    return found


def settings(experiment: Experiment, epochs: int) -> TrainConfig:
    """The training of an experiment. VoxelMorph sees smaller images than the affine network, which cannot."""
    is_affine, is_thesis = experiment.network == "affine", experiment.way == "thesis"
    given: dict[str, Any] = {"network": experiment.network, "mode": experiment.mode, "epochs": epochs}
    given |= THESIS if is_thesis else OURS_BINARY if experiment.mode in BINARY_MODES else OURS_LEVELS
    if not is_thesis:
        # Of one rig there is nothing to learn from rigs that are none.
        given["augment"] = experiment.many_rigs
    if is_affine:
        given |= {"size_hw": (224, 224), "lr": 5e-4}
    else:
        given |= {"size_hw": (48, 64) if experiment.many_rigs else (96, 128), "lr": 1e-3}
        given |= {"lambda_smooth": experiment.lambda_smooth, "integration_steps": 0 if is_thesis else 7}
    return TrainConfig.from_dict(given)


def run_experiment(
    experiment: Experiment, budget: Budget, folder: Path, runs: Path, on_epoch: Callable[[int, int], None]
) -> Figures:
    """Trains, anew if an earlier call was interrupted, and measures; `folder` holds the data set.

    `cpu_s`: processor time of this call, which other programs on the machine hardly lengthen.
    """
    start = time.process_time()
    config = settings(experiment, budget.epochs[experiment.many_rigs, experiment.network])
    run = RunFolder(runs / experiment.name)
    pairs = list_pairs(folder / "masks" if config.mode == "mask" else folder)
    trainer = Trainer(config, pairs, torch.device("cpu"), experiment.name)
    shutil.rmtree(run.root, ignore_errors=True)
    run.start()
    fit(trainer, run, lambda: False, lambda _step, _loss: None, lambda one: on_epoch(one.epoch, config.epochs))
    aligner = load_model(str(run.best))
    found: Figures = {
        "settings": config.to_dict(),
        "train_pairs": len(trainer.split.train),
        "losses": [[round(row[name], 5) for row in trainer.history] for name in ("train_loss", "val_loss")],
        **measure_test_pairs(aligner, folder),
    }
    if experiment.way == "ours" and experiment.network == "affine":
        found["refined"] = measure_test_pairs(Refined(aligner, config.similarity), folder)
    return found | {"cpu_s": round(time.process_time() - start)}


class Refined:
    """An affine network whose answer is taken further by descent on the pair itself; takes the place of an aligner."""

    def __init__(self, aligner: Aligner, similarity: str) -> None:
        self._aligner, self.info = aligner, aligner.info
        self._config = FitConfig(similarity=similarity, **REFINEMENT)

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """As `Aligner.estimate`."""
        found = self._aligner.estimate(ir, rgb)
        if found.matrix_rgb_to_ir is None:
            return found
        ir_hw = ir.shape[0], ir.shape[1]
        theta = matrix_to_theta(found.matrix_rgb_to_ir, found.rgb_hw, ir_hw)
        moving, fixed = (torch.from_numpy(network_input(frame, REFINEMENT_HW, self.info.mode)) for frame in (ir, rgb))
        fitted = fit_pair(moving, fixed, self._config, torch.from_numpy(theta).float()[None])
        assert fitted.theta is not None
        matrix = theta_to_matrix(fitted.theta[0].double().numpy(), found.rgb_hw, ir_hw)
        return replace(found, matrix_rgb_to_ir=matrix)


class Constant:
    """The middle of the one rig for every pair: what a network reaches that has learned the rig and not to look."""

    info = ModelInfo("estimate", "affine", "constant", "gray", FRAME_HW)

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """As `Aligner.estimate`."""
        rgb_hw, ir_hw = ((frame.shape[0], frame.shape[1]) for frame in (rgb, ir))
        return Alignment("estimated", None, theta_to_matrix(DEFAULT_MISALIGNMENT, rgb_hw, ir_hw), None, rgb_hw, ir)


def measure_test_pairs(aligner: Estimator, folder: Path) -> Figures:
    """What a network reaches on the test pairs: all of them, and those whose masks do and do not overlap."""
    rows, truths = list[Row](), list[float]()
    for known in known_pairs(folder, "test"):
        sample = read_sample(known, aligner.info.mode)
        rows.append(measure(aligner, sample, ()))
        truths.append(_true_dice(sample))
    groups = {"all": [True] * len(rows), "apart": [row.dice_before == 0 for row in rows]}
    groups["overlap"] = [not is_apart for is_apart in groups["apart"]]
    found = {name: list(zip(rows, truths, mask, strict=True)) for name, mask in groups.items()}
    return {name: group_figures([(row, truth) for row, truth, chosen in one if chosen]) for name, one in found.items()}


def group_figures(pairs: list[tuple[Row, float]]) -> Figures | None:
    """The figures of (row, Dice under the true rig) pairs; a refused pair has not converged. None without pairs."""
    if not pairs:
        return None
    rows = [row for row, _ in pairs]
    summary = summarise(rows)
    converged = np.array([row.dice is not None and row.dice >= SHARE_OF_TRUTH * truth for row, truth in pairs])
    return {
        "pairs": len(rows),
        "refused": summary["refused"],
        "error_before_px": summary["known_warp"]["identity"]["median_px"],
        "error_px": summary["known_warp"]["model"]["median_px"],
        "below_5_px": summary["known_warp"]["model"]["below_px"]["5"],
        "dice_before": summary["dice"]["before"],
        "dice": summary["dice"]["after"],
        "dice_truth": finite_or_none(np.median([truth for _, truth in pairs])),
        "converged": share(converged),
        "folding": None if summary["folding"] is None else summary["folding"]["mean_share"],
    }


def _true_dice(sample: Sample) -> float:
    assert sample.ir_mask is not None and sample.rgb_mask is not None and sample.truth is not None
    return true_dice(sample.ir_mask // 255, sample.rgb_mask // 255, sample.truth)


def _networks(lambdas: tuple[float, ...]) -> list[tuple[str, float | None]]:
    return [("affine", None), *(("voxelmorph", weight) for weight in lambdas)]
