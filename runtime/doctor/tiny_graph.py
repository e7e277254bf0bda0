"""A small ONNX graph as bytes, made without the onnx package: `y = Relu(Conv(x, w)) + x`, of a picture of 8x8.

Field numbers are those of onnx.proto; see `vr.runtime.onnx_pruning` for the encoding.
"""

import struct

from vr.runtime.onnx_pruning import message, varint_field

SIZE_HW = (8, 8)
KERNEL = (0.0, 0.25, 0.0, 0.25, -1.5, 0.25, 0.0, 0.25, 0.5)
_FLOAT, _INTS = 1, 7
_OPSET, _IR_VERSION = 18, 10


def tiny_model() -> bytes:
    """A serialised ModelProto; input `x` and output `y` float32 (1, 1, 8, 8)."""
    graph = b"".join(
        [
            _node("Conv", ["x", "w"], "c", _ints("pads", (1, 1, 1, 1))),
            _node("Relu", ["c"], "r"),
            _node("Add", ["r", "x"], "y"),
            message(2, b"tiny"),
            message(5, _kernel()),
            message(11, _value("x")),
            message(12, _value("y")),
        ]
    )
    opset = message(1, b"") + varint_field(2, _OPSET)
    return varint_field(1, _IR_VERSION) + message(7, graph) + message(8, opset)


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    names = b"".join(message(1, name.encode()) for name in inputs)
    return message(1, names + message(2, output.encode()) + message(4, kind.encode()) + attribute)


def _ints(name: str, values: tuple[int, ...]) -> bytes:
    numbers = b"".join(varint_field(8, value) for value in values)
    return message(5, message(1, name.encode()) + numbers + varint_field(20, _INTS))


def _kernel() -> bytes:
    """TensorProto `w` (1, 1, 3, 3)."""
    dims = b"".join(varint_field(1, size) for size in (1, 1, 3, 3))
    return dims + varint_field(2, _FLOAT) + message(8, b"w") + message(9, struct.pack("<9f", *KERNEL))


def _value(name: str) -> bytes:
    dims = b"".join(message(1, varint_field(1, size)) for size in (1, 1, *SIZE_HW))
    tensor = varint_field(1, _FLOAT) + message(2, dims)
    return message(1, name.encode()) + message(2, message(1, tensor))
