"""The thesis's figure of an alignment: RGB, IR, moved, difference before, difference after."""

from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vr.runtime.preprocess import Frame, resize, to_bgr, to_gray

PANELS = ("RGB", "IR", "moved", "difference before", "difference after")
_WIDTH_INCH, _HEIGHT_INCH, _TITLE_INCH = 3.0, 2.25, 0.6
_MAX_SIDE_PX = 640


@dataclass(frozen=True)
class Look:
    """One pair: ir (h, w[, 3]), rgb (H, W[, 3]); moved: the IR frame on the RGB grid, None if it was refused; title."""

    ir: Frame
    rgb: Frame
    moved: Frame | None
    title: str = ""


def draw(looks: list[Look]) -> Figure:
    """A row per pair. Differences: red where only the IR frame is bright, cyan where only the RGB frame is; alike is
    grey. Panels are drawn with at most 640 px a side, so that memory does not grow with the frames.
    """
    height = len(looks) * (_HEIGHT_INCH + _TITLE_INCH * (1.0 if any(look.title for look in looks) else 0.5))
    figure = Figure(figsize=(_WIDTH_INCH * len(PANELS), height), layout="constrained")
    FigureCanvasAgg(figure)
    for row, look in zip(figure.subfigures(len(looks), 1, squeeze=False)[:, 0], looks, strict=True):
        row.suptitle(look.title)
        for axes, (name, picture) in zip(row.subplots(1, len(PANELS)), _panels(look).items(), strict=True):
            axes.set_title(name, fontsize=10)
            axes.set_axis_off()
            if picture is None:
                axes.text(0.5, 0.5, "refused", ha="center", va="center", transform=axes.transAxes)
            else:
                axes.imshow(picture)
    return figure


def _panels(look: Look) -> dict[str, NDArray[np.uint8] | None]:
    rgb, fixed = _small(to_bgr(look.rgb))[..., ::-1], _small(to_gray(look.rgb))
    before = _difference(resize(to_gray(look.ir), (fixed.shape[0], fixed.shape[1])), fixed)
    moved = after = None
    if look.moved is not None:
        moved, after = _small(to_bgr(look.moved))[..., ::-1], _difference(_small(to_gray(look.moved)), fixed)
    return dict(zip(PANELS, (rgb, _small(to_bgr(look.ir))[..., ::-1], moved, before, after), strict=True))


def _difference(ir: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([ir, rgb, rgb])


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = image.shape[:2]
    scale = min(1.0, _MAX_SIDE_PX / max(h, w))
    size = max(1, round(w * scale)), max(1, round(h * scale))
    return image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
