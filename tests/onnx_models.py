"""Small ONNX files for tests of the runtime, made without torch."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from vr.runtime.contract import OPSET, ModelInfo, SegmenterInfo

SIZE_HW = (48, 64)
IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def affine_info(**changes: object) -> ModelInfo:
    """What `write_affine` says of itself unless told otherwise."""
    values: dict[str, object] = dict(
        graph="estimate", kind="affine", network="constant", mode="gray", size_hw=SIZE_HW, has_confidence=True
    )
    return ModelInfo(**(values | changes))  # type: ignore[arg-type]


def write_affine(path: Path, theta: ArrayLike = IDENTITY, info: ModelInfo | None = None) -> Path:
    """An estimate graph of an affine, or with a (3, 3) theta of a homography: always `theta`; its confidence is the
    mean brightness of the moving image, its information that of upright edges.
    """
    info = info or affine_info(kind="homography" if np.shape(theta) == (3, 3) else "affine")
    nodes = [
        *_constant("theta_1", np.asarray(theta, np.float32)[None]),
        helper.make_node("Identity", ["moving"], ["moved"]),
        helper.make_node("Identity", ["theta_1"], ["theta"]),
        helper.make_node("Concat", ["fixed", "fixed"], ["flow"], axis=1),
    ]
    outputs = {"moved": [1, 1, "H", "W"], "flow": [1, 2, "H", "W"], "theta": [1, *np.shape(theta)]}
    if info.has_confidence:
        nodes.append(helper.make_node("ReduceMean", ["moving", "axes"], ["confidence"], keepdims=0))
        nodes += _constant("axes", np.array([1, 2, 3], np.int64))
        outputs["confidence"] = [1]
    if info.has_information:
        nodes += _constant("information_1", np.diag([1, 1, 1, 0, 0, 0]).astype(np.float32)[None])
        nodes.append(helper.make_node("Identity", ["information_1"], ["information"]))
        outputs["information"] = [1, 6, 6]
    return _write(path, nodes, outputs, info.to_metadata(), info.size_hw)


def write_dense(path: Path, flow_xy: tuple[float, float], size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """A dense estimate graph without confidence: the same flow everywhere."""
    info = affine_info(kind="dense", has_confidence=False, size_hw=size_hw)
    flow = np.broadcast_to(np.array(flow_xy, np.float32)[None, :, None, None], (1, 2, *size_hw))
    nodes = [*_constant("flow_1", flow), helper.make_node("Identity", ["flow_1"], ["flow"])]
    nodes.append(helper.make_node("Identity", ["moving"], ["moved"]))
    return _write(path, nodes, {"moved": [1, 1, "H", "W"], "flow": [1, 2, "H", "W"]}, info.to_metadata(), size_hw)


def write_segmenter(path: Path, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """A segment graph that takes red for the probability of a person; of a grey picture its brightness."""
    nodes = _constant("red", np.array([0], np.int64))
    nodes.append(helper.make_node("Gather", ["image", "red"], ["probability"], axis=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, *size_hw])
    probability = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1, *size_hw])
    info = SegmenterInfo(size_hw, "none", training_run="red-20260101-0")
    return _save(path, helper.make_graph(nodes, "test", [image], [probability]), info.to_metadata())


def write_foreign(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """A valid ONNX file with another tensor interface: one input `x`, one output `y`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "foreign", [x], [y])
    return _save(path, graph, metadata or {})


def edit_metadata(path: Path, changes: dict[str, str | None]) -> Path:
    """Changes (or, with None, removes) metadata of a written file, in place."""
    model = onnx.load(path)
    metadata = {prop.key: prop.value for prop in model.metadata_props} | changes
    del model.metadata_props[:]
    for key, value in metadata.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    outputs: dict[str, list[int | str]],
    metadata: dict[str, str],
    size_hw: tuple[int, int],
) -> Path:
    constants = [node for node in nodes if node.op_type == "Constant"]
    others = [node for node in nodes if node.op_type != "Constant"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, *size_hw]) for name in ("moving", "fixed")]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    return _save(path, helper.make_graph(constants + others, "test", inputs, values), metadata)


def _save(path: Path, graph: onnx.GraphProto, metadata: dict[str, str]) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def _constant(name: str, value: np.ndarray) -> list[onnx.NodeProto]:
    tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
    return [helper.make_node("Constant", [], [name], value=tensor)]
