"""`--precision int8`: what is quantised, what is refused, and how near the answers stay."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.test_export_parity import lively_network, plan_for
from vr.export import int8, onnx_file
from vr.export.cli import export_checkpoint
from vr.export.parity import require_parity
from vr.models.match import MatchNet
from vr.runtime import Aligner
from vr.runtime.embedded import embedded_path
from vr.runtime.errors import InputError, ModelError
from vr.runtime.sim import Simulator
from vr.train import checkpoint as checkpoints

CHANNELS = 8


def _weight(name: str, shape: tuple[int, ...], seed: int) -> TensorProto:
    values = np.random.default_rng(seed).normal(0.0, 0.3, shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def _two_convolutions() -> onnx.ModelProto:
    """moving + fixed -> a convolution of another name -> one of the named part, added to its input, rectified."""
    shape = ["N", CHANNELS, 12, 16]
    nodes = [
        helper.make_node("Add", ["moving", "fixed"], ["x"], name="before"),
        helper.make_node("Conv", ["x", "net.encoder.down4.weight"], ["y"], name="down4", pads=[1] * 4),
        helper.make_node("Conv", ["y", "net.encoder.down8.0.weight"], ["z"], name="down8", pads=[1] * 4),
        helper.make_node("Add", ["y", "z"], ["sum"], name="residual"),
        helper.make_node("Relu", ["sum"], ["rectified"], name="relu"),
        helper.make_node("Add", ["rectified", "moving"], ["out"], name="after"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("moving", "fixed", "out")]
    weights = [_weight(f"net.encoder.{part}.weight", (CHANNELS, CHANNELS, 3, 3), 0) for part in ("down4", "down8.0")]
    graph = helper.make_graph(nodes, "g", values[:2], values[2:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _feeds(count: int, seed: int) -> list[dict[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)
    return [{name: rng.random((1, CHANNELS, 12, 16), np.float32) for name in ("moving", "fixed")} for _ in range(count)]


def _run(model: onnx.ModelProto, feed: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def test_only_the_named_convolutions_become_integers() -> None:
    model = _two_convolutions()
    model.metadata_props.add(key="vr.kind", value="affine")
    assert int8.quantised_nodes(model) == ["down8", "residual", "relu"]
    quantised = int8.quantise(model, _feeds(8, seed=1))
    integers = [one.name for one in quantised.graph.initializer if one.data_type == TensorProto.INT8]
    assert any("down8" in name for name in integers)
    assert not any("down4" in name for name in integers)
    assert {one.key: one.value for one in quantised.metadata_props} == {"vr.kind": "affine"}
    (feed,) = _feeds(1, seed=2)
    expected, found = _run(model, feed), _run(quantised, feed)
    assert 0.0 < np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_other_networks_and_graphs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(ModelError, match="is for match"):
        onnx_file.export_onnx(lively_network("voxelmorph", (48, 64)), plan_for(precision="int8"), path)
    net = MatchNet((96, 128), width=8, deep=16)
    for graph, mode in (("overlay", "gray"), ("estimate", "mask")):
        with pytest.raises(ModelError, match="estimate graphs of grey"):
            onnx_file.export_onnx(net, plan_for(graph, (96, 128), "int8", mode=mode), path)  # type: ignore[arg-type]
    assert not path.exists()


def test_a_person_segmenter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        is_segmenter = True

    monkeypatch.setattr(checkpoints, "load", lambda path: Loaded())
    with pytest.raises(InputError, match="int8"):
        export_checkpoint(
            Path("any.pt"),
            tmp_path / "m.onnx",
            "estimate",
            "int8",
            None,
            transform=None,
            dynamic=False,
            overwrite=False,
        )


def test_the_gate_measures_the_distance_of_two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is where it is itself, and one that is farther away than allowed is not let through."""
    monkeypatch.setattr(int8, "_HELD_OUT_SEEDS", range(9500, 9506))
    monkeypatch.setattr(int8, "LIMIT_PX", 0.01)
    plan, path = plan_for(size_hw=(240, 320), precision="int8"), embedded_path("default")
    same = int8.measure_deviation(path, path, plan)
    assert [one.error for one in same] == [0.0, 0.0]
    other = int8.measure_deviation(path, embedded_path("clean"), plan)
    assert 0.01 < other[0].error < other[1].error
    with pytest.raises(ModelError, match=r"median of the distance from fp32 0\.\d+ px"):
        require_parity(other)


@pytest.mark.slow
def test_the_small_model_in_integers_answers_nearly_the_same(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    figures = export_checkpoint(
        Path("small"), path, "estimate", "int8", None, transform=None, dynamic=False, overwrite=False
    )
    assert figures[0].error < 0.03
    assert path.stat().st_size < 0.9 * embedded_path("small").stat().st_size
    aligner, full = (Aligner.load(file, provider="cpu", threads=1) for file in (path, embedded_path("small")))
    assert aligner.info.precision == "int8"
    ir, rgb = Simulator(seed=4).frames(0)
    ours, theirs = (one.estimate(ir, rgb).matrix_rgb_to_ir for one in (aligner, full))
    assert ours is not None
    assert theirs is not None
    np.testing.assert_allclose(ours, theirs, atol=0.3)
    assert not np.array_equal(ours, theirs)
