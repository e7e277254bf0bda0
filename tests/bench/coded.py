"""Frames that carry the time of their scene, so that a wrong pairing is seen from the pixels alone.

A block of 8x4 black and white cells in the lower left corner holds 20 bits of scene time in ms and 12 bits of check.
Cells are fractions of the frame, so that the code survives a change of resolution.
"""

import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import SizeHw

Bgr = NDArray[np.uint8]
MODULUS_MS = 1 << 20
_COLUMNS, _ROWS = 8, 4
_CELL_OF_WIDTH, _CELL_OF_HEIGHT = 1 / 24, 1 / 20
_LEFT_CELLS, _BOTTOM_CELLS = 0.5, 0.5
_CHECK_BITS = 12
_UNSURE = 45.0
"""A cell whose mean is so near to the middle of black and white is damaged."""


def encode(frame: Bgr, scene_ms: int) -> Bgr:
    """A copy of `frame`, (h, w, 3) or (h, w), at least 160x120, with the code of `scene_ms` modulo MODULUS_MS."""
    coded = frame.copy()
    for bit, (rows, columns) in zip(_bits(scene_ms % MODULUS_MS), _cells(frame.shape[:2], inner=1.0), strict=True):
        coded[rows, columns] = 255 if bit else 0
    return coded


def decode(frame: NDArray[Any]) -> int | None:
    """Scene time modulo MODULUS_MS of a coded frame; None if the code is damaged or absent."""
    gray = frame if frame.ndim == 2 else frame[..., 1]
    means = np.array([float(np.mean(gray[cell])) for cell in _cells(gray.shape[:2], inner=0.5)])
    if np.any(np.abs(means - 127.5) < _UNSURE):
        return None
    word = int("".join("1" if mean > 127.5 else "0" for mean in means), 2)
    scene_ms = word >> _CHECK_BITS
    return scene_ms if word & ((1 << _CHECK_BITS) - 1) == _check(scene_ms) else None


def difference_ms(a_ms: int, b_ms: int) -> int:
    """Signed a - b of two scene times that are less than MODULUS_MS / 2 apart."""
    return (a_ms - b_ms + MODULUS_MS // 2) % MODULUS_MS - MODULUS_MS // 2


def _bits(scene_ms: int) -> list[bool]:
    word = scene_ms << _CHECK_BITS | _check(scene_ms)
    return [character == "1" for character in f"{word:0{_COLUMNS * _ROWS}b}"]


def _check(scene_ms: int) -> int:
    return zlib.crc32(scene_ms.to_bytes(4, "big")) & ((1 << _CHECK_BITS) - 1)


def _cells(size_hw: SizeHw, inner: float) -> list[tuple[slice, slice]]:
    """Rows and columns of each cell, or of its inner part."""
    height, width = size_hw
    top = 1.0 - (_ROWS + _BOTTOM_CELLS) * _CELL_OF_HEIGHT
    return [
        (
            _span(top + row * _CELL_OF_HEIGHT, _CELL_OF_HEIGHT, height, inner),
            _span((_LEFT_CELLS + column) * _CELL_OF_WIDTH, _CELL_OF_WIDTH, width, inner),
        )
        for row in range(_ROWS)
        for column in range(_COLUMNS)
    ]


def _span(start: float, length: float, size: int, inner: float) -> slice:
    margin = length * (1.0 - inner) / 2
    return slice(round((start + margin) * size), round((start + length - margin) * size))


DRAWN_HW = (240, 320)
MATRIX_RGB_TO_IR = np.array([[1.02, -0.03, 5.0], [0.03, 1.02, -4.0]])
"""In pixels of DRAWN_HW; other sizes are stretched."""
_ROOM_PX = 48


class Scene:
    """A textured wall that a camera pans over; `ir` sees it with other brightness through MATRIX_RGB_TO_IR."""

    def __init__(self, role: str, seed: int = 5) -> None:
        """role: "ir" or "rgb"."""
        wall = _paint(np.random.default_rng(seed))
        self._wall = _as_heat(wall) if role == "ir" else wall
        to_rgb = cv2.invertAffineTransform(MATRIX_RGB_TO_IR) if role == "ir" else np.eye(2, 3)
        self._to_rgb = np.vstack([to_rgb, [0.0, 0.0, 1.0]])

    def draw(self, scene_ms: int, size_hw: SizeHw = DRAWN_HW) -> Bgr:
        """The coded frame of a scene time, (h, w, 3) uint8."""
        height, width = size_hw
        angle = 2 * np.pi * scene_ms / 8000.0
        stretch = np.diag([DRAWN_HW[1] / width, DRAWN_HW[0] / height, 1.0])
        matrix = (self._to_rgb @ stretch)[:2]
        matrix[:, 2] += _ROOM_PX + 24 * np.sin(angle), _ROOM_PX + 16 * np.cos(angle)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = cv2.warpAffine(self._wall, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
        return encode(np.asarray(frame, np.uint8), scene_ms)


def _paint(rng: np.random.Generator) -> Bgr:
    height, width = (side + 2 * _ROOM_PX for side in DRAWN_HW)
    coarse = rng.integers(40, 200, (height // 32, width // 32, 3)).astype(np.uint8)
    wall = np.ascontiguousarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    for _ in range(60):
        corner = rng.integers((0, 0), (width, height))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        far = corner + rng.integers(8, 50, 2)
        cv2.rectangle(wall, (int(corner[0]), int(corner[1])), (int(far[0]), int(far[1])), colour, cv2.FILLED)
        cv2.circle(wall, (int(far[0]), int(corner[1])), int(rng.integers(4, 20)), colour[::-1], cv2.FILLED)
    return np.asarray(wall, np.uint8)


def _as_heat(wall: Bgr) -> Bgr:
    gray = cv2.GaussianBlur(cv2.cvtColor(wall, cv2.COLOR_BGR2GRAY), (0, 0), 1.0)
    heat = np.clip(250.0 - 0.9 * gray, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(heat, cv2.COLOR_GRAY2BGR), np.uint8)
