"""Pairs with a known answer, made from real pairs: what `benchmarks.accuracy` measures on.

Protocol S: an aligned pair is brought to a 534x400 canvas, the IR side is warped about the centre by a random affine,
and the central 320x240 of both sides is cut out, so that no border of the warp gives the answer away.
Protocol L: real pairs that are not aligned, with landmarks set by hand.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw, compose
from vr.runtime.preprocess import Frame

CANVAS_HW: SizeHw = (400, 534)
FRAME_HW: SizeHw = (240, 320)
FIRST_SEED = 1000


@dataclass(frozen=True)
class KnownPair:
    """Two 320x240 frames and the (2, 3) matrix between them, RGB pixels to IR pixels."""

    name: str
    ir: Frame
    rgb: Frame
    matrix_rgb_to_ir: Float64Array


@dataclass(frozen=True)
class LandmarkPair:
    """Two real frames, and (K, 2) corresponding points in their pixels."""

    name: str
    ir: Frame
    rgb: Frame
    points_ir: Float64Array
    points_rgb: Float64Array


def random_affine(rng: np.random.Generator) -> Float64Array:
    """The (2, 3) affine of protocol S about the centre of the canvas, px; draws in the protocol's order."""
    h, w = FRAME_HW
    shift = np.array([rng.uniform(-0.1, 0.1) * w, rng.uniform(-0.1, 0.1) * h])
    angle = np.deg2rad(rng.uniform(-10, 10))
    scale = rng.uniform(0.85, 1.15)
    shear = np.deg2rad(rng.uniform(-5, 5))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]])
    centre = (np.array(CANVAS_HW[::-1]) - 1.0) / 2.0
    return np.column_stack([linear, centre + shift - linear @ centre])


def protocol_s(files: list[tuple[Path, Path]]) -> Iterator[KnownPair]:
    """(IR file, RGB file) of aligned pairs -> known pairs; pair number k is drawn from seed 1000 + k."""
    top, left = ((CANVAS_HW[i] - FRAME_HW[i]) // 2 for i in range(2))
    cut = slice(top, top + FRAME_HW[0]), slice(left, left + FRAME_HW[1])
    to_frame = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]])
    to_canvas = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    for number, (ir_file, rgb_file) in enumerate(files):
        affine = random_affine(np.random.default_rng(FIRST_SEED + number))
        ir, rgb = (_canvas(file) for file in (ir_file, rgb_file))
        warped = cv2.warpAffine(ir, affine, CANVAS_HW[::-1], flags=cv2.INTER_LINEAR)
        matrix = compose(to_frame, compose(affine, to_canvas))
        ir_cut, rgb_cut = np.ascontiguousarray(warped[cut]), np.ascontiguousarray(rgb[cut])
        yield KnownPair(ir_file.stem, ir_cut.astype(np.uint8), rgb_cut, matrix)


def landmark_pairs(folder: Path) -> Iterator[LandmarkPair]:
    """Pairs `N_ir.png`, `N_rgb.png`, `N.json` with lists `ir` and `rgb` of [x, y] in px."""
    for points_file in sorted(folder.glob("*.json")):
        points = json.loads(points_file.read_text(encoding="utf-8"))
        ir, rgb = (_read(folder / f"{points_file.stem}_{role}.png") for role in ("ir", "rgb"))
        yield LandmarkPair(points_file.stem, ir, rgb, np.array(points["ir"], float), np.array(points["rgb"], float))


def _canvas(file: Path) -> NDArray[np.uint8]:
    image = _read(file)
    shrinks = image.shape[0] > CANVAS_HW[0] and image.shape[1] > CANVAS_HW[1]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, CANVAS_HW[::-1], interpolation=mode).astype(np.uint8)


def _read(file: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"cannot read {file}")
    return image.astype(np.uint8)
