"""Recordings of generated scenes whose cameras stand to each other as a test says."""

from pathlib import Path

import cv2
import numpy as np

from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.sim import Simulator, affine_theta

SIZE_HW: SizeHw = (240, 320)


def rig(turn_deg: float = 0.0, scale: float = 1.0, shift_xy: tuple[float, float] = (0.05, -0.04)) -> Float64Array:
    """(2, 3) theta of a rig whose infrared camera is turned, and sees so much less or more."""
    return affine_theta(shift_xy, turn_deg, (scale, scale), 1.0)


def write_rig(
    folder: Path, theta: Float64Array, seed: int, count: int, step: int = 1, size_hw: SizeHw = SIZE_HW
) -> tuple[Path, Path]:
    """Folders of `count` PNGs, IR and RGB, of every `step`-th frame of a scene whose rig stays as it is."""
    scene = Simulator(seed, size_hw, size_hw, misalignment=theta, drift_px_s=0.0)
    folders = folder / "ir", folder / "rgb"
    for one in folders:
        one.mkdir(parents=True)
    for number in range(count):
        for one, frame in zip(folders, scene.frames(number * step), strict=True):
            cv2.imwrite(str(one / f"{number:03d}.png"), np.asarray(frame))
    return folders
