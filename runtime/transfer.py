"""Points, boxes and masks from one camera's frame into the other's.

Points are (x, y) in native pixels, 0 at the centre of the first pixel. A refused alignment gives NaN, and black masks.

A matrix holds everywhere: points outside a frame have places too, outside or inside the other one, NaN alone where a
homography sends them behind the camera. A dense flow is known inside the RGB frame alone: NaN outside, and where no RGB
pixel has its source at an IR point.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, apply_affine, grid_points, invert, to_3x3
from vr.runtime.warp import Warper, warp_map, warp_matrix

_SIDES = 8
"""Points per side of a box that are carried over by a dense flow."""
_STEPS = 30
"""Of the search for the RGB point of an IR point."""
_FOUND_PX = 0.01


def rgb_to_ir(warper: Warper, points_xy: ArrayLike) -> Float64Array:
    """(N, 2) RGB points to their source points in the IR frame, (N, 2). Raises InputError for other shapes."""
    points = _points(points_xy)
    if warper.matrix_rgb_to_ir is not None:
        return _mapped(warper.matrix_rgb_to_ir, points)
    if warper.flow is None:
        return np.full_like(points, np.nan)
    return _looked_up(warper.source_map_xy, points)


def ir_to_rgb(warper: Warper, points_xy: ArrayLike) -> Float64Array:
    """(N, 2) IR points to where the RGB frame has them, (N, 2): inverse of `rgb_to_ir`, of a dense flow to within
    0.01 px. Raises InputError for other shapes.
    """
    points = _points(points_xy)
    if warper.matrix_rgb_to_ir is not None:
        # Not divided by its last entry: what is before the camera keeps a positive third coordinate.
        return _mapped(np.linalg.inv(to_3x3(warper.matrix_rgb_to_ir)).astype(np.float64), points)
    if warper.flow is None:
        return np.full_like(points, np.nan)
    return _searched(warper.source_map_xy, points)


def boxes_rgb_to_ir(warper: Warper, boxes_xyxy: ArrayLike) -> Float64Array:
    """(N, 4) boxes x0, y0, x1, y1 in the RGB frame to the smallest upright boxes around them in the IR frame, (N, 4).

    Of a dense flow, boxes around the parts that have a place; NaN where no part has one. Raises InputError for other
    shapes.
    """
    outlines = _outlines(boxes_xyxy)
    return _hulls(rgb_to_ir(warper, outlines.reshape(-1, 2)).reshape(outlines.shape), warper.flow is not None)


def boxes_ir_to_rgb(warper: Warper, boxes_xyxy: ArrayLike) -> Float64Array:
    """`boxes_rgb_to_ir`, the other way."""
    outlines = _outlines(boxes_xyxy)
    return _hulls(ir_to_rgb(warper, outlines.reshape(-1, 2)).reshape(outlines.shape), warper.flow is not None)


def mask_ir_to_rgb(warper: Warper, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) bool of the IR frame to (H, W) bool of the RGB frame; False where the IR camera sees nothing.

    Raises InputError for a mask of another size.
    """
    levels = _mask(mask, warper.ir_hw, "IR")
    if warper.matrix_rgb_to_ir is None and warper.flow is None:
        return np.zeros(warper.rgb_hw, np.bool_)
    return warper(levels) >= 128


def mask_rgb_to_ir(warper: Warper, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) bool of the RGB frame to (h, w) bool of the IR frame; False where the RGB camera sees nothing.

    Raises InputError for a mask of another size.
    """
    levels, ir_hw = _mask(mask, warper.rgb_hw, "RGB"), warper.ir_hw
    if warper.matrix_rgb_to_ir is not None:
        return warp_matrix(levels, invert(warper.matrix_rgb_to_ir), ir_hw) >= 128
    if warper.flow is None:
        return np.zeros(ir_hw, np.bool_)
    ys, xs = np.mgrid[: ir_hw[0], : ir_hw[1]]
    places = _searched(warper.source_map_xy, np.stack([xs.ravel(), ys.ravel()], axis=1).astype(np.float64))
    places = np.nan_to_num(places, nan=-2.0).reshape(*ir_hw, 2).astype(np.float32)
    return warp_map(levels, places) >= 128


def _points(points_xy: ArrayLike) -> Float64Array:
    points = np.asarray(points_xy, dtype=np.float64)
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"the points have shape {points.shape}; expected (N, 2): x, y")
    return points


def _mask(mask: NDArray[np.bool_], size_hw: SizeHw, role: str) -> NDArray[np.uint8]:
    if mask.shape != size_hw:
        raise InputError(f"the mask has shape {mask.shape}; expected that of the {role} frame, {size_hw}")
    return mask.astype(np.bool_).astype(np.uint8) * np.uint8(255)


def _mapped(matrix: Float64Array, points: Float64Array) -> Float64Array:
    """NaN where the third coordinate is not positive."""
    u, v, w = to_3x3(matrix) @ np.column_stack([points, np.ones(len(points))]).T
    w = np.where(w > 0.0, w, np.nan)
    return np.column_stack([u / w, v / w])


def _looked_up(source_map_xy: NDArray[np.float32], points: Float64Array) -> Float64Array:
    """Bilinear; NaN for points outside the outermost pixel centres."""
    height, width = source_map_xy.shape[:2]
    inside = np.all((points >= 0.0) & (points <= (width - 1.0, height - 1.0)), axis=1, keepdims=True)
    return np.where(inside, _bilinear(source_map_xy, np.where(inside, points, 0.0)), np.nan)


def _bilinear(source_map_xy: NDArray[np.float32], points: Float64Array) -> Float64Array:
    """Of points inside. (cv2.remap rounds places to 1/32 px.)"""
    height, width = source_map_xy.shape[:2]
    x0 = np.clip(np.floor(points[:, 0]).astype(np.intp), 0, max(width - 2, 0))
    y0 = np.clip(np.floor(points[:, 1]).astype(np.intp), 0, max(height - 2, 0))
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (points[:, 0] - x0)[:, None], (points[:, 1] - y0)[:, None]
    top = source_map_xy[y0, x0] * (1.0 - fx) + source_map_xy[y0, x1] * fx
    bottom = source_map_xy[y1, x0] * (1.0 - fx) + source_map_xy[y1, x1] * fx
    return top * (1.0 - fy) + bottom * fy


def _searched(source_map_xy: NDArray[np.float32], points: Float64Array) -> Float64Array:
    """The places in the map that hold the points; NaN where there is none.

    Steps by the slope of the affine nearest to the map, which also goes on outside of the frame, so that places that
    leave it find back.
    """
    far = np.array(source_map_xy.shape[1::-1]) - 1.0
    to_rgb = _nearest_affine_inverse(source_map_xy)
    found = np.full_like(points, np.nan)
    left = np.flatnonzero(np.isfinite(points).all(axis=1))
    places = apply_affine(to_rgb, points[left])
    for _ in range(_STEPS):
        held = np.clip(places, 0.0, far)
        missing = points[left] - _bilinear(source_map_xy, held)
        there = np.linalg.norm(missing, axis=1) <= _FOUND_PX
        found[left[there]] = held[there]
        left, places = left[~there], (held + missing @ to_rgb[:, :2].T)[~there]
    return found


def _nearest_affine_inverse(source_map_xy: NDArray[np.float32]) -> Float64Array:
    """(2, 3): IR to RGB points, by least squares over a grid of the map."""
    rgb_xy = grid_points((source_map_xy.shape[0], source_map_xy.shape[1]), 16).astype(np.intp)
    ir_xy = source_map_xy[rgb_xy[:, 1], rgb_xy[:, 0]].astype(np.float64)
    solution = np.linalg.lstsq(np.column_stack([ir_xy, np.ones(len(ir_xy))]), rgb_xy.astype(np.float64), rcond=None)[0]
    return solution.T.astype(np.float64)


def _outlines(boxes_xyxy: ArrayLike) -> Float64Array:
    """(N, 4 * _SIDES, 2): points along the sides of boxes, corners included."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"the boxes have shape {boxes.shape}; expected (N, 4): x0, y0, x1, y1")
    along = np.linspace(0.0, 1.0, _SIDES)
    ends = np.zeros(_SIDES), np.ones(_SIDES)
    x = np.concatenate([along, along, *ends])
    y = np.concatenate([*ends, along, along])
    return np.stack(
        [boxes[:, :1] + x * (boxes[:, 2:3] - boxes[:, :1]), boxes[:, 1:2] + y * (boxes[:, 3:] - boxes[:, 1:2])], axis=-1
    )


def _hulls(outlines: Float64Array, parts_will_do: bool) -> Float64Array:
    """(N, 4) of (N, points, 2); NaN points are left out if parts will do, else they make the box NaN."""
    known = np.isfinite(outlines[..., :1]) & np.isfinite(outlines[..., 1:])
    use = np.any(known, axis=1) if parts_will_do else np.all(known, axis=1)
    low = np.where(known, outlines, np.inf).min(axis=1)
    high = np.where(known, outlines, -np.inf).max(axis=1)
    return np.where(use, np.column_stack([low, high]), np.nan)
