"""Small folders of images with person masks, drawn or generated."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.sim import Simulator

_FRAME_HW = (240, 320)
_FRAMES_PER_SCENE = 3


def write_labelled(folder: Path, count: int, size_hw: tuple[int, int] = (48, 64)) -> Path:
    """`images/00.png`, `masks/00.png`, ...: a red ellipse on noise, and where it is."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    h, w = size_hw
    for index in range(count):
        image = rng.integers(0, 120, (*size_hw, 3), dtype=np.uint8)
        mask = np.zeros(size_hw, np.uint8)
        centre = int(rng.uniform(0.3, 0.7) * w), int(rng.uniform(0.3, 0.7) * h)
        cv2.ellipse(mask, centre, (w // 8, h // 4), 0.0, 0.0, 360.0, (255,), cv2.FILLED)
        image[mask > 0] = (20, 20, 250)
        cv2.imwrite(str(folder / "images" / f"{index:02d}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{index:02d}.png"), mask)
    return folder


def write_close_ups(folder: Path, count: int, first_seed: int, size_hw: tuple[int, int]) -> Path:
    """`count` parts of generated colour frames, around the largest person in each, with masks; three of each scene."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(first_seed)
    seed = number = 0
    while number < count:
        simulator = Simulator(first_seed + seed, _FRAME_HW, _FRAME_HW, drift_px_s=0.0)
        seed += 1
        for frame in range(60, 60 + 90 * _FRAMES_PER_SCENE, 90):
            mask, image = simulator.person_masks(frame)[1], simulator.frames(frame)[1]
            if mask.mean() < 0.01 or number == count:
                continue
            part = _around_largest(rng, mask)
            for name, whole in (("images", image), ("masks", mask * np.uint8(255))):
                view = cv2.resize(whole[part], size_hw[::-1], interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(folder / name / f"{number:04d}.png"), view)
            number += 1
    return folder


def _around_largest(rng: np.random.Generator, mask: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of a part of 3:4 in which the largest person is about as high as the part."""
    stats = cv2.connectedComponentsWithStats(mask)[2]
    x, y, w, h, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())].tolist()
    frame_h, frame_w = mask.shape
    height = int(np.clip(max(h * rng.uniform(0.8, 1.2), 0.75 * w * rng.uniform(0.9, 1.2)), 60, frame_h))
    width = height * 4 // 3
    left = int(np.clip(x + w / 2 + rng.uniform(-0.25, 0.25) * width - width / 2, 0, frame_w - width))
    top = int(np.clip(y + h / 2 + rng.uniform(-0.1, 0.1) * height - height / 2, 0, frame_h - height))
    return slice(top, top + height), slice(left, left + width)
