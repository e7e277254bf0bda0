"""Draws docs/views.png, all views on one generated scene: `python -m benchmarks.gallery [--out FILE]`."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.blend import render
from vr.runtime.geometry import compose
from vr.runtime.sim import Simulator
from vr.runtime.style import VIEWS, Style, View

SEED, INDEX, COLUMNS = 43, 30, 3
TILE_HW = (300, 400)
HEADING_PX, GAP_PX = 28, 8
_GROUND, _INK = 255, (30, 30, 30)
_LEVEL_STEP = 4
"""Levels are rounded to multiples of it: the noise of the cameras makes three quarters of a PNG's size."""
STYLES: dict[View, Style] = {
    "overlay": Style("overlay", 0.5),
    "rgb-edges": Style("rgb-edges", 0.35),
    "ir-edges": Style("ir-edges", 0.35),
    "side-by-side": Style("side-by-side", 0.5),
    "split": Style("split", split=0.45),
    "picture-in-picture": Style("picture-in-picture", palette="ironbow"),
    "threshold": Style("threshold", palette="ironbow", ir_above=150),
}

Uint8Array = NDArray[np.uint8]


def gallery(seed: int = SEED) -> Uint8Array:
    """(H, W, 3) uint8 BGR: the nine views, aligned by the true transform, each below its name."""
    scene = Simulator(seed, TILE_HW, TILE_HW)
    tiles = [_tile(style, scene) for style in (STYLES.get(view, Style(view)) for view in VIEWS)]
    rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    picture = np.vstack(rows).astype(np.int32)
    return np.clip((picture + _LEVEL_STEP // 2) // _LEVEL_STEP * _LEVEL_STEP, 0, 255).astype(np.uint8)


def _tile(style: Style, scene: Simulator) -> Uint8Array:
    h, w = TILE_HW
    picture = render(style, *_aligned(scene, w // 2 if style.view == "side-by-side" else w))
    tile = np.full((h + HEADING_PX + GAP_PX, w + GAP_PX, 3), _GROUND, np.uint8)
    name = style.view if style.palette == "none" else f"{style.view}, palette {style.palette}"
    cv2.putText(tile, name, (2, HEADING_PX - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _INK, 1, cv2.LINE_AA)
    tile[HEADING_PX : HEADING_PX + h, :w] = picture
    return tile


def _aligned(scene: Simulator, width_px: int) -> tuple[Alignment, Uint8Array]:
    """By the true transform; of both frames the middle `width_px` columns."""
    ir, rgb = scene.frames(INDEX)
    left = (TILE_HW[1] - width_px) // 2
    to_whole, to_part = ([[1.0, 0.0, shift], [0.0, 1.0, 0.0]] for shift in (left, -left))
    matrix = compose(to_part, compose(scene.matrix_rgb_to_ir(INDEX), to_whole))
    ir, rgb = (np.ascontiguousarray(one[:, left : left + width_px]) for one in (ir, rgb))
    return Alignment("estimated", None, matrix, None, (TILE_HW[0], width_px), ir), rgb


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "views.png")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(arguments.out), gallery(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
