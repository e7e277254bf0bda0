"""Infrared frames as cameras send them, made fit for the network and the screen."""

from vr.runtime.thermal.conditioner import CAMERA_PALETTES, POLARITIES, Conditioned, ThermalConditioner, ThermalOptions
from vr.runtime.thermal.gain import GAINS
from vr.runtime.thermal.hot_spot import HotSpot
from vr.runtime.thermal.palettes import DISPLAY

__all__ = [
    "CAMERA_PALETTES",
    "DISPLAY",
    "GAINS",
    "POLARITIES",
    "Conditioned",
    "HotSpot",
    "ThermalConditioner",
    "ThermalOptions",
]
