"""Pairs whose answer is exact, and pairs that have none.

Generated scenes and pictures against warped copies of themselves have exact labels; real aligned pairs are themselves
off by about a pixel. Pairs that do not belong together, or show nothing, must be refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols import (
    FIRST_SEED,
    FRAME_HW,
    NARROW,
    Files,
    KnownPair,
    cut_frames,
    on_canvas,
    random_affine,
    scene_of,
)
from vr.runtime.preprocess import Frame, to_gray
from vr.runtime.sim import Simulator, random_misalignment

SCENE_SEED = 7_000_000
SCENE_FRAME = 12
STRANGERS = 8
"""How many foreign IR frames each RGB frame is put beside."""
COVERED_NOISE = (1.0, 8.0)
BLUR_SIGMA_PX = 16.0


@dataclass(frozen=True)
class HopelessPair:
    """Two frames that cannot be aligned; `kind` says why."""

    kind: str
    name: str
    ir: Frame
    rgb: Frame


def generated_pairs(count: int) -> Iterator[KnownPair]:
    """Frames of generated scenes, 320x240, misaligned within the range of protocol S; exact labels, no parallax."""
    for seed in range(SCENE_SEED, SCENE_SEED + count):
        rng = np.random.default_rng(seed)
        theta = random_misalignment(rng, NARROW.shift, NARROW.rotation_deg, NARROW.scale, NARROW.shear_deg)
        simulator = Simulator(seed, FRAME_HW, FRAME_HW, misalignment=theta, drift_px_s=0.0)
        ir, rgb = simulator.frames(SCENE_FRAME)
        name = str(seed)
        yield KnownPair("generated", name, name, ir, rgb, simulator.matrix_rgb_to_ir(SCENE_FRAME))


def same_modality_pairs(folder: Path, files: Files) -> Iterator[KnownPair]:
    """RGB pictures against copies of themselves, warped as in protocol S, with another gamma, contrast and noise."""
    for number, (_, rgb_file) in enumerate(files):
        rng = np.random.default_rng(FIRST_SEED + number)
        affine = random_affine(rng)
        rgb = on_canvas(rgb_file)
        copy, rgb_cut, matrix = cut_frames(cv2.cvtColor(rgb, cv2.COLOR_BGR2GRAY).astype(np.uint8), rgb, affine)
        stem = rgb_file.stem
        yield KnownPair(folder.name, stem, scene_of(folder, stem), other_camera(copy, rng), rgb_cut, matrix)


def other_camera(gray: Frame, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(h, w) uint8 as a camera of another gamma (0.6 to 1.6), contrast (0.6 to 1), offset and noise would see it."""
    level = (gray / 255.0) ** rng.uniform(0.6, 1.6)
    contrast = rng.uniform(0.6, 1.0)
    level = rng.uniform(0.0, 1.0 - contrast) + contrast * level
    noise = rng.normal(0.0, rng.uniform(1.0, 4.0), gray.shape)
    return np.clip(255.0 * level + noise, 0, 255).astype(np.uint8)


def hopeless_pairs(pairs: list[KnownPair], seed: int = FIRST_SEED) -> Iterator[HopelessPair]:
    """Pairs of different scenes, with a black or covered camera on either side, and with a blurred IR frame."""
    rng = np.random.default_rng(seed)
    for pair in pairs:
        strangers = [other for other in pairs if other.scene != pair.scene]
        for index in rng.permutation(len(strangers))[:STRANGERS]:
            stranger = strangers[index]
            yield HopelessPair("different scenes", f"{pair.scene}+{stranger.scene}", stranger.ir, pair.rgb)
        for kind, change in (("black", _black), ("covered lens", _covered)):
            yield HopelessPair(f"{kind}, IR", pair.scene, change(pair.ir, rng), pair.rgb)
            yield HopelessPair(f"{kind}, RGB", pair.scene, pair.ir, change(pair.rgb, rng))
        blurred = cv2.GaussianBlur(to_gray(pair.ir), (0, 0), BLUR_SIGMA_PX).astype(np.uint8)
        yield HopelessPair("blurred beyond use", pair.scene, blurred, pair.rgb)


def _black(frame: Frame, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A dead sensor: next to nothing, with one grey level of noise."""
    return np.clip(np.round(rng.normal(0.0, 0.7, frame.shape)), 0, 255).astype(np.uint8)


def _covered(frame: Frame, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A covered lens: one level everywhere, and noise."""
    noise = rng.normal(rng.uniform(20.0, 200.0), rng.uniform(*COVERED_NOISE), frame.shape)
    return np.clip(noise, 0, 255).astype(np.uint8)
