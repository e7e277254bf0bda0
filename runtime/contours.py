"""Contours of a grey image: what the thesis showed its networks in place of grey levels.

Each filter smooths first (Gaussian, 5x5 px, sigma 1.1 px; borders are reflected without the last pixel throughout), and
answers in [0, 1], bright where there is an edge. They work at the size of the network's input, so an edge is as wide
there for a large frame as for a small one.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SMOOTHING_PX, SMOOTHING_SIGMA_PX = 5, 1.1
SOBEL_SCALE = 1.0 / 4.0
"""Brings the largest difference along one axis, black against white, to 1."""
LAPLACIAN_SCALE = 1.0 / 2.0
"""Edges are faint in a second derivative; few places reach 1 and are cut there."""
CANNY_SPREAD = 1.0 / 3.0
_CANNY_LEAST = 20.0
_ADAPTIVE_WINDOW_PX, _ADAPTIVE_MARGIN = 11, 2.0

Uint8s = NDArray[np.uint8]
Float32s = NDArray[np.float32]


def sobel(gray: Uint8s) -> Float32s:
    """(h, w) uint8 to (h, w) float32: length of the 3x3 Sobel gradient of the image in [0, 1], over 4, at most 1."""
    smooth = _smoothed(gray)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    # Not by cv2.magnitude: its last bit follows from where in memory the image lies; a resumed training would differ.
    return np.minimum(np.sqrt(across * across + down * down) * SOBEL_SCALE, 1.0).astype(np.float32)


def laplacian(gray: Uint8s) -> Float32s:
    """(h, w) uint8 to (h, w) float32: amount of the 3x3 Laplacian of the image in [0, 1], over 2, at most 1."""
    bent = cv2.Laplacian(_smoothed(gray), cv2.CV_32F, ksize=3)
    return np.minimum(np.abs(bent) * LAPLACIAN_SCALE, 1.0).astype(np.float32)


def canny(gray: Uint8s) -> Float32s:
    """(h, w) uint8 to (h, w) float32 of 0 and 1: Canny's edges (IEEE TPAMI 1986).

    A strong edge is a third above the median grey level of the image, a weak one a third below, so that dark images
    have edges too; but a strong one is at least 20, lest sensor noise becomes a drawing.
    """
    smooth = _smoothed_8bit(gray)
    median = float(np.median(smooth))
    high = max((1.0 + CANNY_SPREAD) * median, _CANNY_LEAST)
    edges = cv2.Canny(smooth, high * (1.0 - CANNY_SPREAD) / (1.0 + CANNY_SPREAD), high)
    return _zeros_and_ones(edges)


def adaptive(gray: Uint8s) -> Float32s:
    """(h, w) uint8 to (h, w) float32 of 0 and 1: 1 where a pixel is darker, by more than 2 grey levels, than the
    Gaussian mean of 11x11 px around it.
    """
    method, kind = cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV
    dark = cv2.adaptiveThreshold(_smoothed_8bit(gray), 255, method, kind, _ADAPTIVE_WINDOW_PX, _ADAPTIVE_MARGIN)
    return _zeros_and_ones(dark)


FILTERS: dict[str, Callable[[Uint8s], Float32s]] = {
    "sobel": sobel,
    "canny": canny,
    "adaptive": adaptive,
    "laplacian": laplacian,
}
SMOOTH = ("sobel", "laplacian")
"""Filters whose answer follows the image smoothly. The others decide at a threshold: one grey level of rounding more or
less switches pixels, so a graph cannot repeat them to the last bit.
"""


def _smoothed(gray: Uint8s) -> Float32s:
    in_0_to_1 = gray.astype(np.float32) / np.float32(255.0)
    return cv2.GaussianBlur(in_0_to_1, (SMOOTHING_PX, SMOOTHING_PX), SMOOTHING_SIGMA_PX)  # type: ignore[return-value]


def _smoothed_8bit(gray: Uint8s) -> Uint8s:
    return cv2.GaussianBlur(gray, (SMOOTHING_PX, SMOOTHING_PX), SMOOTHING_SIGMA_PX)  # type: ignore[return-value]


def _zeros_and_ones(drawing: cv2.typing.MatLike) -> Float32s:
    return (drawing > 0).astype(np.float32)
