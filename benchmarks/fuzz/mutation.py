"""Valid content made invalid."""

import numpy as np

_EDGES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_TEXT = (
    *('"', "'", "[", "]", "{", "}", "=", ",", "\n", "\0", "é", "٣", "²", "-1", "1e999", "nan", "inf", "true", "null"),
    *("../../etc/passwd", "/etc/passwd", "9" * 5000, "[" * 3000, "{" * 50, "a" * 3000, "%s%n", "${HOME}", "$(touch x)"),
)


def mutated(rng: np.random.Generator, content: bytes) -> bytes:
    """1 to 6 random changes: cut off, bits turned, stretches overwritten, removed, repeated, inserted, edge numbers."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 7))):
        if not data:
            break
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 33))
        _CHANGES[int(rng.integers(len(_CHANGES)))](rng, data, at, length)
    return bytes(data)


def mutated_text(rng: np.random.Generator, text: str) -> str:
    """1 to 4 words that parsers stumble over, put in or in place of something."""
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(text) + 1))
        text = text[:at] + _TEXT[int(rng.integers(len(_TEXT)))] + text[at + int(rng.integers(0, 8)) :]
    return text


def _cut(_rng: np.random.Generator, data: bytearray, at: int, _length: int) -> None:
    del data[at:]


def _turn_bits(rng: np.random.Generator, data: bytearray, _at: int, length: int) -> None:
    for place in rng.integers(len(data), size=length):
        data[place] ^= 1 << int(rng.integers(8))


def _overwrite(rng: np.random.Generator, data: bytearray, at: int, length: int) -> None:
    data[at : at + length] = rng.bytes(length)


def _remove(_rng: np.random.Generator, data: bytearray, at: int, length: int) -> None:
    del data[at : at + length]


def _repeat(_rng: np.random.Generator, data: bytearray, at: int, length: int) -> None:
    data[at:at] = data[at : at + length]


def _insert(rng: np.random.Generator, data: bytearray, at: int, length: int) -> None:
    data[at:at] = rng.bytes(length)


def _edge(rng: np.random.Generator, data: bytearray, at: int, _length: int) -> None:
    size = int(rng.choice([1, 2, 4, 8]))
    number = int(rng.choice(_EDGES)) & (1 << 8 * size) - 1
    data[at : at + size] = number.to_bytes(size, "little" if rng.random() < 0.5 else "big")


def _start(rng: np.random.Generator, data: bytearray, at: int, length: int) -> None:
    """As `_edge`, near the start, where headers are."""
    _edge(rng, data, at % 64 % len(data), length)


_CHANGES = (_cut, _turn_bits, _overwrite, _remove, _repeat, _insert, _edge, _start, _start)
