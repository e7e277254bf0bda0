"""A picture of a pair in a terminal: half blocks, two pixels in each character."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style as TextStyle

from vr.runtime.geometry import SizeHw
from vr.runtime.mixing import stretch
from vr.runtime.preprocess import to_8bit, to_bgr
from vr.runtime.sinks.base import Output
from vr.runtime.style import Style
from vr.runtime.views import draw_view

Uint8Array = NDArray[np.uint8]
_UPPER_HALF = "\N{UPPER HALF BLOCK}"
_COLOUR_STEP = 8
"""Colours are rounded to multiples of it: neighbours that become alike are written at once."""


def preview_hw(rgb_hw: SizeHw, columns: int, rows: int) -> SizeHw:
    """Height (even) and width of the largest picture with the frame's aspect in so many characters."""
    h, w = rgb_hw
    scale = min(columns / w, 2.0 * rows / h)
    return max(2, 2 * round(scale * h / 2.0)), max(1, round(scale * w))


def small_picture(output: Output, style: Style, columns: int, rows: int) -> Uint8Array | None:
    """The picture of an output frame by its view, drawn small from the start and with nothing written on it; None while
    there is no frame. One camera's frame alone while the other has none, or if refused: RGB.
    """
    rgb, ir = (None if one is None else one.frame for one in (output.rgb, output.ir))
    there = rgb if rgb is not None else ir
    if there is None:
        return None
    size_hw = preview_hw((there.shape[0], there.shape[1]), columns, rows)
    small = stretch(to_bgr(there), size_hw)
    if output.alignment is None or rgb is None or output.state == "refused":
        return small
    ir_hw = preview_hw((output.alignment.ir.shape[0], output.alignment.ir.shape[1]), columns, rows)
    small_ir = stretch(to_8bit(output.alignment.ir), ir_hw)
    return draw_view(style, output.alignment.carried_to(small_ir, size_hw, output.state, 0.0), small)


class HalfBlocks:
    """(H, W, 3) uint8 BGR, H even, as something that rich prints."""

    def __init__(self, picture: Uint8Array) -> None:
        self.columns, self.rows = picture.shape[1], picture.shape[0] // 2
        half = _COLOUR_STEP // 2
        coarse = np.minimum(picture.astype(np.int32) + half, 255) // _COLOUR_STEP * _COLOUR_STEP
        self._cells = np.concatenate([coarse[0::2], coarse[1::2]], axis=2)[..., [2, 1, 0, 5, 4, 3]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in self._cells:
            yield from _runs(row)
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.columns, self.columns)


def _runs(row: NDArray[np.int32]) -> Iterable[Segment]:
    """One segment for each stretch of equal cells."""
    starts = np.flatnonzero(np.r_[True, (np.diff(row, axis=0) != 0).any(axis=1)])
    for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
        yield Segment(_UPPER_HALF * int(end - start), _text_style(*row[start].tolist()))


@lru_cache(maxsize=8192)
def _text_style(*upper_lower_rgb: int) -> TextStyle:
    """R, G, B of the upper half, then of the lower one."""
    return TextStyle(color=Color.from_rgb(*upper_lower_rgb[:3]), bgcolor=Color.from_rgb(*upper_lower_rgb[3:]))
