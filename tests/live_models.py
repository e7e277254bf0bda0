"""Small real ONNX models with a known answer, for tests of what happens around the network."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from vr.runtime.contract import OPSET, ModelInfo, TransformKind, output_names
from vr.runtime.geometry import IDENTITY_THETA

SIZE_HW = (24, 32)


def write_theta_model(path: Path, theta: ArrayLike = IDENTITY_THETA, confidence: float | None = None) -> Path:
    """A model that answers `theta`, (2, 3) or (3, 3), whatever it sees."""
    values = {"theta": np.asarray(theta, np.float32)[None], "flow": np.zeros((1, 2, *SIZE_HW), np.float32)}
    return _write(path, "homography" if np.shape(theta) == (3, 3) else "affine", values, confidence)


def write_flow_model(path: Path, flow_xy: tuple[float, float], confidence: float | None = None) -> Path:
    """A dense model that answers the same shift, in pixels of its 32x24 grid, everywhere."""
    flow = np.broadcast_to(np.asarray(flow_xy, np.float32)[None, :, None, None], (1, 2, *SIZE_HW)).copy()
    return _write(path, "dense", {"flow": flow}, confidence)


def _write(path: Path, kind: TransformKind, values: dict[str, NDArray[np.float32]], confidence: float | None) -> Path:
    if confidence is not None:
        values["confidence"] = np.array([confidence], np.float32)
    info = ModelInfo("estimate", kind, "constant", "gray", SIZE_HW, has_confidence=confidence is not None)
    frame = [1, 1, *SIZE_HW]
    nodes = [helper.make_node("Identity", ["moving"], ["moved"])]
    nodes += [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(v)) for name, v in values.items()]
    shapes = {"moved": frame} | {name: list(value.shape) for name, value in values.items()}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, frame) for name in ("moving", "fixed")]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])
        for name in output_names("estimate", kind, info.has_confidence)
    ]
    graph = helper.make_graph(nodes, "constant", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, info.to_metadata())
    onnx.save(model, str(path))
    return path
