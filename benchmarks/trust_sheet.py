"""Draws docs/trust.png, what pictures say of themselves, from a generated scene: `python -m benchmarks.trust_sheet`."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.blend import lone_picture, render
from vr.runtime.notices import Notice
from vr.runtime.sim import Simulator
from vr.runtime.style import Style
from vr.runtime.thermal import HotSpot

SEED, SIZE_HW, ALPHA = 26, (240, 320), 0.5
GAP_PX = 4
_COARSE = 0xF8
"""Noise in the last bits would make the file three times as large."""


def pictures() -> list[NDArray[np.uint8]]:
    """Six pictures of one pair: estimated, held, refused; the same trusted pair in two palettes, and a lost camera."""
    scene = Simulator(SEED, SIZE_HW, SIZE_HW)
    ir, rgb = scene.frames(0)
    y, x = np.unravel_index(int(cv2.GaussianBlur(ir, (0, 0), 2.0).argmax()), ir.shape)
    spot = HotSpot(int(x), int(y), 36.5)

    def drawn(
        state: State, palette: str = "none", notices: tuple[Notice, ...] = (), hot_spot: HotSpot | None = None
    ) -> NDArray[np.uint8]:
        matrix = None if state == "refused" else scene.matrix_rgb_to_ir(0)
        alignment = Alignment(state, None, matrix, None, SIZE_HW, ir)
        return render(Style("overlay", ALPHA, palette), alignment, rgb, notices, hot_spot)

    return [
        drawn("estimated"),
        drawn("held", notices=(Notice("ir frozen", 3.0),)),
        drawn("refused"),
        drawn("estimated", "inferno", hot_spot=spot),
        drawn("estimated", "ironbow", (Notice("recording off", 40.0),)),
        lone_picture(rgb, None, SIZE_HW, (Notice("ir lost", 12.0),)),
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "trust.png")
    arguments = parser.parse_args()
    framed = [
        cv2.copyMakeBorder(one, 0, GAP_PX, 0, GAP_PX, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for one in pictures()
    ]
    sheet = np.vstack([np.hstack(framed[:3]), np.hstack(framed[3:])])[:-GAP_PX, :-GAP_PX]
    cv2.imwrite(str(arguments.out), sheet.astype(np.uint8) & np.uint8(_COARSE), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
