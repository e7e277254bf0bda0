"""An alignment for people: one line of text, and what a Jupyter notebook shows.

Both are made from whatever the alignment holds and never raise: they are called while somebody looks for a mistake.
"""

import base64
import html as escaping
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vr.runtime.geometry import Float64Array, apply_matrix, matrix_to_theta, to_3x3

if TYPE_CHECKING:
    from vr.runtime.alignment import Alignment

PICTURE_PX = 320
"""Longest side of the picture."""


def text(alignment: "Alignment") -> str:
    """One line: state, confidence, and what the transform does."""
    try:
        return f"{_state(alignment)}: {_transform(alignment)}"
    except Exception as error:
        return f"Alignment that cannot be described: {error!r:.200}"


def html(alignment: "Alignment") -> str:
    """State, confidence, transform in words and numbers, and the moved IR picture of at most 320 px, as a PNG."""
    try:
        parts = [f"<b>{escaping.escape(_state(alignment))}</b>", escaping.escape(_transform(alignment))]
        if alignment.matrix_rgb_to_ir is not None:
            parts.append(f"<pre>matrix_rgb_to_ir =\n{escaping.escape(_numbers(alignment.matrix_rgb_to_ir))}</pre>")
        return f"<div>{'<br>'.join(parts)}{_picture(alignment)}</div>"
    except Exception as error:
        return f"<div>{escaping.escape(f'Alignment that cannot be shown: {error!r:.200}')}</div>"


def _state(alignment: "Alignment") -> str:
    sure = "" if alignment.confidence is None else f", confidence {alignment.confidence:.2f}"
    return f"{alignment.state}{sure}"


def _transform(alignment: "Alignment") -> str:
    h, w = alignment.rgb_hw
    sizes = f"IR {alignment.ir.shape[1]}x{alignment.ir.shape[0]} on RGB {w}x{h}"
    if alignment.matrix_rgb_to_ir is None:
        return f"{sizes}, no transform" if alignment.flow is None else f"{sizes}, a dense flow"
    return f"{sizes}, {_in_words(alignment.matrix_rgb_to_ir, alignment)}"


def _in_words(matrix: Float64Array, alignment: "Alignment") -> str:
    """What is done to the IR picture once it is stretched over the RGB frame, at the middle of that, in RGB pixels.

    The scale is the root of the area scale; the angle is that of the rotation nearest to the slope.
    """
    h, w = alignment.rgb_hw
    ir_h, ir_w = alignment.ir.shape[:2]
    theta = to_3x3(matrix_to_theta(matrix, (h, w), (ir_h, ir_w)))
    # The normalised map in RGB pixels around the middle, and from the IR picture to the RGB frame.
    half = np.diag([w / 2.0, h / 2.0, 1.0])
    forward = np.linalg.inv(half @ theta @ np.linalg.inv(half))
    middle = apply_matrix(forward / forward[2, 2], (0.0, 0.0))
    near = apply_matrix(forward / forward[2, 2], [(1.0, 0.0), (0.0, 1.0)]) - middle
    slope = near.T
    angle_deg = math.degrees(math.atan2(slope[1, 0] - slope[0, 1], slope[0, 0] + slope[1, 1]))
    scale = math.sqrt(abs(float(np.linalg.det(slope))))
    return (
        f"{abs(middle[0]):.1f} px {'left' if middle[0] < 0 else 'right'}, "
        f"{abs(middle[1]):.1f} px {'up' if middle[1] < 0 else 'down'}, "
        f"turned by {abs(angle_deg):.1f} degrees {'anticlockwise' if angle_deg < 0 else 'clockwise'}, "
        f"scaled by {scale:.3f}{', tilted' if matrix.shape == (3, 3) else ''}"
    )


def _numbers(matrix: Float64Array) -> str:
    return "\n".join("  ".join(f"{number:12.6g}" for number in row) for row in matrix)


def _picture(alignment: "Alignment") -> str:
    moved = alignment.moved_8bit
    if moved is None:
        return ""
    h, w = moved.shape[:2]
    factor = min(1.0, PICTURE_PX / max(h, w))
    size_wh = max(1, round(w * factor)), max(1, round(h * factor))
    small = moved if factor == 1.0 else cv2.resize(moved, size_wh, interpolation=cv2.INTER_AREA)
    data = base64.b64encode(cv2.imencode(".png", small)[1].tobytes()).decode()
    return f'<img alt="infrared on the RGB frame" src="data:image/png;base64,{data}">'
