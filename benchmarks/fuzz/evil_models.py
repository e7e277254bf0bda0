"""ONNX files, good and evil; made with the onnx package, which the runtime does not have."""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np


@lru_cache
def valid() -> list[bytes]:
    """An affine, a homography, a dense one, a segmenter, all tiny, and a real one."""
    from tests import onnx_models
    from vr.runtime.embedded import model_path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        written = [
            onnx_models.write_affine(path).read_bytes(),
            onnx_models.write_affine(path, np.eye(3)).read_bytes(),
            onnx_models.write_dense(path, (1.0, 2.0)).read_bytes(),
            onnx_models.write_segmenter(path).read_bytes(),
        ]
    return [*written, *written, model_path(Path("small")).read_bytes()]


@lru_cache
def evil() -> list[bytes]:
    """Weights in other files, subgraphs, wrong types, names, shapes, metadata and opsets, claims of terabytes."""
    import onnx
    from onnx import TensorProto, helper

    found: list[bytes] = []

    def changed(change: Any) -> None:
        model = onnx.load_from_string(valid()[0])
        change(model)
        found.append(model.SerializeToString())

    for place in ("../../etc/passwd", "/etc/passwd", "weights.bin", "input.onnx", "/dev/zero"):
        changed(lambda model, place=place: _externalise(model, place))
    for key, value in (
        *(("vr.size_hw", text) for text in ("100000x100000", "0x0", "4096x4096", "²x3", "9" * 5000 + "x1")),
        *(
            ("vr.mode", "canny"),
            ("vr.mode", "sobel"),
            ("vr.kind", "dense"),
            ("vr.kind", "homography"),
            ("vr.schema", "2"),
        ),
        *(("vr.size_multiple", "0"), ("vr.has_information", "1"), ("vr.dynamic", "1"), ("vr.graph", "overlay")),
    ):
        changed(lambda model, key=key, value=value: _set_metadata(model, key, value))
    changed(lambda model: model.graph.ClearField("output"))
    changed(lambda model: model.graph.ClearField("node"))
    changed(lambda model: model.graph.ClearField("input"))
    changed(lambda model: model.ClearField("metadata_props"))
    changed(lambda model: setattr(model.opset_import[0], "version", 99))
    changed(lambda model: setattr(model.opset_import[0], "version", -1))
    changed(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING))
    changed(lambda model: setattr(model.graph.input[0], "name", "x"))
    changed(lambda model: setattr(model.graph.node[0].attribute[0].t, "raw_data", b""))
    changed(lambda model: model.graph.node[0].attribute[0].t.dims.__setitem__(0, 10**9))
    body = helper.make_graph([], "body", [], [])
    changed(lambda model: model.graph.node.append(helper.make_node("Loop", [], ["endless"], body=body)))
    changed(lambda model: model.graph.node.append(helper.make_node("If", ["moving"], ["y"], then_branch=body)))
    changed(lambda model: model.functions.add(name="Identity", domain=""))
    for sides in ((100_000, 100_000), (1 << 40, 1), (-5, 3)):
        changed(lambda model, sides=sides: _fill(model, sides))
    return found


def _externalise(model: Any, place: str) -> None:
    tensor = model.graph.node[0].attribute[0].t
    weights = model.graph.initializer.add(name="weights", data_type=1, dims=[1, 2, 3], data_location=1)
    for one in (tensor, weights):
        one.ClearField("raw_data")
        one.data_location = 1
        one.external_data.add(key="location", value=place)


def _set_metadata(model: Any, key: str, value: str) -> None:
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value


def _fill(model: Any, sides: tuple[int, int]) -> None:
    """An operator that makes a tensor of this shape, on which the answer depends."""
    from onnx import helper, numpy_helper

    shape = numpy_helper.from_array(np.array(sides, np.int64), "sides")
    model.graph.node.insert(0, helper.make_node("ReduceMax", ["filled"], ["most"], keepdims=0))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["sides"], ["filled"]))
    model.graph.node.insert(0, helper.make_node("Constant", [], ["sides"], value=shape))
    for node in model.graph.node:
        if list(node.output) == ["theta"]:
            node.op_type, node.input[:] = "Add", ["theta_1", "most"]
