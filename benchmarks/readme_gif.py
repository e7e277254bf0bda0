"""Draws docs/overlay.gif from generated scenes: `python -m benchmarks.readme_gif [--out FILE]`."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from vr.runtime import Aligner
from vr.runtime.blend import render
from vr.runtime.sim import Simulator
from vr.runtime.style import Style

SEED, FRAMES, EVERY, SIZE_HW = 26, 24, 3, (240, 320)
MS_PER_FRAME = 100


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "overlay.gif")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    scene, aligner = Simulator(arguments.seed, SIZE_HW, SIZE_HW), Aligner.load(threads=1)
    animation = cv2.Animation()
    pictures: list[np.ndarray] = []
    for index in range(FRAMES * EVERY):
        ir, rgb = scene.frames(index)
        alignment = aligner(ir, rgb, time_s=scene.time_s(index))
        if index % EVERY == 0:
            pictures.append(render(Style("side-by-side", 0.5), alignment, rgb))
    animation.frames = pictures
    animation.durations = [MS_PER_FRAME] * len(pictures)
    arguments.out.parent.mkdir(exist_ok=True)
    cv2.imwriteanimation(str(arguments.out), animation)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
