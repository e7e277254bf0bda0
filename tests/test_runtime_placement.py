"""Which nodes run where, and how that is said."""

from collections import Counter

import onnx

from vr.runtime import providers
from vr.runtime.placement import Placement, placement_of
from vr.runtime.providers import Opening, open_session
from vr.runtime.session import Session, default_model_path, import_onnxruntime


def test_all_nodes_of_a_model_on_the_cpu() -> None:
    session = Session(default_model_path(), "cpu", 1, transform_only=True)
    nodes = len(onnx.load(default_model_path()).graph.node)
    assert 0.5 * nodes < session.placement.total <= nodes
    assert session.placement.text == f"all {session.placement.total} nodes on cpu"


def test_nodes_on_another_provider_than_the_wanted_one_are_counted_by_operator() -> None:
    path = default_model_path()
    session = open_session(import_onnxruntime(), Opening(path, str(path), 1), "cpu")
    placement = placement_of(session, "cuda")
    assert placement.elsewhere.total() == placement.total > 100
    samplers = sum(node.op_type == "GridSample" for node in onnx.load(path).graph.node)
    assert placement.elsewhere["cpu", "GridSample"] == samplers
    assert placement.text.startswith(f"{placement.total} of {placement.total} nodes not on cuda: Mul x")
    assert placement.text.endswith(", ...")


def test_one_line_names_the_operators_that_fell_back() -> None:
    elsewhere = Counter({("cpu", "GridSample"): 2, ("cpu", "Resize"): 1})
    placement = Placement("cuda", 400, elsewhere) + Placement("cuda", 12)
    assert placement.text == "3 of 412 nodes not on cuda: GridSample x2 on cpu, Resize x1 on cpu"


def test_onnxruntime_that_does_not_tell_is_said_to() -> None:
    class Old:
        pass

    assert placement_of(Old(), "cuda").text.startswith("placement of the nodes unknown")  # type: ignore[arg-type]
    assert providers.short_name("QNNExecutionProvider") == "QNNExecutionProvider"
