"""How much moves in a picture, and where: five numbers that two cameras of any modality and lens have in common."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame

MOMENTS = 5
MOTION_HW = (48, 64)
_NOISE_FACTOR = 4.0
_NOISE_AT_MOST = 1.5
_STILL = 0.02
_LEAST_ROWS = 192
_GAIN_PERCENTILES = (1.0, 99.0)
_GAIN_ROUNDS = 3

Float32s = NDArray[np.float32]
Float64s = NDArray[np.float64]


def motion_moments(difference: NDArray[np.float32]) -> Float64s:
    """(5,) moments of the motion in the (h, w) difference of two frames, grey levels: the mean of its size above its
    noise, and of that times x, y, x^2 and y^2; x and y go from -1 to 1 over the frame.

    Flicker of the whole picture is not motion, noise is taken off.
    """
    size = np.abs(difference - np.median(difference))
    noise = min(float(np.median(size)), _NOISE_AT_MOST)
    size = np.maximum(size - _NOISE_FACTOR * noise, 0.0)
    h, w = size.shape
    x, y = np.linspace(-1.0, 1.0, w), np.linspace(-1.0, 1.0, h)
    columns, rows = size.mean(axis=0), size.mean(axis=1)
    means = columns.mean(), (columns * x).mean(), (rows * y).mean(), (columns * x * x).mean(), (rows * y * y).mean()
    return np.array(means, dtype=np.float64)


def motion_curves(moments: Float64s) -> list[Float64s]:
    """(n, 5) moments to amount (logarithm), centre x, centre y, spread x, (n,) each."""
    amount = np.maximum(moments[:, 0], 0.0) + _STILL
    x, y = moments[:, 1] / amount, moments[:, 2] / amount
    spread = np.sqrt(np.maximum(moments[:, 3] / amount - x * x, 0.0))
    return [np.log(amount), x, y, spread]


def motion_thumb(frame: Frame) -> Float32s:
    """Any accepted frame to (48, 64) grey levels; of 16-bit frames 1st to 99th percentile become 0 to 255, unclipped.

    Rows and columns of a large frame are left out first: it has to cost little for every frame of a camera.
    """
    step = max(1, frame.shape[0] // _LEAST_ROWS)
    rows = frame[::step]
    gray = cv2.cvtColor(rows, cv2.COLOR_BGR2GRAY) if rows.shape[2:] == (3,) else rows
    thumb = cv2.resize(gray[:, ::step], MOTION_HW[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    if frame.dtype == np.uint8:
        return thumb
    low, high = np.percentile(thumb, _GAIN_PERCENTILES)
    return (thumb - np.float32(low)) * np.float32(255.0 / max(float(high - low), 1.0))


def scene_change(now: Float32s, before: Float32s) -> Float32s:
    """The difference of two grey pictures (h, w) that no change of gain and level explains.

    The line from the levels of `before` to the difference is fitted to the pixels near it, again and again: what moves
    lies off it.
    """
    difference = now - before
    levels = before[::2, ::2].ravel()
    for _ in range(_GAIN_ROUNDS):
        sample = difference[::2, ::2].ravel()
        off = np.abs(sample - np.median(sample))
        near = off <= 2.0 * np.median(off) + 0.5
        x, y = levels[near], sample[near]
        middle = x.mean()
        slope = ((x - middle) @ y) / max(float((x - middle) @ (x - middle)), 1.0)
        difference -= slope * (before - middle) + y.mean()
        if abs(float(slope)) < 1e-3:
            break
    return difference
