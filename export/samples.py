"""Inputs for tracing and for the parity gate: smooth scenes in pairs, without any data set."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.export.plan import Plan
from vr.models.base import RegistrationNet
from vr.runtime.geometry import SizeHw

Feed = dict[str, NDArray[np.float32] | NDArray[np.uint8]]
ALPHA = np.float32(0.35)


@dataclass(frozen=True)
class Sample:
    """Inputs of a graph by name, with a few words that a failing gate can quote."""

    name: str
    feed: Feed


def traced_sample(plan: Plan) -> Sample:
    """What the graph is traced with. All its sizes differ, so that no two symbols are taken for one."""
    if plan.graph == "estimate":
        return _estimate_sample(plan, plan.size_hw, batch=2, seed=0)
    height, width = plan.size_hw
    return _overlay_sample(plan, (height + 10, width + 12), (height + 14, width + 18), (2, 3), seed=0)


def parity_samples(plan: Plan, net: RegistrationNet) -> list[Sample]:
    """What the gate compares on: other content than the traced one, other batches, other sizes where they are
    free.
    """
    height, width = plan.size_hw
    if plan.graph == "overlay":
        larger, smaller = (2 * height, 2 * width), (height // 2 + 3, width // 2 + 5)
        return [
            _overlay_sample(plan, smaller, larger, (1, 1), seed=1),
            _overlay_sample(plan, larger, plan.size_hw, (3, 3), seed=2),
            _overlay_sample(plan, (height + 7, width + 9), (height + 30, width + 10), (2, 1), seed=3, covered=True),
        ]
    samples = [_estimate_sample(plan, plan.size_hw, batch, seed) for batch, seed in ((1, 1), (3, 2))]
    samples.append(_estimate_sample(plan, plan.size_hw, 4, 5, covered=True))
    if plan.dynamic:
        other = (height + net.size_multiple, width + 2 * net.size_multiple)
        samples += [_estimate_sample(plan, other, batch, seed) for batch, seed in ((1, 3), (2, 4))]
    return samples


def _estimate_sample(plan: Plan, size_hw: SizeHw, batch: int, seed: int, covered: bool = False) -> Sample:
    rng = np.random.default_rng(seed)
    pairs = [_pair(rng, plan.mode, size_hw, size_hw, covered) for _ in range(batch)]
    moving, fixed = (np.stack(side)[:, None].astype(np.float32) / 255.0 for side in zip(*pairs, strict=True))
    what = "covered scenes" if covered else "scenes"
    return Sample(f"{what} {size_hw[0]}x{size_hw[1]}, batch {batch}", {"moving": moving, "fixed": fixed})


def _overlay_sample(
    plan: Plan, ir_hw: SizeHw, rgb_hw: SizeHw, batch_channels: tuple[int, int], seed: int, covered: bool = False
) -> Sample:
    batch, channels = batch_channels
    rng = np.random.default_rng(seed)
    pairs = [_pair(rng, plan.mode, ir_hw, rgb_hw, covered) for _ in range(batch)]
    ir = np.stack([np.repeat(moving[:, :, None], channels, axis=2) for moving, _ in pairs])
    rgb = np.stack([cv2.applyColorMap(fixed, cv2.COLORMAP_PINK) for _, fixed in pairs])
    name = f"ir {ir_hw[0]}x{ir_hw[1]}x{channels} on rgb {rgb_hw[0]}x{rgb_hw[1]}, batch {batch}"
    return Sample(name, {"ir": ir, "rgb": rgb.astype(np.uint8), "alpha": np.asarray(ALPHA)})


def _pair(
    rng: np.random.Generator, mode: str, moving_hw: SizeHw, fixed_hw: SizeHw, covered: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One scene seen twice, (h, w) uint8 each: the moving one a little shifted and turned, with other grey levels.

    covered: a third of each is black, as night and borders are. Without any edge a division by a length is one by zero,
    which PyTorch guards and an exporter may not.
    """
    scene = scene_of(rng, (max(moving_hw[0], fixed_hw[0]), max(moving_hw[1], fixed_hw[1])))
    height, width = scene.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-5, 5)), float(rng.uniform(0.95, 1.05)))
    turn[:, 2] += rng.uniform(-0.04, 0.04, 2) * (width, height)
    seen = cv2.warpAffine(scene, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    if mode == "mask":
        scene, seen = ((side > 170).astype(np.uint8) * 255 for side in (scene, seen))
    else:
        seen = 255 - seen
    moving, fixed = (
        cv2.resize(side, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
        for side, hw in ((seen, moving_hw), (scene, fixed_hw))
    )
    if covered:
        moving[: moving_hw[0] // 3] = 0
        fixed[:, : fixed_hw[1] // 3] = 0
    return moving.astype(np.uint8), fixed.astype(np.uint8)


def scene_of(rng: np.random.Generator, size_hw: SizeHw) -> NDArray[np.uint8]:
    """Soft structure at several scales, (h, w) uint8 over the full range."""
    total = np.zeros(size_hw, np.float32)
    for fraction in (0.01, 0.03, 0.1):
        noise = rng.standard_normal(size_hw).astype(np.float32)
        layer = cv2.GaussianBlur(noise, (0, 0), max(2.0, fraction * size_hw[1]))
        total += layer / np.float32(layer.std())
    return cv2.normalize(total, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
