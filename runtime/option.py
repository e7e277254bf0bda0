"""One thing that `vr-live` can be told; `vr.runtime.options` is the table of them."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vr.runtime.hub import is_hub_id

Part = Literal["", "masks", "sources", "storage", "thermal", "run", "command"]
AUTO = "auto"
_KINDS = {str: "a text", Path: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Option:
    """One thing that `vr-live` can be told.

    key: in TOML and in Python. kind: type of a value. help: one or two sentences, with the unit.
    part: which dataclass has the field: "" is LiveOptions, "masks", "sources", "storage" and "thermal" are its parts,
    "run" is RunOptions, and "command" is none: the command line alone has it.
    low, high: bounds of a number, both allowed. above: bound that is not allowed itself. choices: of a text.
    expected: what to call the allowed values, instead of what follows from the bounds.
    or_auto: a text that is auto, or a number of that type within the bounds. is_source: a text that names a camera or a
    file. or_numbers: a text that is numbers with commas between, or names a file.
    built_in: names that are no files.
    pair: one pair of several may set it for itself; "only": nothing else can.
    example: a value for people to begin with, where there is no default.
    implied: what the option means on the command line without a value; None: it needs one.
    """

    key: str
    kind: type
    help: str
    part: Part = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    expected: str = ""
    or_auto: type | None = None
    is_source: bool = False
    or_numbers: bool = False
    built_in: tuple[str, ...] = ()
    pair: bool | Literal["only"] = False
    metavar: str | None = None
    example: Any = None
    implied: str | None = None

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def in_files(self) -> bool:
        """Whether a TOML file may set it, outside of its pairs."""
        return self.part != "command" and self.pair != "only"

    def is_name(self, value: Path | str) -> bool:
        """Whether a value is the name of something built in, or of a model of the Hub, and no file here."""
        return str(value) in self.built_in or (self.key == "model" and is_hub_id(value))

    def fault(self, value: Any, name: str) -> str | None:
        """What is wrong with a value of the right type, None if it may be used; `name` is what to call the option."""
        if value is None:
            return None
        if self.choices and value not in self.choices:
            return f"unknown {name} {value!r}; expected one of {', '.join(self.choices)}"
        if self.or_auto is not None and value != AUTO and not self._is_number(value):
            return f"{name} is {value!r}; expected auto, or {self.expected or self._bounds()}"
        if isinstance(value, int | float) and not self._is_within(value):
            return f"{name} is {value:g}; expected {self.expected or self._bounds()}"
        return None

    def type_fault(self, value: object, name: str) -> str | None:
        """What is wrong with the type of a value from TOML, None if it fits."""
        if isinstance(value, bool):
            fits = self.kind is bool
        elif isinstance(value, int):
            fits = self.kind in (int, float) or self.or_auto is not None or self.is_source
        elif isinstance(value, float):
            fits = float in (self.kind, self.or_auto)
        else:
            fits = isinstance(value, str if self.kind is Path else self.kind)
        if isinstance(value, str) and "\0" in value:
            return f"{name} holds a character of code 0; expected a text without"
        # An address may hold a password.
        shown = f"a {type(value).__name__}" if self.is_source else repr(value)
        return None if fits else f"{name} is {shown}; expected {_KINDS[self.kind]}"

    def _is_number(self, text: str) -> bool:
        """Whether it is one of the type of `or_auto`, and within the bounds."""
        if self.or_auto is int and not text.isdecimal():
            return False
        try:
            return self._is_within(float(text))
        except ValueError:
            return False

    def _is_within(self, value: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return math.isfinite(value) and low <= value <= high and (self.above is None or value > self.above)

    def _bounds(self) -> str:
        if self.above is not None:
            return f"more than {self.above:g}"
        if self.low is None:
            return _KINDS[self.or_auto or self.kind]
        return f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"
