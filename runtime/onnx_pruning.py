"""Cuts out of an ONNX file what nobody will ask for, and cuts it in two.

onnxruntime computes the whole graph at every run, whichever outputs are fetched: `only_execute_path_to_fetches` of
its RunOptions works in training builds alone (microsoft/onnxruntime#16013), and nodes whose results are not used are
not removed either. The onnx package could do it, but an edge box does not have it; what is needed of the file format
is little: messages are sequences of fields, a field is a tag (number << 3 | wire type) and its content (Protocol
Buffers, "Encoding"); field numbers are those of onnx.proto.
"""

from collections.abc import Callable, Iterator

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_VALUE_NAME, _TENSOR_NAME = 1, 8
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_ATTRIBUTE_SUBGRAPHS = (6, 11)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED64: 8, _FIXED32: 4}

Field = tuple[int, bytes, bytes]
"""Number, content (of the wire type _BYTES, else empty), and the field as it stands in the file."""


def keep_outputs(model: bytes, wanted: Callable[[set[str]], set[str]]) -> bytes:
    """The serialised ModelProto with only those outputs that `wanted` picks from all, and what they are made from.

    A graph with subgraphs (If, Loop) comes back as it was. Raises ValueError for bytes that are no such message.
    """
    return _with_graph(model, lambda graph: _pruned_graph(graph, wanted))


def cut_between(model: bytes, inputs: set[str], outputs: set[str]) -> bytes:
    """The part of a serialised ModelProto that makes `outputs` from `inputs` and from what it still needs of the
    graph's own inputs; the others are left out.

    inputs, outputs: different outputs of the whole graph, whose type and shape the file states. Raises ValueError for
    bytes that are no such message, a graph without these outputs, with subgraphs, or that cannot be cut there.
    """
    return _with_graph(model, lambda graph: _graph_between(graph, inputs, outputs))


def read_metadata(model: bytes) -> dict[str, str]:
    """The `metadata_props` of a serialised ModelProto. Raises ValueError for bytes that are no such message."""
    entries = [content for number, content, _ in fields(model) if number == _MODEL_METADATA]
    pairs = [(_names(entry, _ENTRY_KEY), _names(entry, _ENTRY_VALUE)) for entry in entries]
    return {key[0]: value[0] if value else "" for key, value in pairs if key}


def _with_graph(model: bytes, change: Callable[[bytes], bytes]) -> bytes:
    parts: list[bytes] = []
    for number, content, whole in fields(model):
        parts.append(message(_MODEL_GRAPH, change(content)) if number == _MODEL_GRAPH else whole)
    return b"".join(parts)


def _pruned_graph(graph: bytes, wanted: Callable[[set[str]], set[str]]) -> bytes:
    parts = list(fields(graph))
    nodes = [content for number, content, _ in parts if number == _GRAPH_NODE]
    if any(_has_subgraph(node) for node in nodes):
        return graph
    outputs = wanted({_value_name(content) for number, content, _ in parts if number == _GRAPH_OUTPUT})
    kept_nodes, _ = _needed(nodes, outputs, set())
    return b"".join(
        whole
        for number, content, whole in parts
        if not (number == _GRAPH_OUTPUT and _value_name(content) not in outputs)
        and not (number == _GRAPH_NODE and content not in kept_nodes)
    )


def _graph_between(graph: bytes, inputs: set[str], outputs: set[str]) -> bytes:
    parts = list(fields(graph))
    nodes = [content for number, content, _ in parts if number == _GRAPH_NODE]
    missing = (inputs | outputs) - {_value_name(content) for number, content, _ in parts if number == _GRAPH_OUTPUT}
    if missing:
        raise ValueError(f"the graph lacks the outputs {sorted(missing)}")
    if any(_has_subgraph(node) for node in nodes):
        raise ValueError("the graph has subgraphs")
    kept_nodes, needed = _needed(nodes, outputs, inputs)
    if not all(inputs.isdisjoint(_names(node, _NODE_OUTPUT)) for node in kept_nodes):
        raise ValueError(f"an operator that is needed makes one of {sorted(inputs)} too")
    is_kept: dict[int, Callable[[bytes], bool]] = {
        _GRAPH_NODE: lambda node: node in kept_nodes,
        _GRAPH_INITIALIZER: lambda tensor: not needed.isdisjoint(_names(tensor, _TENSOR_NAME)),
        _GRAPH_INPUT: lambda value: _value_name(value) in needed,
        _GRAPH_OUTPUT: lambda value: _value_name(value) in outputs,
    }
    new_inputs = [
        message(_GRAPH_INPUT, content)
        for number, content, _ in parts
        if number == _GRAPH_OUTPUT and _value_name(content) in inputs & needed
    ]
    kept = [whole for number, content, whole in parts if number not in is_kept or is_kept[number](content)]
    return b"".join([*kept, *new_inputs])


def _needed(nodes: list[bytes], outputs: set[str], given: set[str]) -> tuple[set[bytes], set[str]]:
    """The nodes, in topological order as ONNX demands, that `outputs` are made from, and all tensors on the way; how
    those in `given` are made is not followed.
    """
    needed = set(outputs)
    kept: set[bytes] = set()
    for node in reversed(nodes):
        if (needed - given).intersection(_names(node, _NODE_OUTPUT)):
            kept.add(node)
            needed.update(_names(node, _NODE_INPUT))
    return kept, needed


def _has_subgraph(node: bytes) -> bool:
    attributes = (content for number, content, _ in fields(node) if number == _NODE_ATTRIBUTE)
    return any(number in _ATTRIBUTE_SUBGRAPHS for attribute in attributes for number, _, _ in fields(attribute))


def _value_name(value_info: bytes) -> str:
    return next(iter(_names(value_info, _VALUE_NAME)), "")


def _names(message: bytes, field_number: int) -> list[str]:
    return [content.decode() for number, content, _ in fields(message) if number == field_number]


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a serialised message in order. Raises ValueError where it is damaged."""
    position = 0
    while position < len(message):
        start = position
        tag, position = _read_varint(message, position)
        wire_type, content = tag & 7, b""
        if wire_type == _VARINT:
            _, position = _read_varint(message, position)
        elif wire_type == _BYTES:
            length, position = _read_varint(message, position)
            content = message[position : position + length]
            position += length
        elif wire_type in _FIXED_LENGTHS:
            position += _FIXED_LENGTHS[wire_type]
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        if position > len(message):
            raise ValueError("the message ends within a field")
        yield tag >> 3, content, message[start:position]


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """A number, seven bits per byte, least significant first, and the position after it."""
    value = shift = 0
    while position < len(message):
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("the message ends within a number")


def message(field_number: int, content: bytes) -> bytes:
    """A field of bytes: a text, or another message."""
    return _varint(field_number << 3 | _BYTES) + _varint(len(content)) + content


def varint_field(field_number: int, value: int) -> bytes:
    """A field that is a number from 0 up."""
    return _varint(field_number << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
