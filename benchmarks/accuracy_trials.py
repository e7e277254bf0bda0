"""Running methods over pairs, and not running them again: the results of earlier runs by content.

A result is known by the pixels and the truth of its pair, and by the code of the method. Only methods that are not
models are taken from an earlier run, and only on demand.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import accuracy_methods, handmade
from benchmarks.accuracy_figures import Trial, trial
from benchmarks.accuracy_methods import Method
from benchmarks.protocols import KnownPair
from vr.runtime.preprocess import Frame

Earlier = dict[tuple[str, str], Trial]
Trials = dict[str, list[Trial]]
"""One entry per method, in the order of the pairs."""


class Runner:
    """Runs methods over pairs and remembers every result under its key."""

    def __init__(self, earlier: Mapping[tuple[str, str], Trial]) -> None:
        """`earlier`: results to take over, of `read_trials`; empty to measure everything."""
        self._earlier = earlier
        self._code = code_version()
        self._lines: list[str] = []
        self.reused = 0

    def run(self, protocol: str, pairs: Iterable[KnownPair], methods: Sequence[Method]) -> Trials:
        """Every method on every pair."""
        trials: Trials = {method.name: [] for method in methods}
        for pair in pairs:
            key = pair_key(pair, self._code)
            for method in methods:
                one = self._one(method, pair, key)
                trials[method.name].append(one)
                row = {"protocol": protocol, "method": method.name, "key": key, **one.to_json()}
                self._lines.append(json.dumps(row))
        return trials

    def write(self, path: Path) -> None:
        """All results, one JSON object a line."""
        path.write_text("\n".join(self._lines) + "\n", encoding="utf-8")

    def _one(self, method: Method, pair: KnownPair, key: str) -> Trial:
        known = None if method.is_model else self._earlier.get((method.name, key))
        if known is not None:
            self.reused += 1
            return known
        return trial(pair, method(pair.ir, pair.rgb))


def read_trials(path: Path) -> Earlier:
    """What `Runner.write` wrote, by method and key; empty if there is no such file."""
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {(row["method"], row["key"]): _from_json(row) for row in rows}


def pair_key(pair: KnownPair, code: str) -> str:
    """Changes with any pixel, with the truth, and with `code`."""
    return _digest(code.encode(), *_bytes(pair.ir), *_bytes(pair.rgb), np.round(pair.matrix_rgb_to_ir, 6).tobytes())


def code_version() -> str:
    """Changes with the code of the methods and the version of OpenCV."""
    sources = (Path(str(module.__file__)).read_bytes() for module in (accuracy_methods, handmade))
    return _digest(*sources, cv2.__version__.encode())


def _bytes(frame: Frame) -> Iterator[bytes]:
    yield str(frame.shape).encode()
    yield np.ascontiguousarray(frame).tobytes()


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:16]


def _from_json(row: dict[str, Any]) -> Trial:
    return Trial(**{key: value for key, value in row.items() if key not in ("protocol", "method", "key")})
