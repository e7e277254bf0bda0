"""Runs a torch module in onnxruntime, for tests of whether the networks can be exported at all."""

import warnings
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

OPSET = 18


def export_and_load(
    module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], dynamic_shapes: Any = None
) -> onnxruntime.InferenceSession:
    """`module` as an ONNX graph of opset 18 in an onnxruntime session; checks that nothing became a
    ScatterElements.
    """
    with warnings.catch_warnings():
        # PyTorch's exporter calls deprecated functions of PyTorch.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), inputs, dynamo=True, opset_version=OPSET, dynamic_shapes=dynamic_shapes, verbose=False
        )
    assert program is not None
    model = program.model_proto
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert "ScatterElements" not in {node.op_type for node in model.graph.node}
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run_session(session: onnxruntime.InferenceSession, *inputs: torch.Tensor) -> NDArray[np.float32]:
    """The first output of the session for `inputs`, in order."""
    names = [entry.name for entry in session.get_inputs()]
    feeds = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    return np.asarray(session.run(None, feeds)[0], dtype=np.float32)
