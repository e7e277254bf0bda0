"""The formulas behind the figures, in numpy.

A *source* says where RGB pixels lie in the IR frame, both in native px: a matrix (2, 3) or (3, 3), or a map (H, W, 2)
of source points (x, y), as a dense model gives it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.geometry import Float64Array, SizeHw, apply_matrix, grid_points

FIGURE_HW: SizeHw = (240, 320)
"""Errors are given in px of a frame of this size, whatever the size of the frames."""

Source = NDArray[np.floating]


def iou(a: NDArray[Any], b: NDArray[Any]) -> float:
    """`|A n B| / |A u B|` of two boolean masks of one shape (Jaccard, 1912); 1 if both are empty."""
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0


def source_of(alignment: Alignment) -> Source | None:
    """The matrix of an alignment, or the source points (H, W, 2) of a dense one; None if it was refused."""
    if alignment.state == "refused":
        return None
    return alignment.source_map_xy() if alignment.matrix_rgb_to_ir is None else alignment.matrix_rgb_to_ir


def source_points(source: Source, points_xy: Float64Array) -> Float64Array:
    """Where a source puts RGB points (K, 2), px of the IR frame; bilinear in a map, beyond its border the border's."""
    if source.ndim == 2:
        return apply_matrix(source, points_xy)
    x, y = (points_xy[None, :, axis].astype(np.float32) for axis in (0, 1))
    found = cv2.remap(source.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[0], np.float64)


def warp_error_px(source: Source, truth: Source, rgb_hw: SizeHw, ir_hw: SizeHw) -> float:
    """Mean distance over a 9x9 grid of the RGB frame between found and true source point, px of an IR frame of
    320x240.
    """
    points = grid_points(rgb_hw)
    return _mean_px(source_points(source, points) - source_points(truth, points), ir_hw)


def landmark_error_px(source: Source, points_rgb: Float64Array, points_ir: Float64Array, ir_hw: SizeHw) -> float:
    """Mean distance between found and marked IR points (K, 2), px of an IR frame that is 320 px wide."""
    distance = np.linalg.norm(source_points(source, points_rgb) - points_ir, axis=1)
    return float(distance.mean()) * FIGURE_HW[1] / ir_hw[1]


def round_trip_px(there: Source, back: Source, rgb_hw: SizeHw, ir_hw: SizeHw) -> float | None:
    """Inverse consistency: the mean of `|back(there(p)) - p|` over those points p of a 9x9 grid of the RGB frame that
    `there` puts inside the IR frame, px of an RGB frame of 320x240; None if there are none.

    0 if the two are each other's inverse (Christensen and Johnson, IEEE TMI 2001, section III, measure the same
    difference). there: RGB to IR; back: IR to RGB, as estimated from the swapped pair.
    """
    points = grid_points(rgb_hw)
    in_ir = source_points(there, points)
    inside = ((in_ir >= -0.5) & (in_ir <= np.array(ir_hw[::-1]) - 0.5)).all(axis=1)
    if not inside.any():
        return None
    return _mean_px(source_points(back, in_ir[inside]) - points[inside], rgb_hw)


def folding_share(source_map_xy: Source) -> float:
    """Share of the pixels where a map (H, W, 2) turns the picture over: its Jacobian determinant is 0 or negative.

    Forward differences, as `vr.train.evaluation.folding_rate`; so the last row and column have none.
    """
    points = source_map_xy.astype(np.float64)
    along_x, along_y = np.diff(points, axis=1)[:-1], np.diff(points, axis=0)[:, :-1]
    determinant = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    return float((determinant <= 0.0).mean())


def share(hits: NDArray[np.bool_]) -> float:
    """Share of True, in [0, 1]."""
    return round(float(hits.mean()), 4)


def finite_or_none(value: float | np.floating) -> float | None:
    """Rounded to 1/1000; None for infinity, which JSON does not know."""
    return round(float(value), 3) if np.isfinite(value) else None


def _mean_px(difference_xy: Float64Array, size_hw: SizeHw) -> float:
    """Mean length of differences (K, 2) in a frame of `size_hw`, px of a frame of 320x240."""
    scale = np.array([FIGURE_HW[1] / size_hw[1], FIGURE_HW[0] / size_hw[0]])
    return float(np.linalg.norm(difference_xy * scale, axis=1).mean())
