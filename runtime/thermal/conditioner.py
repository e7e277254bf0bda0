"""An infrared video, frame by frame, from what its camera sends to 8-bit intensity."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.preprocess import Frame, check_frame
from vr.runtime.thermal.dead_pixels import DeadPixels
from vr.runtime.thermal.gain import GAINS, Gain
from vr.runtime.thermal.hot_spot import Celsius, HotSpot
from vr.runtime.thermal.palettes import COLOURED
from vr.runtime.thermal.recognition import PaletteReader

Uint8Array = NDArray[np.uint8]
Uint16Array = NDArray[np.uint16]
POLARITIES = ("white-hot", "black-hot")
CAMERA_PALETTES = ("auto", "none", *COLOURED)


@dataclass(frozen=True)
class ThermalOptions:
    """How the camera shows heat.

    ir_gain: of 16-bit frames, one of `GAINS`. ir_palette: auto, none, or the one of `COLOURED` that coloured frames are
    in. ir_polarity: white-hot, or black-hot where warm is dark; there is no auto, because by day the ground may be
    warmer than people, and a picture with dark people is then right. ir_celsius: what `Celsius.parse` takes; None: raw
    values are no temperatures.
    """

    ir_gain: str = "percentile"
    ir_palette: str = "auto"
    ir_polarity: str = "white-hot"
    ir_celsius: str | None = None

    def check(self) -> None:
        """Raises InputError for what is unknown."""
        allowed = {"gain": GAINS, "palette": CAMERA_PALETTES, "polarity": POLARITIES}
        for name, values in allowed.items():
            if (given := getattr(self, f"ir_{name}")) not in values:
                raise InputError(f"unknown --ir-{name} {given!r}; expected one of {', '.join(values)}")
        if self.ir_celsius is not None:
            Celsius.parse(self.ir_celsius)


@dataclass(frozen=True)
class Conditioned:
    """frame8: (h, w) uint8, warm is bright; the camera's own 8-bit frame, untouched, if it is grey or in colours of no
    known palette. hot_spot, raw: of raw frames with `ThermalOptions.ir_celsius`, else None; raw: (h, w) uint16 without
    dead pixels. palette: the one taken away.
    """

    frame8: Uint8Array = field(repr=False)
    hot_spot: HotSpot | None = None
    palette: str | None = None
    raw: Uint16Array | None = field(default=None, repr=False)


class ThermalConditioner:
    """Takes the frames of one video in order, from one thread. Their size and kind may change."""

    def __init__(self, options: ThermalOptions | None = None) -> None:
        """Raises InputError for an unknown option."""
        options = options or ThermalOptions()
        options.check()
        self._celsius = None if options.ir_celsius is None else Celsius.parse(options.ir_celsius)
        self._inverts = options.ir_polarity == "black-hot"
        self._gain, self._dead = Gain(options.ir_gain), DeadPixels()
        self._gain_name, self._palette_name = options.ir_gain, options.ir_palette
        self._reader = None if options.ir_palette == "none" else PaletteReader(options.ir_palette)

    def __call__(self, frame: Frame, time_s: float) -> Conditioned:
        """Of a frame as `vr.runtime.preprocess.check_frame` takes it. Raises InputError for another one, for colour
        of 16 bit, and for 8 bit where temperatures are asked for.
        """
        check_frame(frame, "IR")
        frame8, spot, raw = self._to_8bit(frame, time_s)
        palette = None
        if frame8.shape[2:] == (3,) and self._reader is not None:
            frame8, palette = self._reader(frame8, time_s), self._reader.name
        return Conditioned(cv2.bitwise_not(frame8) if self._inverts else frame8, spot, palette, raw)  # type: ignore[arg-type]

    @property
    def facts(self) -> tuple[str, ...]:
        """What a report should say of the video so far, a line each."""
        facts: list[str] = []
        if (limits := self._gain.limits) is not None:
            facts.append(f"16 bit, gain {self._gain_name}, last {limits[0]:.0f} to {limits[1]:.0f}")
        if self._dead.count:
            facts.append(f"{self._dead.count} dead pixels replaced")
        return (*facts, *self._palette_facts())

    def _palette_facts(self) -> list[str]:
        reader = self._reader
        if reader is None:
            return []
        if reader.name is None:
            return ["colours of no known palette, taken by brightness"] if reader.is_unknown else []
        how = "recognised" if self._palette_name == "auto" else "as told"
        fit = "" if reader.fit is None else f", explains {reader.fit:.0%} of the coloured pixels"
        return [f"palette {reader.name}, {how}{fit}"]

    def _to_8bit(self, frame: Frame, time_s: float) -> tuple[Uint8Array, HotSpot | None, Uint16Array | None]:
        if frame.dtype == np.uint8:
            if self._celsius is not None:
                raise InputError(
                    "--ir-celsius needs raw 16-bit infrared frames, but these have 8 bit; add --ir-16bit for a camera "
                    "that offers Y16, or leave --ir-celsius out"
                )
            return frame, None, None  # type: ignore[return-value]
        if frame.shape[2:] == (3,):
            raise InputError(f"IR frame has shape {frame.shape}, dtype uint16; expected (height, width) for 16 bit")
        raw: Uint16Array = frame[:, :, 0] if frame.ndim == 3 else frame  # type: ignore[assignment]
        raw = self._dead(raw, time_s)
        frame8 = self._gain(raw, time_s)
        return (frame8, None, None) if self._celsius is None else (frame8, self._celsius.hottest(raw), raw)
