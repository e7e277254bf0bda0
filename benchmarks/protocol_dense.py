"""Pairs that no affine aligns: protocol F.

A pair of protocol S on top of which the IR frame is bent by a smooth random deformation of up to MAX_BEND_PX. The
truth is a source point per pixel; an affine, however good, leaves the bend.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.protocol_controls import SCENE_FRAME, SCENE_SEED
from benchmarks.protocols import CANVAS_HW, FIRST_SEED, Files, central_cut, on_canvas, random_affine
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, apply_affine, invert
from vr.runtime.preprocess import Frame
from vr.runtime.sim import Simulator

MAX_BEND_PX = 8.0
BEND_SIGMA_PX = 48.0
MAX_STRAIN = 0.5
"""The bend's Jacobian stays below this, far from a fold (1)."""
_INVERSION_STEPS = 40


@dataclass(frozen=True)
class BentPair:
    """Two 320x240 frames; `source_map_xy` (240, 320, 2): for each RGB pixel its source point (x, y) in IR pixels."""

    folder: str
    name: str
    ir: Frame
    rgb: Frame
    source_map_xy: Float64Array


def protocol_f(folder: Path, files: Files) -> Iterator[BentPair]:
    """Aligned pairs to bent pairs; pair number k is drawn from seed FIRST_SEED + k."""
    for number, (ir_file, rgb_file) in enumerate(files):
        yield _bent_pair((folder.name, ir_file.stem), on_canvas(ir_file), on_canvas(rgb_file), FIRST_SEED + number)


def bent_scenes(count: int) -> Iterator[BentPair]:
    """The same with generated scenes, whose labels are exact."""
    for seed in range(SCENE_SEED, SCENE_SEED + count):
        simulator = Simulator(seed, CANVAS_HW, CANVAS_HW, misalignment=IDENTITY_THETA, drift_px_s=0.0)
        yield _bent_pair(("generated", str(seed)), *simulator.frames(SCENE_FRAME), seed)


def _bent_pair(names: tuple[str, str], ir: NDArray[np.uint8], rgb: NDArray[np.uint8], seed: int) -> BentPair:
    """From aligned canvases."""
    rng = np.random.default_rng(seed)
    affine = random_affine(rng)
    bend = smooth_bend(rng)
    cut, to_canvas = central_cut(CANVAS_HW)
    source = apply_affine(affine, _pixels(CANVAS_HW) + bend) - to_canvas[:, 2]
    bent = np.ascontiguousarray(_bent(ir, affine, bend)[cut])
    return BentPair(*names, bent, np.ascontiguousarray(rgb[cut]), source[cut])


def smooth_bend(rng: np.random.Generator) -> Float64Array:
    """(400, 534, 2) smooth random displacement of the canvas, px, no steeper than MAX_STRAIN.

    In the visible centre its longest vector is MAX_BEND_PX, and the best affine fit is nothing: what it adds is for a
    dense flow alone.
    """
    noise = rng.standard_normal((*CANVAS_HW, 2))
    smooth = cv2.GaussianBlur(noise, (0, 0), BEND_SIGMA_PX, borderType=cv2.BORDER_REFLECT).astype(np.float64)
    cut, _ = central_cut(CANVAS_HW)
    points = _pixels(CANVAS_HW)
    bend = smooth - apply_affine(best_affine(points[cut], smooth[cut]), points)
    bend *= MAX_BEND_PX / np.linalg.norm(bend[cut], axis=2).max()
    steepest = max(float(np.abs(np.gradient(bend, axis=axis)).max()) for axis in (0, 1))
    return bend * min(1.0, MAX_STRAIN / (2.0 * steepest))


def best_affine(points_xy: NDArray[np.floating], values_xy: NDArray[np.floating]) -> Float64Array:
    """The (2, 3) affine of points (..., 2) that fits values (..., 2) best, in the sense of least squares."""
    flat = points_xy.reshape(-1, 2).astype(np.float64)
    basis = np.column_stack([flat, np.ones(len(flat))])
    solution = np.linalg.lstsq(basis, values_xy.reshape(-1, 2).astype(np.float64), rcond=None)[0]
    return np.asarray(solution.T, np.float64)


def affine_fit(source_map_xy: NDArray[np.floating]) -> Float64Array:
    """The best possible affine for a map (H, W, 2) of source points, as such a map."""
    points = _pixels((source_map_xy.shape[0], source_map_xy.shape[1]))
    return apply_affine(best_affine(points, source_map_xy), points)


def _bent(ir: Frame, affine: Float64Array, bend: Float64Array) -> NDArray[np.uint8]:
    """The IR canvas such that the point `affine(p + bend(p))` of the result shows what `p` shows now.

    The inverse of p + bend(p) is found by iterating p <- q - bend(p), which converges as the bend is not steep.
    """
    h, w, _ = bend.shape
    target = apply_affine(invert(affine), _pixels((h, w)))
    point = target.copy()
    bend_map = bend.astype(np.float32)
    for _ in range(_INVERSION_STEPS):
        x, y = (point[..., axis].astype(np.float32) for axis in (0, 1))
        point = target - cv2.remap(bend_map, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    x, y = (point[..., axis].astype(np.float32) for axis in (0, 1))
    return cv2.remap(ir, x, y, cv2.INTER_LINEAR).astype(np.uint8)


def _pixels(size_hw: SizeHw) -> Float64Array:
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float64)
    return np.stack([xs, ys], axis=-1)
