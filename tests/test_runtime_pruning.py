"""Graphs without what nobody asks for, held against the onnx package."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from vr.runtime.onnx_pruning import cut_between, keep_outputs, read_metadata
from vr.runtime.session import default_model_path


def branching_model() -> onnx.ModelProto:
    """`a` and `b` share a node; `c` is made from `b`, by way of a constant and an operator with attributes."""
    nodes = [
        helper.make_node("Add", ["x", "one"], ["shared"], name="shared"),
        helper.make_node("Neg", ["shared"], ["a"]),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.full(3, 2.0, np.float32))),
        helper.make_node("Mul", ["shared", "two"], ["b"]),
        helper.make_node("Softmax", ["b"], ["c"], axis=-1),
        helper.make_node("Split", ["b"], ["d", "e"], axis=1, num_outputs=2),
    ]
    widths = {"x": 3, "a": 3, "b": 3, "c": 3, "d": 2, "e": 1}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", w]) for name, w in widths.items()}
    constant = numpy_helper.from_array(np.ones(3, np.float32), "one")
    graph = helper.make_graph(nodes, "branches", [values["x"]], [values[n] for n in "abcde"], [constant], "a doc")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"vr.schema": "1", "umlaut": "ä" * 200})
    return model


@pytest.mark.parametrize(
    ("wanted", "operators"),
    [
        ("a", ["Add", "Neg"]),
        ("c", ["Add", "Constant", "Mul", "Softmax"]),
        ("e", ["Add", "Constant", "Mul", "Split"]),
        ("ab", ["Add", "Neg", "Constant", "Mul"]),
        ("abcde", ["Add", "Neg", "Constant", "Mul", "Softmax", "Split"]),
        ("", []),
    ],
)
def test_keeps_the_wanted_outputs_and_what_they_are_made_from(wanted: str, operators: list[str]) -> None:
    model = branching_model()
    pruned = onnx.load_from_string(keep_outputs(model.SerializeToString(), lambda _: set(wanted)))
    assert [output.name for output in pruned.graph.output] == list(wanted)
    assert [node.op_type for node in pruned.graph.node] == operators
    assert pruned.metadata_props == model.metadata_props
    assert pruned.opset_import == model.opset_import
    assert pruned.graph.input == model.graph.input
    assert pruned.graph.initializer == model.graph.initializer
    if wanted:
        onnx.checker.check_model(pruned, full_check=True)


def test_pruned_graph_computes_the_same() -> None:
    data, x = branching_model().SerializeToString(), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = [
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(["c"], {"x": x})[0]
        for graph in (data, keep_outputs(data, lambda _: {"c"}))
    ]
    np.testing.assert_array_equal(found[0], found[1])


def test_is_told_all_outputs() -> None:
    told: list[set[str]] = []
    keep_outputs(branching_model().SerializeToString(), lambda names: told.append(names) or names)
    assert told == [set("abcde")]


def test_graph_with_subgraphs_stays_as_it_is() -> None:
    """What an If takes from outside is not among its inputs."""
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "branch", [], [value])
    node = helper.make_node("If", ["condition"], ["z"], then_branch=branch, else_branch=branch)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph([node], "if", inputs, [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])])
    data = helper.make_model(graph).SerializeToString()
    assert keep_outputs(data, lambda _: set()) == data


def test_built_in_model_loses_its_warp() -> None:
    data = default_model_path().read_bytes()
    pruned = onnx.load_from_string(keep_outputs(data, lambda names: names - {"moved", "flow"}))
    onnx.checker.check_model(pruned)
    samplers = [
        sum(node.op_type == "GridSample" for node in model.graph.node)
        for model in (onnx.load_from_string(data), pruned)
    ]
    assert samplers[1] == samplers[0] - 1
    assert {output.name for output in pruned.graph.output} >= {"theta", "confidence"}


@pytest.mark.parametrize(("inputs", "outputs"), [("", "b"), ("b", "c"), ("b", "ade"), ("ab", "c")])
def test_cut_graph_is_what_the_onnx_package_cuts_out(inputs: str, outputs: str) -> None:
    model = branching_model()
    found = onnx.load_from_string(cut_between(model.SerializeToString(), set(inputs), set(outputs)))
    onnx.checker.check_model(found, full_check=True)
    needs_x = not inputs or "a" in outputs
    expected = onnx.utils.Extractor(model).extract_model(["x"] * needs_x + list(inputs), list(outputs))
    assert list(found.graph.node) == list(expected.graph.node)
    assert {value.name for value in found.graph.input} == {"x"} & set("x" * needs_x) | {"b"} & set(inputs)
    assert {value.name for value in found.graph.output} == set(outputs)


def test_halves_of_a_graph_compute_what_the_whole_does() -> None:
    data, x = branching_model().SerializeToString(), np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    whole, first, second = (
        onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for graph in (data, cut_between(data, set(), {"b"}), cut_between(data, {"b"}, {"a", "c"}))
    )
    (b,) = first.run(["b"], {"x": x})
    for found, expected in zip(second.run(["a", "c"], {"x": x, "b": b}), whole.run(["a", "c"], {"x": x}), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_lies_behind_a_cut_follows_what_is_given() -> None:
    second = onnxruntime.InferenceSession(
        cut_between(branching_model().SerializeToString(), {"b"}, {"d"}), providers=["CPUExecutionProvider"]
    )
    (d,) = second.run(["d"], {"b": np.array([[5.0, 6.0, 7.0]], np.float32)})
    assert np.asarray(d).tolist() == [[5.0, 6.0]]
    assert [value.name for value in second.get_inputs()] == ["b"]


def test_cut_drops_weights_that_are_not_needed() -> None:
    second = onnx.load_from_string(cut_between(branching_model().SerializeToString(), {"b"}, {"c"}))
    assert list(second.graph.initializer) == []


def test_cut_at_what_is_no_output_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"lacks the outputs \['shared'\]"):
        cut_between(branching_model().SerializeToString(), {"shared"}, {"b"})


def test_cut_through_an_operator_that_is_needed_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="an operator that is needed"):
        cut_between(branching_model().SerializeToString(), {"d"}, {"e"})


def test_metadata_are_read_as_the_onnx_package_reads_them() -> None:
    model = branching_model()
    assert read_metadata(model.SerializeToString()) == {entry.key: entry.value for entry in model.metadata_props}


@pytest.mark.parametrize("cut", [1, 50, 200])
def test_cut_off_model_is_a_value_error(cut: int) -> None:
    with pytest.raises(ValueError, match="ends within"):
        keep_outputs(branching_model().SerializeToString()[:-cut], lambda names: names)


def test_text_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wire type"):
        keep_outputs(b"no model\n" * 50, lambda names: names)
