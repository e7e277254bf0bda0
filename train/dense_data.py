"""Pairs that no affine aligns: samples of `vr.train.match_data` whose IR side is bent as well.

The source of a point p of the fixed frame is `matrix(p + bend(p))`, as in protocol F of the benchmarks. A bend is a
random field, smoothed by a Gaussian, without any affine part in the frame, and far from folding.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vr.runtime.geometry import SizeHw, apply_affine, invert
from vr.train.match_data import BORDERS, Gray, MatchDataset, random_matrix, random_view, sample, theta_tensor

Field = NDArray[np.float32]

# Bends are drawn on cells of so many px, and reach so many cells beyond the frame.
_CELL_PX, _MARGIN = 4, 24
_MAX_STRAIN = 0.5
_INVERSION_STEPS = 12
# Cells around the moving frame, so that enlarging the field has neighbours at its border.
_RIM = 2


@dataclass(frozen=True)
class BendRange:
    """share: of the samples that are bent; longest_px: longest displacement in the frame; sigma: of the Gaussian, in
    frame widths (48 px at 320 are 0.15).
    """

    share: float = 0.5
    longest_px: tuple[float, float] = (3.0, 9.0)
    sigma: tuple[float, float] = (0.11, 0.22)


class BentDataset(MatchDataset):
    """Samples as of `MatchDataset`, and `flow` (2, H, W) float32, x then y, px: where each fixed pixel's source lies.

    theta is then the affine part, which is the best affine.
    """

    bends = BendRange()

    def _warped(
        self, rng: np.random.Generator, ir: Gray, gray: Gray, size_hw: SizeHw
    ) -> tuple[Gray, Gray, dict[str, torch.Tensor]]:
        view = random_view(rng, (ir.shape[0], ir.shape[1]), size_hw)
        matrix = random_matrix(rng, size_hw, self.limits)
        border = int(rng.choice(BORDERS))
        is_bent = rng.random() < self.bends.share
        bend = random_bend(rng, size_hw, self.bends) if is_bent else _no_bend(size_hw)
        x, y = np.moveaxis(apply_affine(view, unbent(bend, matrix, size_hw)).astype(np.float32), -1, 0)
        moving = cv2.remap(ir, x, y, cv2.INTER_LINEAR, borderMode=border).astype(np.uint8)
        pixels = _centres(size_hw)
        flow = apply_affine(matrix, pixels + bend_at(bend, pixels)) - pixels
        truth = {"theta": theta_tensor(matrix, size_hw), "flow": torch.from_numpy(np.moveaxis(flow, -1, 0)).float()}
        return moving, sample(gray, view, size_hw, border), truth


def _no_bend(size_hw: SizeHw) -> Field:
    return np.zeros((*(length // _CELL_PX + 2 * _MARGIN for length in size_hw), 2), np.float32)


def random_bend(rng: np.random.Generator, size_hw: SizeHw, limits: BendRange) -> Field:
    """(h / 4 + 48, w / 4 + 48, 2) displacements in px at the centres of cells of 4 px, the frame in the middle."""
    rows, columns = (length // _CELL_PX for length in size_hw)
    sigma = rng.uniform(*limits.sigma) * columns
    noise = rng.standard_normal((rows + 2 * _MARGIN, columns + 2 * _MARGIN, 2)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    frame = slice(_MARGIN, _MARGIN + rows), slice(_MARGIN, _MARGIN + columns)
    ys, xs = np.mgrid[: smooth.shape[0], : smooth.shape[1]].astype(np.float32)
    basis = np.stack([xs, ys, np.ones_like(xs)], axis=-1)
    solution = np.linalg.lstsq(basis[frame].reshape(-1, 3), smooth[frame].reshape(-1, 2), rcond=None)[0]
    bend = smooth - basis @ solution
    bend *= rng.uniform(*limits.longest_px) / np.linalg.norm(bend[frame], axis=2).max()
    steepest = max(float(np.abs(np.diff(bend, axis=axis)).max()) for axis in (0, 1)) / _CELL_PX
    return (bend * min(1.0, _MAX_STRAIN / (2.0 * steepest))).astype(np.float32)


def bend_at(bend: Field, points_xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """The displacements (h, w, 2) of a `random_bend` at points (h, w, 2) in px of the frame."""
    x, y = np.moveaxis(((points_xy + 0.5) / _CELL_PX - 0.5 + _MARGIN).astype(np.float32), -1, 0)
    return cv2.remap(bend, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)


def unbent(bend: Field, matrix: NDArray[np.float64], size_hw: SizeHw) -> NDArray[np.float64]:
    """(H, W, 2): for each pixel of the moving frame the point p of the fixed one of which it is `matrix(p + bend(p))`.

    By iterating p <- matrix^-1(q) - bend(p), which converges as the bend is not steep; on cells, as it is smooth.
    """
    back = invert(matrix)
    rows, columns = (length // _CELL_PX + 2 * _RIM for length in size_hw)
    target = apply_affine(back, (_centres((rows, columns)) - _RIM + 0.5) * _CELL_PX - 0.5)
    point = target.copy()
    for _ in range(_INVERSION_STEPS):
        point = target - bend_at(bend, point)
    shift = cv2.resize((point - target).astype(np.float32), (columns * _CELL_PX, rows * _CELL_PX))
    rim = _RIM * _CELL_PX
    return apply_affine(back, _centres(size_hw)) + shift[rim:-rim, rim:-rim]


def _centres(size_hw: SizeHw) -> NDArray[np.float64]:
    """(h, w, 2): x, y of the pixels."""
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float64)
    return np.stack([xs, ys], axis=-1)
