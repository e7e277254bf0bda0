"""Refuses ONNX files that reach beyond themselves, before onnxruntime opens them.

A file of `vr-export` is one graph of plain operators with its weights inside. What else the format allows may read
other files of the machine (external data), never end (Loop), or hide either (functions). What an allowed graph
computes, and how much memory that takes, cannot be told from the file: onnxruntime reports what it cannot allocate.
"""

from vr.runtime.errors import ModelError
from vr.runtime.onnx_pruning import Field, fields

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_SUBGRAPHS = (5, 10), (6, 11)
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14


def check_model(model: bytes, path: str) -> None:
    """Raises ModelError unless `model`, a serialised ModelProto, is one graph that keeps to itself."""
    try:
        for number, content, _ in fields(model):
            if number == _MODEL_FUNCTIONS:
                raise ModelError(f"{path} defines functions of its own; expected a file of vr-export, which has none")
            if number == _MODEL_GRAPH:
                _check_graph(content, path)
    except ValueError as error:
        raise ModelError(
            f"{path} cannot be loaded as an ONNX model; expected a file of vr-export, whole and unchanged ({error})"
        ) from error


def _check_graph(graph: bytes, path: str) -> None:
    for number, content, _ in fields(graph):
        if number == _GRAPH_INITIALIZER:
            _check_tensor(content, path)
        elif number == _GRAPH_NODE:
            for attribute in (field for field in fields(content) if field[0] == _NODE_ATTRIBUTE):
                _check_attribute(attribute, path)


def _check_attribute(attribute: Field, path: str) -> None:
    for number, content, _ in fields(attribute[1]):
        if number in _ATTRIBUTE_SUBGRAPHS:
            raise ModelError(f"{path} has graphs in its graph (If, Loop); expected a file of vr-export, which has none")
        if number in _ATTRIBUTE_TENSORS:
            _check_tensor(content, path)


def _check_tensor(tensor: bytes, path: str) -> None:
    if any(_is_external(field) for field in fields(tensor)):
        raise ModelError(f"{path} keeps weights in other files; expected one file with everything in it; export again")


def _is_external(field: Field) -> bool:
    number, _, whole = field
    return number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and whole[-1] != 0)
