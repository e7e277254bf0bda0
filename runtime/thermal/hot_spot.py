"""The hottest spot of a raw infrared frame."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError

PRESETS = {"tlinear": (0.01, -273.15), "tlinear-low": (0.1, -273.15)}
"""Raw values in hundredths and in tenths of a kelvin, the two resolutions of FLIR's TLinear."""


@dataclass(frozen=True)
class HotSpot:
    """x_ir, y_ir: pixel of the IR frame. celsius: its temperature."""

    x_ir: int
    y_ir: int
    celsius: float

    @property
    def text(self) -> str:
        """For people: `36.5 C`."""
        return f"{self.celsius:.1f} C"


@dataclass(frozen=True)
class Celsius:
    """`celsius = scale * raw + offset`; scale in degrees per count, more than 0."""

    scale: float
    offset: float

    @staticmethod
    def parse(text: str) -> "Celsius":
        """Of `--ir-celsius`: a preset, or SCALE,OFFSET. Raises InputError."""
        expected = f"expected {', '.join(PRESETS)} or SCALE,OFFSET in degrees C, for example 0.01,-273.15"
        try:
            scale, offset = PRESETS[text] if text in PRESETS else map(float, text.split(","))
        except ValueError:
            raise InputError(f"--ir-celsius is {text!r}; {expected}") from None
        if not (np.isfinite([scale, offset]).all() and scale > 0.0):
            raise InputError(f"--ir-celsius is {text!r}: the scale must be more than 0, both finite; {expected}")
        return Celsius(scale, offset)

    def degrees(self, raw: float) -> float:
        """Of a raw level."""
        return self.scale * raw + self.offset

    def hottest(self, frame: NDArray[np.uint16]) -> HotSpot:
        """The maximum of the 3x3 median of (h, w) uint16, which a single stuck pixel does not reach."""
        _, raw, _, (x, y) = cv2.minMaxLoc(cv2.medianBlur(frame, 3))
        return HotSpot(int(x), int(y), self.degrees(raw))
