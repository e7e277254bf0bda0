"""What several tests need: the development data, and small folders of generated pairs."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_data(name: str) -> Path:
    """The folder or file `name` of the development data; skips the test where it is absent.

    The data lie in $VR_SHARED_DATA, or else in `shared/data` beside the repository.
    """
    root = Path(os.environ.get("VR_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    path = root / name
    if not path.exists():
        pytest.skip(f"development data {name!r} is absent; set VR_SHARED_DATA to the folder that holds it")
    return path


def smooth_scene(seed: int, size_hw: tuple[int, int] = (96, 128)) -> NDArray[np.uint8]:
    """(h, w) uint8: random soft blobs with structure at several scales, different for each seed."""
    rng = np.random.default_rng(seed)
    total = np.zeros(size_hw, np.float32)
    for sigma in (3.0, 8.0, 20.0):
        layer = cv2.GaussianBlur(rng.standard_normal(size_hw).astype(np.float32), (0, 0), sigma)
        total += layer / np.float32(layer.std())
    low, high = float(total.min()), float(total.max())
    return ((total - low) * (255.0 / (high - low))).astype(np.uint8)


def write_pairs(folder: Path, count: int, size_hw: tuple[int, int] = (96, 128), seed: int = 0) -> Path:
    """Writes `count` aligned pairs `rgb/00.png`, `ir/00.png`, ...; IR is RGB with dark and bright flipped."""
    for side in ("rgb", "ir"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        scene = smooth_scene(seed + index, size_hw)
        cv2.imwrite(str(folder / "rgb" / f"{index:02d}.png"), cv2.applyColorMap(scene, cv2.COLORMAP_OCEAN))
        cv2.imwrite(str(folder / "ir" / f"{index:02d}.png"), 255 - scene)
    return folder


def write_masks(
    folder: Path,
    count: int,
    size_hw: tuple[int, int] = (96, 120),
    offset_xy_px: tuple[int, int] = (0, 0),
    size: float = 1.0,
) -> Path:
    """Writes `count` pairs of masks (person 255), each one upright ellipse; returns `folder`.

    The IR mask is the RGB mask, `offset_xy_px` further right and down (round the border, if it comes that far). At
    `size` 1 it is 16 to 28 % of the frame wide and 40 to 60 % high.
    """
    rng = np.random.default_rng(0)
    h, w = size_hw
    for side in ("rgb", "ir"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        mask = np.zeros(size_hw, np.uint8)
        centre = int(rng.uniform(0.3, 0.7) * w), int(rng.uniform(0.35, 0.65) * h)
        axes = int(size * rng.uniform(0.08, 0.14) * w), int(size * rng.uniform(0.2, 0.3) * h)
        cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, 255, -1)
        shifted = np.roll(mask, offset_xy_px, axis=(1, 0))
        cv2.imwrite(str(folder / "rgb" / f"{index:02d}.png"), mask)
        cv2.imwrite(str(folder / "ir" / f"{index:02d}.png"), shifted)
    return folder
