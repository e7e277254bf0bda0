"""Moving the infrared picture by hand."""

import math

import numpy as np

from vr.runtime.geometry import Float64Array, SizeHw, compose, invert, pixel_to_normalised


def nudged(
    theta: Float64Array,
    rgb_hw: SizeHw,
    move_xy: tuple[float, float] = (0.0, 0.0),
    rotate_deg: float = 0.0,
    scale: float = 1.0,
    about_xy: tuple[float, float] | None = None,
) -> Float64Array:
    """The transform under which the infrared picture, as it is seen in the RGB frame, is moved by a similarity T.

    theta: (2, 3) or (3, 3), see `vr.runtime.geometry`; the same shape comes back. T acts on pixels (x, y) of the RGB
    frame: it turns by `rotate_deg`, positive from x towards y, and enlarges by `scale` (> 0) about `about_xy` (default:
    the middle of the frame), then moves by `move_xy`. A picture that shows `ir(theta(p))` at p shows `ir(theta(T^-1
    p))` afterwards, so the result is theta o T^-1, with T^-1 in normalised coordinates.
    """
    to_normalised = pixel_to_normalised(rgb_hw)
    back = compose(
        compose(to_normalised, invert(similarity(rgb_hw, move_xy, rotate_deg, scale, about_xy))),
        np.linalg.inv(to_normalised),
    )
    return compose(theta, back[:2])


def similarity(
    rgb_hw: SizeHw,
    move_xy: tuple[float, float],
    rotate_deg: float,
    scale: float,
    about_xy: tuple[float, float] | None = None,
) -> Float64Array:
    """(2, 3): T of `nudged`, on pixels of the RGB frame."""
    about = np.array(about_xy if about_xy is not None else ((rgb_hw[1] - 1) / 2.0, (rgb_hw[0] - 1) / 2.0))
    angle = math.radians(rotate_deg)
    linear = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([linear, about - linear @ about + np.asarray(move_xy)])


def fitted_affine(source_map_xy: Float64Array, step: int = 8) -> Float64Array:
    """(2, 3): the affine nearest, by least squares, to a map (H, W, 2) of pixels to source points; NaN is left out."""
    ys, xs = np.mgrid[: source_map_xy.shape[0] : step, : source_map_xy.shape[1] : step]
    points = source_map_xy[::step, ::step].reshape(-1, 2).astype(np.float64)
    known = np.isfinite(points).all(axis=1)
    grid = np.column_stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
    solution, *_ = np.linalg.lstsq(grid[known], points[known], rcond=None)
    return np.asarray(solution.T, np.float64)
