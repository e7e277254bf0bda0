"""What lies under one point of the picture."""

from typing import Any

import numpy as np

from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.geometry import apply_matrix
from vr.runtime.preprocess import to_8bit, to_bgr
from vr.runtime.sinks.base import Output
from vr.runtime.thermal.hot_spot import Celsius


def inspect(newest: Output | None, x: float, y: float, celsius: Celsius | None) -> dict[str, Any]:
    """x, y: pixels of the RGB frame, centres at integers. The levels are those of the nearest pixels.

    `rgb`: 0 to 255 each. `ir_xy`: the point of the IR frame, pixels. `ir`: level 0 to 255 there. `celsius`: of raw
    frames whose temperatures are known. `has_data`: the IR camera sees the point, and there is a transform. Raises
    InputError for a point outside, and before the first frame.
    """
    if newest is None or newest.rgb is None:
        raise InputError("there is no picture of the RGB camera yet")
    h, w = newest.rgb.frame.shape[:2]
    if not (-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5):
        raise InputError(f"the point {x:g}, {y:g} lies outside; expected 0 to {w - 1} and 0 to {h - 1}")
    column, row = min(w - 1, max(0, round(x))), min(h - 1, max(0, round(y)))
    blue_green_red = to_bgr(newest.rgb.frame[row : row + 1, column : column + 1])[0, 0]
    found = {"rgb": [int(one) for one in blue_green_red[::-1]], "ir": None, "ir_xy": None, "celsius": None}
    at_ir_xy = None if newest.alignment is None else _source_point(newest.alignment, x, y)
    if newest.ir is None or newest.alignment is None or at_ir_xy is None:
        return {**found, "has_data": False}
    found["ir_xy"] = [round(one, 2) for one in at_ir_xy]
    ir = newest.ir
    ir_column, ir_row = round(at_ir_xy[0]), round(at_ir_xy[1])
    if not (0 <= ir_column < ir.frame.shape[1] and 0 <= ir_row < ir.frame.shape[0]):
        return {**found, "has_data": False}
    found["ir"] = round(float(np.mean(to_8bit(ir.frame)[ir_row, ir_column])))
    if celsius is not None and ir.raw is not None:
        found["celsius"] = round(celsius.scale * float(ir.raw[ir_row, ir_column]) + celsius.offset, 2)
    return {**found, "has_data": bool(newest.alignment.warper.has_data[row, column])}


def _source_point(alignment: Alignment, x: float, y: float) -> tuple[float, float] | None:
    """In the IR frame; None if refused."""
    if alignment.matrix_rgb_to_ir is not None:
        x_ir, y_ir = apply_matrix(alignment.matrix_rgb_to_ir, np.array([x, y]))
        return float(x_ir), float(y_ir)
    if alignment.flow is None:
        return None
    source_map = alignment.source_map_xy()
    row, column = min(round(y), source_map.shape[0] - 1), min(round(x), source_map.shape[1] - 1)
    x_ir, y_ir = source_map[max(0, row), max(0, column)]
    return float(x_ir), float(y_ir)
