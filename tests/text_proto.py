"""A small reader of Protocol Buffers' text format, for what this project writes in it."""

import re
from typing import Any

_TOKEN = re.compile(r'"[^"]*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def parse(text: str) -> dict[str, list[Any]]:
    """Fields by name, each a list of its values in order: messages as such dicts, strings, ints and names.

    Raises ValueError where the text is not in the format.
    """
    tokens = _TOKEN.findall(text)
    if "".join(text.split()) != "".join("".join(token.split()) for token in tokens):
        raise ValueError("not in text format")
    message, end = _message(tokens, 0)
    if end != len(tokens):
        raise ValueError(f"more than one message: {tokens[end:]}")
    return message


def _message(tokens: list[str], at: int) -> tuple[dict[str, list[Any]], int]:
    fields: dict[str, list[Any]] = {}
    while at < len(tokens) and tokens[at] != "}":
        name, at = tokens[at], at + 1
        if re.fullmatch(r"[a-z_]+", name) is None:
            raise ValueError(f"{name!r} is no field")
        has_colon = tokens[at] == ":"
        at += has_colon
        if not has_colon and tokens[at] not in "{[":
            raise ValueError(f"{name} has neither a colon nor a message")
        values, at = _values(tokens, at)
        fields.setdefault(name, []).extend(values)
    return fields, at


def _values(tokens: list[str], at: int) -> tuple[list[Any], int]:
    if tokens[at] != "[":
        value, at = _value(tokens, at)
        return [value], at
    values: list[Any] = []
    at += 1
    while tokens[at] != "]":
        value, at = _value(tokens, at)
        values.append(value)
        if tokens[at] == ",":
            at += 1
        elif tokens[at] != "]":
            raise ValueError(f"no comma before {tokens[at]}")
    return values, at + 1


def _value(tokens: list[str], at: int) -> tuple[Any, int]:
    token = tokens[at]
    if token == "{":
        message, at = _message(tokens, at + 1)
        if tokens[at] != "}":
            raise ValueError("a message has no end")
        return message, at + 1
    if token.startswith('"'):
        return token[1:-1], at + 1
    return (int(token) if re.fullmatch(r"-?\d+", token) else token), at + 1
