"""New scenes from old ones: both views of an aligned pair are changed alike, so that they stay aligned.

A few hundred real pairs are soon learned by heart; these make every sample a scene that has not been seen before.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.train.photometric import Gray, smooth_regions

Pair = tuple[Gray, Gray]
BEND_PX = 14.0


def merged(rng: np.random.Generator, pair: Pair, other: Pair) -> Pair:
    """(IR, RGB) views (h, w) with smooth random regions, half of the picture on average, taken from another pair."""
    h, w = pair[0].shape
    mask = smooth_regions(rng, (h, w))
    mirror = rng.random() < 0.5
    views: list[Gray] = []
    for view, foreign in zip(pair, other, strict=True):
        if foreign.shape != view.shape:
            foreign = cv2.resize(foreign, (w, h)).astype(np.uint8)
        views.append(cv2.copyTo(cv2.flip(foreign, 1) if mirror else foreign, mask, view.copy()))  # type: ignore[arg-type]
    return views[0], views[1]


def bent(rng: np.random.Generator, pair: Pair) -> Pair:
    """Both views (h, w) through the same smooth random deformation of up to about BEND_PX."""
    h, w = pair[0].shape
    cells = int(rng.integers(3, 7))
    shifts = [cv2.resize(_noise(rng, cells), (w, h), interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    x = np.arange(w, dtype=np.float32)[None, :] + np.float32(BEND_PX * rng.random()) * shifts[0]
    y = np.arange(h, dtype=np.float32)[:, None] + np.float32(BEND_PX * rng.random()) * shifts[1]
    ir, rgb = (cv2.remap(view, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for view in pair)
    return ir.astype(np.uint8), rgb.astype(np.uint8)


def _noise(rng: np.random.Generator, cells: int) -> NDArray[np.float32]:
    return np.clip(rng.standard_normal((cells, cells + 1)), -1.5, 1.5).astype(np.float32)
