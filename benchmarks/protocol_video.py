"""Videos with a known answer at every frame, 320x240 at 25 fps.

Real clips are short: they are played forth and back, under one fixed draw of protocol S. Generated clips have moving
people, and a misalignment that drifts slowly. In both the rig may be knocked: from one frame on another shift and
rotation are added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.protocols import (
    ALIGNED,
    CANVAS_HW,
    FIRST_SEED,
    FRAME_HW,
    Files,
    cut_frames,
    on_canvas,
    random_affine,
)
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, compose
from vr.runtime.preprocess import Frame
from vr.runtime.sim import Simulator

FPS = 25.0
CLIP_FRAMES = 60
LONG_FRAMES = 150
KNOCK_FRAME = 75
KNOCK_SHIFT = 0.06
KNOCK_DEG = 3.0
SCENE_SEED = 8_000_000
Canvases = Callable[[int], tuple[Frame, Frame, Float64Array]]
"""Frame number to the IR and RGB canvas (400, 534, C) and the (2, 3) matrix between them, RGB to IR."""


@dataclass(frozen=True)
class VideoFrame:
    """Two 320x240 frames, their time, and the (2, 3) matrix between them, RGB pixels to IR pixels."""

    time_s: float
    ir: Frame
    rgb: Frame
    matrix_rgb_to_ir: Float64Array


@dataclass(frozen=True)
class Video:
    """`canvases` seen under `affine`; from KNOCK_FRAME on also under `knock`, if there is one."""

    kind: str
    name: str
    canvases: Canvases
    affine: Float64Array
    frames: int
    knock: Float64Array | None = None

    def __iter__(self) -> Iterator[VideoFrame]:
        for index in range(self.frames):
            ir, rgb, between = self.canvases(index)
            affine = self.affine
            if self.knock is not None and index >= KNOCK_FRAME:
                affine = compose(self.knock, affine)
            ir_cut, rgb_cut, matrix = cut_frames(ir, rgb, affine, between)
            yield VideoFrame(index / FPS, ir_cut, rgb_cut, matrix)


def real_canvases(files: Files) -> Canvases:
    """A clip's frames, forth and back without end."""
    loaded = [(on_canvas(ir), on_canvas(rgb)) for ir, rgb in files]
    turn = max(1, 2 * (len(loaded) - 1))

    def canvases(index: int) -> tuple[Frame, Frame, Float64Array]:
        place = index % turn
        return *loaded[min(place, turn - place)], ALIGNED

    return canvases


def generated_canvases(seed: int) -> Canvases:
    """A generated scene whose misalignment drifts by 1 px/s."""
    simulator = Simulator(seed, CANVAS_HW, CANVAS_HW, fps=FPS, misalignment=IDENTITY_THETA)
    return lambda index: (*simulator.frames(index), simulator.matrix_rgb_to_ir(index))


def videos(clips: dict[str, Files], draws: int, scenes: int) -> Iterator[Video]:
    """Every clip under `draws` fixed misalignments and `scenes` drifting scenes; then the same with a knock, each clip
    once.
    """
    sources = [("clips", name, real_canvases(files), draws, CLIP_FRAMES) for name, files in clips.items()]
    seeds = range(SCENE_SEED, SCENE_SEED + scenes)
    sources += [("generated", str(seed), generated_canvases(seed), 1, LONG_FRAMES) for seed in seeds]
    for kind, name, canvases, count, frames in sources:
        for draw in range(count):
            rng = np.random.default_rng(FIRST_SEED + draw + sum(map(ord, name)))
            affine = random_affine(rng)
            yield Video(kind, f"{name}, draw {draw}", canvases, affine, frames)
            if draw == 0:
                yield Video(f"{kind}, knocked", name, canvases, affine, LONG_FRAMES, knock(rng))


def knock(rng: np.random.Generator) -> Float64Array:
    """A (2, 3) affine of the canvas: a shift of 6 % of the frame's width in any direction and 3 degrees either way."""
    direction = rng.uniform(0.0, 2.0 * np.pi)
    angle = np.deg2rad(KNOCK_DEG) * rng.choice([-1.0, 1.0])
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(CANVAS_HW[::-1]) - 1.0) / 2.0
    shift = KNOCK_SHIFT * FRAME_HW[1] * np.array([np.cos(direction), np.sin(direction)])
    return np.column_stack([linear, centre + shift - linear @ centre])
