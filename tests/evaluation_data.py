"""Generated pairs with all that `vr-train evaluate` can know of a pair."""

import json
from pathlib import Path

import cv2
import numpy as np

from vr.models import registry
from vr.runtime.geometry import apply_affine, grid_points
from vr.runtime.sim import Simulator
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint

FRAME_HW = (240, 320)


def write_known_pairs(folder: Path, count: int, has_manifest: bool = False) -> Path:
    """`count` scenes with masks, landmarks and truth; the cameras stand as `Simulator` places them by default.

    has_manifest: the first pair is of part train, the second of val, the rest of test.
    """
    for side in ("rgb", "ir", "masks/rgb", "masks/ir", "landmarks"):
        (folder / side).mkdir(parents=True)
    lines, parts = [], []
    for index in range(count):
        simulator, stem = Simulator(index, FRAME_HW, FRAME_HW, drift_px_s=0.0), f"{index:02d}"
        images = dict(zip(("ir", "rgb"), simulator.frames(0), strict=True))
        images |= dict(zip(("masks/ir", "masks/rgb"), (mask * 255 for mask in simulator.person_masks(0)), strict=True))
        for side, image in images.items():
            cv2.imwrite(str(folder / side / f"{stem}.png"), image)
        matrix = simulator.matrix_rgb_to_ir(0)
        lines.append(json.dumps({"stem": stem, "matrix_rgb_to_ir": matrix.tolist()}))
        points = grid_points(FRAME_HW, 3)
        marks = {"rgb": points.tolist(), "ir": apply_affine(matrix, points).tolist()}
        (folder / "landmarks" / f"{stem}.json").write_text(json.dumps(marks))
        part = ("train", "val")[index] if index < 2 else "test"
        parts.append(json.dumps({"stem": stem, "decision": "kept", "split": part}))
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n")
    if has_manifest:
        (folder / "manifest.jsonl").write_text("\n".join(parts) + "\n")
    return folder


def write_voxelmorph(path: Path, shift_px: tuple[float, float] = (0.0, 0.0), mode: str = "gray") -> Path:
    """A checkpoint of an untrained 48x64 VoxelMorph that answers the same flow everywhere."""
    net = registry.build("voxelmorph", {"size_hw": (48, 64)})
    weights = net.state_dict()
    weights["head.weight"] *= 0.0
    weights["head.bias"] += weights["head.bias"].new_tensor(np.asarray(shift_px))
    checkpoint.save(path, Checkpoint("voxelmorph", net.config, weights, mode=mode, run="still"))
    return path
