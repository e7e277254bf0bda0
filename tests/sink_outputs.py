"""Output frames for the tests of sinks, and what lies in a folder."""

from pathlib import Path

import numpy as np

from vr.runtime.alignment import Alignment, State
from vr.runtime.sinks import Output
from vr.runtime.sources import Stamped

MATRIX = np.array([[0.9, 0.1, 3.0], [-0.1, 0.8, 5.0]])
RGB_HW, IR_HW = (48, 64), (40, 50)


def output(
    index: int,
    time_s: float | None = None,
    level: int = 0,
    state: State = "estimated",
    size_hw: tuple[int, int] = RGB_HW,
    confidence: float | None = 0.75,
) -> Output:
    time_s = index / 10.0 if time_s is None else time_s
    ir, rgb = np.zeros(IR_HW, np.uint8), np.zeros((*size_hw, 3), np.uint8)
    stamped_ir, stamped_rgb = Stamped(ir, time_s + 0.004, index), Stamped(rgb, time_s, index)
    matrix = None if state == "refused" else MATRIX
    aligned = Alignment(state, confidence, matrix, None, size_hw, ir)
    picture = np.full((*size_hw, 3), level, np.uint8)
    return Output(index, time_s, stamped_ir, stamped_rgb, aligned, {"total": 1.23456}, picture)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
