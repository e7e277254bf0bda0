"""What lies under one point of the picture."""

import math
from typing import Any

import numpy as np

from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.preprocess import to_8bit, to_bgr
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import Stamped
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
    alignment = newest.alignment
    ir_xy = None if alignment is None else _source_point(alignment, x, y, column, row)
    sees = alignment is not None and bool(alignment.warper.has_data[row, column])
    return {
        "rgb": [int(level) for level in blue_green_red[::-1]],
        "ir_xy": None if ir_xy is None else [round(one, 2) for one in ir_xy],
        **_of_infrared(newest.ir, ir_xy, celsius),
        "has_data": sees,
    }


def _of_infrared(ir: Stamped | None, ir_xy: tuple[float, float] | None, celsius: Celsius | None) -> dict[str, Any]:
    """Level and temperature of the nearest pixel; None outside."""
    if ir is None or ir_xy is None:
        return {"ir": None, "celsius": None}
    column, row = (round(one) for one in ir_xy)
    if not (0 <= column < ir.frame.shape[1] and 0 <= row < ir.frame.shape[0]):
        return {"ir": None, "celsius": None}
    level = to_8bit(ir.frame)[row : row + 1, column]
    degrees = None if celsius is None or ir.raw is None else celsius.degrees(float(ir.raw[row, column]))
    return {"ir": round(float(np.mean(level))), "celsius": None if degrees is None else round(degrees, 2)}


def _source_point(alignment: Alignment, x: float, y: float, column: int, row: int) -> tuple[float, float] | None:
    """In the IR frame; of a flow that of the nearest pixel; None if refused."""
    point = (x, y) if alignment.flow is None else (column, row)
    x_ir, y_ir = alignment.rgb_to_ir([point])[0].tolist()
    return None if math.isnan(x_ir) or math.isnan(y_ir) else (x_ir, y_ir)
