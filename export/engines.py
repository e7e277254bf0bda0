"""Building TensorRT engines on the box that will run them, before anybody waits for a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from vr.runtime.contract import ESTIMATE_INPUTS, parse_size
from vr.runtime.device_aligner import is_overlay_graph
from vr.runtime.device_overlay import DeviceOverlay, Shapes
from vr.runtime.errors import InputError
from vr.runtime.placement import Placement
from vr.runtime.session import Session


def build_engines(model: Path, frames: str | None, say: Callable[[str], None]) -> Placement:
    """Builds what `vr-live --provider tensorrt` needs of a model, unless it is in the cache; returns where nodes run.

    frames: of overlay graphs, see `parse_frames`. Raises InputError, and ModelError if TensorRT does not start here.
    """
    if is_overlay_graph(model):
        device = DeviceOverlay(model, "tensorrt", say=say)
        device.prepare(*parse_frames(frames))
        return device.placement
    if frames is not None:
        raise InputError("--frames is for overlay graphs; an estimate graph sees all frames at its own size")
    session = Session(model, "tensorrt", transform_only=True)
    blank = np.zeros((1, 1, *session.info.size_hw), np.float32)
    session.run(dict.fromkeys(ESTIMATE_INPUTS, blank), session.output_names)
    return session.placement


def parse_frames(text: str | None) -> Shapes:
    """`HxW,HxW`: IR and RGB frames in colour, as OpenCV reads them; `x1` behind the first for grey ones.

    Raises InputError.
    """
    expected = "--frames needs the sizes of IR and RGB frames, HEIGHTxWIDTH,HEIGHTxWIDTH, for example 480x640,1080x1920"
    if text is None:
        raise InputError(f"the engines of an overlay graph are for frames of one size: {expected}")
    ir, _, rgb = text.partition(",")
    is_grey = ir.count("x") == 2 and ir.endswith("x1")
    try:
        ir_hw, rgb_hw = parse_size(ir.removesuffix("x1") if is_grey else ir), parse_size(rgb)
    except ValueError as error:
        raise InputError(f"{expected}, and not {text!r}") from error
    return (*ir_hw, 1 if is_grey else 3), (*rgb_hw, 3)
