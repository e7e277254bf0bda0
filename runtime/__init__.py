"""Aligns infrared video to colour video on a machine without PyTorch.

    from vr.runtime import Aligner

    aligner = Aligner.load()
    now = aligner(ir, rgb, time_s=t)
    picture = now.overlay(rgb, alpha=0.35)

Needs numpy and OpenCV to import, onnxruntime to load a model.
"""

from vr.runtime.aligner import Aligner
from vr.runtime.alignment import Alignment
from vr.runtime.contract import ModelInfo
from vr.runtime.errors import InputError, ModelError, OutputError, StreamError, VrError
from vr.runtime.version import package_version

__all__ = [
    "Aligner",
    "Alignment",
    "InputError",
    "ModelError",
    "ModelInfo",
    "OutputError",
    "StreamError",
    "VrError",
    "package_version",
]
