"""The pairs of `benchmarks.thesis`: generated people before two cameras that nobody has calibrated.

A data set is a folder as `vr-train` reads it: `rgb/`, `ir/`, `masks/rgb/`, `masks/ir/`, `manifest.jsonl` with the
parts, and `truth.jsonl`. No scene is in two parts. Left out are scenes whose masks are below 1 % of the frame, or whose
people are not the same in both frames (Dice below 0.85 under the true rig).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, compose
from vr.runtime.mask import dice
from vr.runtime.sim import Simulator
from vr.runtime.sim.misalignment import DEFAULT_MISALIGNMENT, random_misalignment
from vr.runtime.warp import warp_matrix
from vr.train.data import MANIFEST
from vr.train.evaluate.pairs import TRUTH

FRAME_HW = (240, 320)
_LEAST_SHARE, _LEAST_TRUTH = 0.01, 0.85
_FIRST_SEED = {"train": 0, "val": 100_000, "test": 200_000}
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class DataSet:
    """name: of the folder. one_rig: every pair is seen by the same uncalibrated rig (26 px off), loosened anew by up to
    1.5 % shift, 1.5 degrees and 2.5 % scale, as the thesis's recordings are of one rig; else every pair has a rig of
    its own, shifts up to 30 %, rotation 10 degrees, scale 0.85 to 1.15. apart_half: every second test pair is one whose
    masks do not overlap.
    """

    name: str
    one_rig: bool
    apart_half: bool
    train: int
    val: int
    test: int


@dataclass(frozen=True)
class Scene:
    """Both frames and masks (240, 320[, 3]), person 1, and the true (2, 3) matrix, RGB to IR."""

    ir: Image
    rgb: Image
    ir_mask: Image
    rgb_mask: Image
    truth: Float64Array

    @property
    def dice_before(self) -> float:
        """Dice of the masks without alignment."""
        return dice(self.ir_mask > 0, self.rgb_mask > 0)


def write_data_set(root: Path, data: DataSet) -> Path:
    """The folder `root/NAME`, made unless it is complete already."""
    folder = root / data.name
    wanted = {"train": data.train, "val": data.val, "test": data.test}
    if (folder / MANIFEST).exists():
        return folder
    for side in ("rgb", "ir", "masks/rgb", "masks/ir"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    lines, truths = list[str](), list[str]()
    for part, count in wanted.items():
        for number, scene in enumerate(_take(data, part, count)):
            stem = f"{part}_{number:04d}"
            _write_scene(folder, stem, scene)
            lines.append(json.dumps({"stem": stem, "decision": "kept", "split": part}))
            truths.append(json.dumps({"stem": stem, "matrix_rgb_to_ir": scene.truth.tolist()}))
    (folder / TRUTH).write_text("\n".join(truths) + "\n", encoding="utf-8")
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _take(data: DataSet, part: str, count: int) -> Iterator[Scene]:
    """`count` usable scenes of a part, in the order of their seeds; with `apart_half`, overlapping ones and others in
    turn.
    """
    seed, taken = _FIRST_SEED[part], 0
    while taken < count:
        scene = draw_scene(seed, data.one_rig)
        seed += 1
        wants_overlap = taken % 2 == 1
        is_wanted = (
            part != "test" or not data.apart_half or (scene is not None and (scene.dice_before > 0) == wants_overlap)
        )
        if scene is not None and is_wanted:
            taken += 1
            yield scene


def draw_scene(seed: int, one_rig: bool) -> Scene | None:
    """The scene of a seed, None if it is of no use."""
    people = find_people(seed, one_rig)
    if people is None:
        return None
    return Scene(*people.simulator.frames(0), people.ir_mask, people.rgb_mask, people.truth)


@dataclass(frozen=True)
class People:
    """A simulator whose first frames show people: their masks (240, 320), person 1, and the true (2, 3) matrix, RGB to
    IR. dice_truth: of the masks under it.
    """

    simulator: Simulator
    ir_mask: Image
    rgb_mask: Image
    truth: Float64Array
    dice_truth: float


def find_people(seed: int, one_rig: bool) -> People | None:
    """What the cameras of a seed see, None if it is of no use; draws no frame yet."""
    rng = np.random.default_rng((seed, 7))
    if one_rig:
        loose = random_misalignment(rng, shift=0.015, rotation_deg=1.5, scale=(0.975, 1.025), shear_deg=0.5)
        theta = compose(loose, DEFAULT_MISALIGNMENT)
    else:
        theta = random_misalignment(rng, shift=0.3, rotation_deg=10.0, scale=(0.85, 1.15))
    simulator = Simulator(seed, FRAME_HW, FRAME_HW, misalignment=theta, drift_px_s=0.0)
    masks, truth = simulator.person_masks(0), simulator.matrix_rgb_to_ir(0)
    if min(mask.mean() for mask in masks) < _LEAST_SHARE:
        return None
    dice_truth = true_dice(*masks, truth)
    return People(simulator, *masks, truth, dice_truth) if dice_truth >= _LEAST_TRUTH else None


def true_dice(ir_mask: Image, rgb_mask: Image, truth: Float64Array) -> float:
    """Dice of two masks (h, w), person 1, under the true rig: what an alignment can reach."""
    moved = warp_matrix(ir_mask * np.uint8(255), truth, (rgb_mask.shape[0], rgb_mask.shape[1]))
    return dice(moved > 127, rgb_mask > 0)


def _write_scene(folder: Path, stem: str, scene: Scene) -> None:
    files = {"ir": scene.ir, "rgb": scene.rgb, "masks/ir": scene.ir_mask * 255, "masks/rgb": scene.rgb_mask * 255}
    for side, image in files.items():
        cv2.imwrite(str(folder / side / f"{stem}.png"), image)
