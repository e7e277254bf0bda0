"""Applying a transform to the IR frame with OpenCV (the CPU path)."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.geometry import SizeHw, apply_matrix


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
    return warp(ir, m, (w, h), flags=flags, borderMode=border)  # type: ignore[return-value]


def warp_map(ir: NDArray[np.uint8], source_map_xy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w[, C]) uint8 IR through absolute source coordinates (H, W, 2), bilinear, 0 outside the IR frame."""
    return cv2.remap(ir, source_map_xy, None, cv2.INTER_LINEAR)  # type: ignore[return-value, call-overload]


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
    up = cv2.resize(np.moveaxis(flow, 0, -1), (w, h), interpolation=cv2.INTER_LINEAR)
    xs = (np.arange(w, dtype=np.float32) + 0.5) / w
    ys = (np.arange(h, dtype=np.float32) + 0.5) / h
    x_ir = (xs[None, :] + up[..., 0] / net_w) * ir_hw[1] - 0.5
    y_ir = (ys[:, None] + up[..., 1] / net_h) * ir_hw[0] - 0.5
    return np.stack([x_ir, y_ir], axis=-1).astype(np.float32)
