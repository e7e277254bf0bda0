"""The counting and the measures of the roofline, on graphs whose operations are known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import roofline
from vr.runtime.contract import OPSET
from vr.runtime.embedded import embedded_path
from vr.train import checkpoint as checkpoints


def _model(with_matrix: bool = True) -> bytes:
    """moving, fixed (N, 4, 8, 8): a strided convolution in groups, a Gemm, and a matrix product of what it gives."""
    weights = [
        numpy_helper.from_array(np.ones((6, 2, 3, 3), np.float32), "kernel"),
        numpy_helper.from_array(np.ones((54, 5), np.float32), "matrix"),
        numpy_helper.from_array(np.array([-1, 54], np.int64), "rows"),
    ]
    nodes = [
        helper.make_node("Conv", ["moving", "kernel"], ["y"], group=2, strides=[2, 2]),
        helper.make_node("Reshape", ["y", "rows"], ["row"]),
        helper.make_node("Gemm", ["row", "matrix"], ["five"]),
        helper.make_node("MatMul", ["fixed", "fixed"], ["theta"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8, 8]) for name in ("moving", "fixed")]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("five", "theta")]
    graph = helper.make_graph(nodes, "g", values, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10).SerializeToString()


def test_operations_are_counted_as_by_hand() -> None:
    """The convolution's output is 6x3x3, of 2x3x3 terms each; the product one of four 8x8 matrices."""
    expected = {"Conv": 2 * 54 * 18, "Gemm": 2 * 5 * 54, "MatMul": 2 * 4 * 64 * 8}
    assert roofline.model_flops(_model()) == expected


def test_convolutions_of_the_default_model_are_those_that_torch_counts() -> None:
    net = checkpoints.load(Path("small")).build().eval()
    pair = torch.zeros(1, 1, *net.size_hw)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net(pair, pair)
    counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert roofline.model_flops(embedded_path("small"))["Conv"] == counted


def test_an_unknown_shape_is_named() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", "A", "B"]) for name in ("moving", "fixed")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["moving", "fixed"], ["theta"], name="mystery")],
        "g",
        values,
        [helper.make_tensor_value_info("theta", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    with pytest.raises(ValueError, match="mystery"):
        roofline.model_flops(model.SerializeToString())


def test_limits_and_times_are_of_this_machine(tmp_path: Path) -> None:
    assert roofline.peak_flops(1, sides=(64,)) > 1e8
    assert 0.1 < roofline.copy_bandwidth_gb_s(2**22) < 1e4
    feed = {name: np.ones((1, 4, 8, 8), np.float32) for name in ("moving", "fixed")}
    layers = roofline.layers(_model(), feed, calls=3)
    times = roofline.by_type(layers)
    assert sum(row.share for row in times) == pytest.approx(1.0, abs=0.01)
    assert {"Conv", "MatMul"} <= {row.op for row in times}
    product = next(layer for layer in layers if layer.op == "MatMul")
    assert product.mflops is not None and product.mflops == pytest.approx(2 * 4 * 64 * 8 / 1e6, abs=0.01)
    assert product.to_json(2e9)["share_of_peak"] == pytest.approx(product.mflops / product.ms / 2.0, rel=0.01)


def test_the_command_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "peak_flops", lambda threads: 2e11)
    monkeypatch.setattr(roofline, "copy_bandwidth_gb_s", lambda: 10.0)
    out = tmp_path / "roofline.json"
    monkeypatch.setattr(sys, "argv", ["roofline", str(embedded_path("small")), "--calls", "20", "--out", str(out)])
    roofline.main()
    written = json.loads(out.read_text())
    (row,) = written["models"]
    assert written["peak_gflops_per_s"] == 200.0
    assert 0.0 < row["share_of_peak"]["network"] < row["share_of_peak"]["convolutions"]
    assert row["nodes"] == sum(one["nodes"] for one in row["ops"])
