"""Frames for the speed suites: drawn before the clock runs."""

import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.pairing import Pair, PairingCounts
from vr.runtime.preprocess import Frame
from vr.runtime.sim import Simulator
from vr.runtime.sources.base import Stamped
from vr.runtime.sources.capture import Grabbed
from vr.runtime.stopping import Stop

SCENE_FRAMES, SCENE_FPS = 20, 30.0
IR_HW = (480, 640)
_LARGEST_DRAWN_HW = (1080, 1920)

Scene = list[tuple[Frame, NDArray[np.uint8]]]
"""IR and RGB frames; played over and over."""


def draw_scene(rgb_hw: tuple[int, int], ir_hw: tuple[int, int] = IR_HW, seed: int = 0) -> Scene:
    """Frames of the simulator; beyond 1080p an enlarged one."""
    drawn_hw = min(rgb_hw, _LARGEST_DRAWN_HW)
    simulator = Simulator(seed=seed, rgb_hw=drawn_hw, ir_hw=ir_hw)
    scene: Scene = [simulator.frames(index) for index in range(SCENE_FRAMES)]
    if drawn_hw == rgb_hw:
        return scene
    return [(ir, np.asarray(cv2.resize(rgb, rgb_hw[::-1]), np.uint8)) for ir, rgb in scene]


class MemoryPairs:
    """`count` pairs of a scene as fast as they are asked for, 1/30 s apart in time."""

    def __init__(self, scene: Scene, count: int) -> None:
        self.counts = PairingCounts()
        self._scene, self._count, self._given = scene, count, 0

    def next(self, stop: Stop) -> Pair | None:
        """See `vr.runtime.pairing.Pairing`."""
        if self._given == self._count or stop.is_set():
            return None
        index, time_s = self._given, self._given / SCENE_FPS
        ir, rgb = self._scene[index % len(self._scene)]
        self._given += 1
        return Pair(Stamped(ir, time_s, index), Stamped(rgb, time_s, index))


class PacedCapture:
    """What an open camera looks like to `vr.runtime.sources.camera.CameraSource`: a frame every 1/fps s."""

    decode_errors = skipped = 0

    def __init__(self, frames: Sequence[Frame], fps: float) -> None:
        self._frames, self.fps = frames, fps
        self._start_s = time.monotonic()
        self._index = -1

    def read(self) -> Grabbed:
        """A copy, as a driver gives one; waits until it is due."""
        self._index += 1
        time.sleep(max(0.0, self._start_s + self._index / self.fps - time.monotonic()))
        return Grabbed(self._frames[self._index % len(self._frames)].copy(), time.monotonic())

    def close(self) -> None:
        """Nothing to free."""
