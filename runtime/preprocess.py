"""From a camera frame to what a network sees: the only place that says how.

Training, evaluation and the live runtime call this module; the overlay graph repeats it inside ONNX and a test
holds the two together.

1. grey: 3 channels are BGR and become luma (BT.601, as cv2.COLOR_BGR2GRAY); 16-bit IR is stretched between its
   1st and 99th percentile to 8 bit.
2. size: each axis on its own, area average where it shrinks, linear where it grows (pixel-edge aligned, so
   normalised transforms do not change).
3. float32 in [0, 1]: grey levels, contours of them (`vr.runtime.contours`), or a mask.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime import contours
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw, theta_to_matrix
from vr.runtime.warp import warp_matrix

Frame = NDArray[np.uint8] | NDArray[np.uint16]
MODES = ("gray", *contours.FILTERS, "mask")
LEVEL_MODES = ("gray", "mask")
"""Modes whose input is 8-bit levels over 255."""
MAX_SIDE_PX = 16384
_GAIN_PERCENTILES = (1.0, 99.0)


def check_frame(frame: Frame, role: str) -> None:
    """Raises InputError unless `frame` is (h, w) uint8/uint16 or (h, w, 1|3) uint8/uint16, sides 16 to 16384 px."""
    if frame.dtype != np.uint8 and frame.dtype != np.uint16:
        raise InputError(f"{role} frame has dtype {frame.dtype}; expected uint8 or uint16")
    if frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in (1, 3)):
        raise InputError(f"{role} frame has shape {frame.shape}; expected (height, width) or (height, width, 1 or 3)")
    if min(frame.shape[:2]) < 16 or max(frame.shape[:2]) > MAX_SIDE_PX:
        raise InputError(f"{role} frame is {frame.shape[1]}x{frame.shape[0]} px; expected sides of 16 to {MAX_SIDE_PX}")


def frame_hw(frame: Frame) -> SizeHw:
    """Height and width, whatever the channels."""
    return frame.shape[0], frame.shape[1]


def to_8bit(frame: Frame) -> NDArray[np.uint8]:
    """uint16 to uint8 by a linear stretch between the 1st and 99th percentile; uint8 is returned unchanged."""
    if frame.dtype == np.uint8:
        return frame  # type: ignore[return-value]
    low, high = np.percentile(frame[::4, ::4], _GAIN_PERCENTILES)
    scale = 255.0 / max(float(high - low), 1.0)
    return np.clip((frame.astype(np.float32) - low) * scale, 0, 255).astype(np.uint8)


def to_gray(frame: Frame) -> NDArray[np.uint8]:
    """Any accepted frame to (h, w) uint8."""
    frame8 = to_8bit(frame)
    if frame8.ndim == 2:
        return frame8
    if frame8.shape[2] == 1:
        return frame8[:, :, 0]
    return cv2.cvtColor(frame8, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]


def to_bgr(frame: Frame) -> NDArray[np.uint8]:
    """Any accepted frame to (h, w, 3) uint8 BGR."""
    frame8 = to_8bit(frame)
    if frame8.ndim == 3 and frame8.shape[2] == 3:
        return frame8
    return cv2.cvtColor(frame8, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]


def resize(gray: NDArray[np.uint8], size_hw: SizeHw) -> NDArray[np.uint8]:
    """(h, w) uint8 to `size_hw`, each axis on its own: area average when shrinking, linear when growing."""
    h, w = gray.shape
    out_h, out_w = size_hw
    if (h, w) == (out_h, out_w):
        return gray
    mode_x = cv2.INTER_AREA if out_w <= w else cv2.INTER_LINEAR
    mode_y = cv2.INTER_AREA if out_h <= h else cv2.INTER_LINEAR
    if mode_x == mode_y:
        return cv2.resize(gray, (out_w, out_h), interpolation=mode_x)  # type: ignore[return-value]
    across = cv2.resize(gray, (out_w, h), interpolation=mode_x)
    return cv2.resize(across, (out_w, out_h), interpolation=mode_y)  # type: ignore[return-value]


def network_levels(frame: Frame, size_hw: SizeHw, mode: str = "gray") -> NDArray[np.uint8]:
    """One camera frame to (H, W) uint8: `network_input` up to its last step, which for LEVEL_MODES divides by 255.

    Raises InputError for an unknown mode.
    """
    if mode not in MODES:
        raise InputError(f"unknown input mode {mode!r}; expected one of {', '.join(MODES)}")
    gray = to_gray(frame)
    if mode == "mask":
        gray = np.where(gray > 0, np.uint8(255), np.uint8(0))
    return resize(gray, size_hw)


def network_input(frame: Frame, size_hw: SizeHw, mode: str = "gray") -> NDArray[np.float32]:
    """One camera frame to (1, 1, H, W) float32 in [0, 1].

    mode: "gray": grey levels; "sobel", "canny", "adaptive", "laplacian": contours; "mask": the frame is a person mask,
    person 1 (any non-zero), rest 0. Raises InputError for another one.
    """
    levels = network_levels(frame, size_hw, mode)
    return _to_tensor(levels) if mode in LEVEL_MODES else contours.FILTERS[mode](levels)[None, None]


def view_input(gray: NDArray[np.uint8], theta: ArrayLike, size_hw: SizeHw) -> NDArray[np.float32]:
    """What a network sees of a grey frame (h, w) uint8 through `theta`, (1, 1, H, W) float32 in [0, 1].

    theta: (2, 3) or (3, 3), from the network's normalised coordinates to the frame's. Sampled from the frame itself, so
    that a part of it keeps its detail, and outside the frame its border goes on.
    """
    h, w = size_hw
    across = _pixels_per_pixel(theta, size_hw, gray.shape)
    if across > 2.0:  # first by area to two pixels per pixel, lest the bilinear samples skip some
        gray = resize(gray, (max(1, round(gray.shape[0] * 2.0 / across)), max(1, round(gray.shape[1] * 2.0 / across))))
    fine_hw = (2 * h, 2 * w) if across > 1.0 else (h, w)
    matrix = theta_to_matrix(theta, fine_hw, (gray.shape[0], gray.shape[1]))
    return _to_tensor(resize(warp_matrix(gray, matrix, fine_hw, cv2.BORDER_REPLICATE), size_hw))


def _pixels_per_pixel(theta: ArrayLike, size_hw: SizeHw, frame_hw: tuple[int, ...]) -> float:
    """Frame pixels along a network pixel, geometric mean of both directions, in the centre."""
    linear = theta_to_matrix(theta, size_hw, (frame_hw[0], frame_hw[1]))[:2, :2]
    return float(np.sqrt(abs(np.linalg.det(linear))))


def _to_tensor(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    return gray.astype(np.float32)[None, None] / np.float32(255.0)
