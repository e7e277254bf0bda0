"""Running `vr-live` as users do, in a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

COMMAND = [sys.executable, "-m", "vr.runtime.cli"]
TIMEOUT_S = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def vr_live(*arguments: object) -> Ended:
    """Runs `vr-live ARGUMENTS` without a screen to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S, env=screenless()
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def start_vr_live(*arguments: object) -> subprocess.Popen[str]:
    """Starts `vr-live ARGUMENTS` without a screen."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=pipe, stderr=pipe, text=True, env=screenless())


def screenless() -> dict[str, str]:
    """The environment without a display."""
    return {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}


def snapshot(folder: Path) -> dict[str, bytes]:
    """Name and content of everything below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


def write_images(folder: Path, count: int, size_hw: tuple[int, int], channels: int = 3, bits: int = 8) -> Path:
    """`0.png`, `1.png`, ... with a blob that moves."""
    folder.mkdir(parents=True)
    for index in range(count):
        picture = np.zeros((*size_hw, channels), np.float32)
        cv2.circle(picture, (20 + 2 * index, size_hw[0] // 2), size_hw[0] // 4, (1.0,) * channels, cv2.FILLED)
        levels = picture * np.float32(2**bits - 56) + np.float32(30.0)
        cv2.imwrite(str(folder / f"{index}.png"), levels.astype(np.uint8 if bits == 8 else np.uint16))
    return folder


def write_video(path: Path, count: int, fps: float, size_hw: tuple[int, int]) -> Path:
    """A video of `count` frames with a blob that moves."""
    h, w = size_hw
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (w, h))
    assert writer.isOpened()
    for index in range(count):
        picture = np.full((h, w, 3), 40, np.uint8)
        cv2.circle(picture, (w // 4 + index % (w // 2), h // 2), h // 4, (200, 180, 90), cv2.FILLED)
        writer.write(picture)
    writer.release()
    return path


def play(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a video."""
    capture = cv2.VideoCapture(str(path))
    frames: list[NDArray[np.uint8]] = []
    while (read := capture.read())[0]:
        frames.append(read[1])  # type: ignore[arg-type]
    capture.release()
    return frames
