"""Applying a transform to the IR frame with OpenCV (the CPU path)."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.geometry import Float64Array, SizeHw, apply_matrix, to_3x3
from vr.runtime.lazy import lazy

BORDER_SLACK_PX = 1.0 / 512.0
"""A source point so far outside the IR frame mixes in less than half a grey level of the black there: still inside."""
REDRAW_PX = 1.0 / 64.0
"""A source map is made anew once it has changed anywhere by more than this, in IR pixels."""


class Warper:
    """Brings IR frames of one size onto the RGB grid by one transform, and keeps what depends on the transform alone.

    matrix_rgb_to_ir: (2, 3) or (3, 3) in native pixels; or flow: (2, Hn, Wn), see `vr.runtime.alignment.Alignment`.
    """

    def __init__(
        self,
        rgb_hw: SizeHw,
        ir_hw: SizeHw,
        matrix_rgb_to_ir: Float64Array | None = None,
        flow: NDArray[np.float32] | None = None,
    ) -> None:
        self.rgb_hw, self.ir_hw, self.matrix_rgb_to_ir, self.flow = rgb_hw, ir_hw, matrix_rgb_to_ir, flow

    def draws_like(self, flow: NDArray[np.float32], rgb_hw: SizeHw, ir_hw: SizeHw) -> bool:
        """Whether it may serve for another flow too: no source point is elsewhere by more than REDRAW_PX."""
        if self.flow is None or (self.rgb_hw, self.ir_hw) != (rgb_hw, ir_hw) or self.flow.shape != flow.shape:
            return False
        ir_px_per_cell = max(ir_hw[0] / flow.shape[1], ir_hw[1] / flow.shape[2])
        return flow is self.flow or float(np.abs(flow - self.flow).max()) * ir_px_per_cell <= REDRAW_PX

    def __call__(self, ir: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w[, 3]) uint8 to (H, W[, 3]), bilinear, 0 outside the IR frame."""
        if self.matrix_rgb_to_ir is not None:
            return warp_matrix(ir, self.matrix_rgb_to_ir, self.rgb_hw)
        return warp_map(ir, self.source_map_xy)

    @lazy
    def source_map_xy(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: for each RGB pixel its source point (x, y) in IR pixels; NaN without a transform."""
        if self.matrix_rgb_to_ir is not None:
            return matrix_source_map(self.matrix_rgb_to_ir, self.rgb_hw)
        if self.flow is not None:
            return flow_source_map(self.flow, self.rgb_hw, self.ir_hw)
        return np.full((*self.rgb_hw, 2), np.nan, dtype=np.float32)

    @lazy
    def has_data(self) -> NDArray[np.bool_]:
        """(H, W): whether an RGB pixel's source point lies among the IR frame's pixel centres (BORDER_SLACK_PX)."""
        if self.matrix_rgb_to_ir is not None:
            return inside_matrix(self.matrix_rgb_to_ir, self.rgb_hw, self.ir_hw)
        if self.flow is None:
            return np.zeros(self.rgb_hw, np.bool_)
        # White arrives white exactly where nothing from outside was mixed in.
        return warp_map(np.full(self.ir_hw, 255, np.uint8), self.source_map_xy) == 255


def warp_matrix(
    ir: NDArray[np.uint8], matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, border: int = cv2.BORDER_CONSTANT
) -> NDArray[np.uint8]:
    """(h, w[, C]) uint8 IR onto the RGB grid by an affine (2, 3) or a homography (3, 3), bilinear; outside the IR frame
    0, or what another `border` mode of OpenCV says.
    """
    h, w = rgb_hw
    m = np.asarray(matrix_rgb_to_ir, np.float64)
    warp = cv2.warpAffine if m.shape == (2, 3) else cv2.warpPerspective
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = warp(_in_fast_channels(ir), m, (w, h), flags=flags, borderMode=border)
    return _in_channels_of(ir, moved)  # type: ignore[arg-type]


def warp_map(ir: NDArray[np.uint8], source_map_xy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w[, C]) uint8 IR through absolute source coordinates (H, W, 2), bilinear, 0 outside the IR frame."""
    moved = cv2.remap(_in_fast_channels(ir), source_map_xy, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    return _in_channels_of(ir, moved)  # type: ignore[arg-type]


def _in_fast_channels(ir: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """OpenCV warps four channels nearly twice as fast as three, to the same values."""
    return cv2.cvtColor(ir, cv2.COLOR_BGR2BGRA) if ir.shape[2:] == (3,) else ir  # type: ignore[return-value]


def _in_channels_of(ir: NDArray[np.uint8], moved: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(moved, cv2.COLOR_BGRA2BGR) if ir.shape[2:] == (3,) else moved  # type: ignore[return-value]


def inside_matrix(matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw, ir_hw: SizeHw) -> NDArray[np.bool_]:
    """(H, W): whether the source point of a pixel lies among the IR frame's pixel centres, BORDER_SLACK_PX beyond them
    included.

    With u, v, w = M (x, y, 1) and w > 0 all over the frame, `-s <= u / w <= W_ir - 1 + s` and the same of v are linear
    in x: of each row an interval is inside.
    """
    u, v, w = to_3x3(matrix_rgb_to_ir)
    far_y, far_x = (side - 1 + BORDER_SLACK_PX for side in ir_hw)
    bounds = u + BORDER_SLACK_PX * w, far_x * w - u, v + BORDER_SLACK_PX * w, far_y * w - v
    rows = np.arange(rgb_hw[0])
    first, last = np.zeros(rgb_hw[0]), np.full(rgb_hw[0], rgb_hw[1] - 1.0)
    for of_x, of_y, constant in bounds:
        rest = of_y * rows + constant
        if of_x > 0.0:
            first = np.maximum(first, np.ceil(-rest / of_x))
        elif of_x < 0.0:
            last = np.minimum(last, np.floor(-rest / of_x))
        else:
            last = np.where(rest >= 0.0, last, -1.0)
    columns = np.arange(rgb_hw[1], dtype=np.int16)
    first, last = (np.clip(side, -1, rgb_hw[1]).astype(np.int16)[:, None] for side in (first, last))
    return (columns >= first) & (columns <= last)


def affine_source_map(matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw) -> NDArray[np.float32]:
    """(H, W, 2) float32 source points, native RGB pixels to native IR pixels."""
    m = np.asarray(matrix_rgb_to_ir, dtype=np.float64)
    ys, xs = np.mgrid[: rgb_hw[0], : rgb_hw[1]]
    return np.stack([m[i, 0] * xs + m[i, 1] * ys + m[i, 2] for i in range(2)], axis=-1).astype(np.float32)


def matrix_source_map(matrix_rgb_to_ir: ArrayLike, rgb_hw: SizeHw) -> NDArray[np.float32]:
    """`affine_source_map`, also of a homography (3, 3)."""
    if np.shape(matrix_rgb_to_ir) == (2, 3):
        return affine_source_map(matrix_rgb_to_ir, rgb_hw)
    ys, xs = np.mgrid[: rgb_hw[0], : rgb_hw[1]]
    return apply_matrix(matrix_rgb_to_ir, np.stack([xs, ys], axis=-1)).astype(np.float32)


def flow_source_map(flow: NDArray[np.float32], rgb_hw: SizeHw, ir_hw: SizeHw) -> NDArray[np.float32]:
    """A network-grid flow (2, Hn, Wn) as (H, W, 2) float32 source points in native IR pixels.

    The source point is computed on the network's grid (identity + flow), scaled to IR pixels with the pixel-edge
    rule `x_ir = (x_net + 0.5) * w_ir / Wn - 0.5`, and brought to the RGB grid linearly. Outside the network's pixel
    centres (half a network pixel at the border) the nearest flow is used.
    """
    _, net_h, net_w = flow.shape
    h, w = rgb_hw
    to_ir_px = np.array([ir_hw[1] / net_w, ir_hw[0] / net_h], np.float32)
    flow_px = np.ascontiguousarray(np.moveaxis(flow, 0, -1), np.float32) * to_ir_px
    up = cv2.resize(flow_px, (w, h), interpolation=cv2.INTER_LINEAR)
    return cv2.add(up, _stretched_points(rgb_hw, ir_hw), dst=up)  # type: ignore[return-value]


@lru_cache(maxsize=4)
def _stretched_points(rgb_hw: SizeHw, ir_hw: SizeHw) -> NDArray[np.float32]:
    """(H, W, 2): the source points where the IR frame is merely stretched to the RGB frame."""
    h, w = rgb_hw
    xs = (np.arange(w, dtype=np.float64) + 0.5) / w * ir_hw[1] - 0.5
    ys = (np.arange(h, dtype=np.float64) + 0.5) / h * ir_hw[0] - 0.5
    return np.stack(np.meshgrid(xs, ys), axis=-1).astype(np.float32)
