"""Recordings of generated scenes, as two cameras with their own clocks would leave them."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.sim import Simulator

Span = tuple[float, float]
_TICKS_PER_S = 1000.0
_BEGIN_S = 5.0


@dataclass(frozen=True)
class Shoot:
    """What to record; times in s. offset_s: how much later the IR recording starts.

    dark_s, frozen_s: spans of RGB and of IR time in which the lamp is off, and in which the IR camera repeats itself.
    clock: burnt into both pictures. drift_px_s: how fast the cameras move against each other. blue: IR in shades of
    blue, as the thesis's camera gives it.
    """

    seed: int = 8
    size_hw: tuple[int, int] = (240, 320)
    ir_hw: tuple[int, int] = (240, 320)
    rgb_fps: float = 30.0
    ir_fps: float = 9.0
    offset_s: float = 0.0
    rgb_duration_s: float = 12.0
    ir_duration_s: float = 12.0
    dark_s: Span = (0.0, 0.0)
    frozen_s: Span = (0.0, 0.0)
    clock: bool = False
    drift_px_s: float = 1.0
    blue: bool = False
    suffix: str = "mp4"
    codec: str = "mp4v"

    def simulator(self) -> Simulator:
        """The scene and its cameras, a frame per ms."""
        return Simulator(self.seed, self.size_hw, self.ir_hw, fps=_TICKS_PER_S, drift_px_s=self.drift_px_s)


@dataclass
class Footage:
    """The two files, and the people in each frame of them (person 1)."""

    ir: Path
    rgb: Path
    ir_people: list[NDArray[np.uint8]] = field(default_factory=list)
    rgb_people: list[NDArray[np.uint8]] = field(default_factory=list)


def record(folder: Path, shoot: Shoot) -> Footage:
    """Writes `ir` and `rgb` videos of one scene into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    footage = Footage(folder / f"ir.{shoot.suffix}", folder / f"rgb.{shoot.suffix}")
    simulator = shoot.simulator()
    _record_rgb(simulator, shoot, footage)
    _record_ir(simulator, shoot, footage)
    return footage


def _record_rgb(simulator: Simulator, shoot: Shoot, footage: Footage) -> None:
    writer = _writer(footage.rgb, shoot, shoot.rgb_fps, shoot.size_hw)
    for number in range(round(shoot.rgb_duration_s * shoot.rgb_fps)):
        time_s = number / shoot.rgb_fps
        tick = round((_BEGIN_S + time_s) * _TICKS_PER_S)
        frame = simulator.frames(tick)[1]
        if shoot.dark_s[0] <= time_s < shoot.dark_s[1]:
            frame = frame // 32
        footage.rgb_people.append(simulator.person_masks(tick)[1])
        writer.write(_stamped(frame, time_s) if shoot.clock else frame)
    writer.release()


def _record_ir(simulator: Simulator, shoot: Shoot, footage: Footage) -> None:
    writer = _writer(footage.ir, shoot, shoot.ir_fps, shoot.ir_hw)
    frame = np.zeros((*shoot.ir_hw, 3), np.uint8)
    for number in range(round(shoot.ir_duration_s * shoot.ir_fps)):
        time_s = number / shoot.ir_fps
        tick = round((_BEGIN_S + shoot.offset_s + time_s) * _TICKS_PER_S)
        if not shoot.frozen_s[0] < time_s < shoot.frozen_s[1]:
            gray = simulator.frames(tick)[0]
            frame = np.dstack([gray, gray // 2, gray // 20]) if shoot.blue else np.dstack([gray] * 3)
        footage.ir_people.append(simulator.person_masks(tick)[0])
        writer.write(_stamped(frame, time_s) if shoot.clock else frame)
    writer.release()


def _writer(path: Path, shoot: Shoot, fps: float, size_hw: tuple[int, int]) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*shoot.codec), fps, size_hw[::-1])
    assert writer.isOpened()
    return writer


def clock_box(size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns in which the clock lies."""
    h = size_hw[0]
    return slice(round(0.93 * h), h), slice(0, round(0.36 * h))


def _stamped(frame: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
    stamped = frame.copy()
    h = frame.shape[0]
    rows, columns = clock_box((h, frame.shape[1]))
    stamped[rows, columns] = 0
    text = f"0:20:{10 + int(time_s):02d}"
    place = (columns.start + 4, h - round(0.015 * h))
    cv2.putText(stamped, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.0021 * h, (255, 255, 255), 1, cv2.LINE_AA)
    return stamped
