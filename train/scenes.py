"""New scenes from old ones: both views of an aligned pair are changed alike, so that they stay aligned.

A few hundred real pairs are soon learned by heart; these make every sample a scene that has not been seen before.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]
BEND_PX = 14.0


def merged(rng: np.random.Generator, pair: Pair, other: Pair) -> Pair:
    """(IR, RGB) views with smooth random regions, half of the picture on average, taken from another pair's scene."""
    h, w = pair[0].shape[:2]
    cells = int(rng.integers(2, 6))
    noise = rng.standard_normal((cells, cells + 1)).astype(np.float32)
    mask = cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC) > 0.0
    if rng.random() < 0.5:
        other = other[0][:, ::-1], other[1][:, ::-1]
    return _replaced(pair[0], other[0], mask), _replaced(pair[1], other[1], mask)


def bent(rng: np.random.Generator, pair: Pair) -> Pair:
    """Both views through the same smooth random deformation of up to about BEND_PX."""
    h, w = pair[0].shape[:2]
    cells = int(rng.integers(3, 7))
    shifts = [cv2.resize(_noise(rng, cells), (w, h), interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    x = np.arange(w, dtype=np.float32)[None, :] + BEND_PX * rng.random() * shifts[0]
    y = np.arange(h, dtype=np.float32)[:, None] + BEND_PX * rng.random() * shifts[1]
    maps = x.astype(np.float32), y.astype(np.float32)
    ir, rgb = (cv2.remap(view, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for view in pair)
    return ir.astype(np.uint8), rgb.astype(np.uint8)


def _noise(rng: np.random.Generator, cells: int) -> NDArray[np.float32]:
    return np.clip(rng.standard_normal((cells, cells + 1)), -1.5, 1.5).astype(np.float32)


def _replaced(view: Image, other: Image, mask: NDArray[np.bool_]) -> Image:
    same_size: Image = cv2.resize(other, (view.shape[1], view.shape[0])).astype(np.uint8)
    if view.ndim != same_size.ndim:
        view, same_size = _with_channels(view), _with_channels(same_size)
    return np.where(mask[:, :, None] if view.ndim == 3 else mask, same_size, view).astype(np.uint8)


def _with_channels(view: Image) -> Image:
    return view if view.ndim == 3 else np.repeat(view[:, :, None], 3, 2)
