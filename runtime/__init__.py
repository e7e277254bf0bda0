"""Aligns infrared video to colour video on a machine without PyTorch.

    from vr.runtime import Aligner

    aligner = Aligner.load()
    now = aligner(ir, rgb, time_s=t)
    picture = now.overlay(rgb, alpha=0.35)

What is listed here is the public interface. Nothing is loaded before it is asked for: importing this package needs
nothing but Python, aligning needs numpy, OpenCV and onnxruntime, reading and recording video PyAV.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vr.runtime.aligner import Aligner
    from vr.runtime.alignment import Alignment, State
    from vr.runtime.blend import render
    from vr.runtime.contract import ModelInfo
    from vr.runtime.errors import InputError, ModelError, OutputError, StreamError, VrError
    from vr.runtime.interchange import RigTransform, load_transform, save_transform
    from vr.runtime.live import run_live, run_pairs
    from vr.runtime.live_options import LiveOptions, RunOptions
    from vr.runtime.notices import Notice
    from vr.runtime.person_masks import MaskOptions
    from vr.runtime.report import LiveReport
    from vr.runtime.sinks import Output, Sink
    from vr.runtime.sources import LiveSource, Source, SourceOptions, SourcePair, Stamped, open_pair, open_source
    from vr.runtime.storage import StorageOptions
    from vr.runtime.style import VIEWS, Style, View
    from vr.runtime.thermal import ThermalOptions
    from vr.runtime.version import package_version

__all__ = [
    "VIEWS",
    "Aligner",
    "Alignment",
    "InputError",
    "LiveOptions",
    "LiveReport",
    "LiveSource",
    "MaskOptions",
    "ModelError",
    "ModelInfo",
    "Notice",
    "Output",
    "OutputError",
    "RigTransform",
    "RunOptions",
    "Sink",
    "Source",
    "SourceOptions",
    "SourcePair",
    "Stamped",
    "State",
    "StorageOptions",
    "StreamError",
    "Style",
    "ThermalOptions",
    "View",
    "VrError",
    "load_transform",
    "open_pair",
    "open_source",
    "package_version",
    "render",
    "run_live",
    "run_pairs",
    "save_transform",
]

_MODULES = {
    "aligner": ("Aligner",),
    "alignment": (
        "Alignment",
        "State",
    ),
    "blend": ("render",),
    "contract": ("ModelInfo",),
    "errors": (
        "InputError",
        "ModelError",
        "OutputError",
        "StreamError",
        "VrError",
    ),
    "interchange": (
        "RigTransform",
        "load_transform",
        "save_transform",
    ),
    "live": (
        "run_live",
        "run_pairs",
    ),
    "live_options": (
        "LiveOptions",
        "RunOptions",
    ),
    "notices": ("Notice",),
    "person_masks": ("MaskOptions",),
    "report": ("LiveReport",),
    "sinks": (
        "Output",
        "Sink",
    ),
    "sources": (
        "LiveSource",
        "Source",
        "SourceOptions",
        "SourcePair",
        "Stamped",
        "open_pair",
        "open_source",
    ),
    "storage": ("StorageOptions",),
    "style": (
        "VIEWS",
        "Style",
        "View",
    ),
    "thermal": ("ThermalOptions",),
    "version": ("package_version",),
}
"""Where each name is to be found; the type checker reads the imports above instead."""
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads what is asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
