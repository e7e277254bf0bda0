"""TOML files of options: `vr-live --config rig.toml`, and `--pairs pairs.toml`, which must have pairs.

    model = "small"                # any option of `vr.runtime.options`, for all pairs
    alpha = 0.5

    [[pair]]                       # several camera pairs in one process; for one, write ir and rgb above
    name = "gate"                  # for windows and the report; default: its number
    ir = "rtsp://10.0.0.11/ir"
    rgb = "rtsp://10.0.0.11/rgb"
    transforms = "gate.jsonl"      # any option that the table marks with `pair`

Files are found from the folder of the TOML file.
"""

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vr.runtime.errors import InputError, Mistakes
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS
from vr.runtime.rig_transform import is_numbers
from vr.runtime.sources.opening import is_file

_PAIR = "pair"


@dataclass(frozen=True)
class PairTable:
    """What one [[pair]] says. where: file and number, for messages. values: by key, as LiveOptions has them."""

    where: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Config:
    """What a file says. values: for all pairs, by key, as LiveOptions and RunOptions have them."""

    values: dict[str, Any]
    pairs: list[PairTable]


def read_config(path: Path, needs_pairs: bool = False) -> Config:
    """Reads and checks a file. Raises InputError if it is no TOML, Mistakes with a line for each wrong key or value."""
    document = _parse(path)
    tables = document.pop(_PAIR, [])
    if not isinstance(tables, list) or (needs_pairs and not tables):
        raise InputError(f"{path} has no pairs; expected [[pair]] with ir and rgb, for each")
    mistakes: list[str] = []
    values = _values(document, str(path), path.parent, _fault_for_all, mistakes)
    pairs = [
        _pair(table, f"{path}, pair {number}", path.parent, mistakes)
        for number, table in enumerate(cast(list[object], tables), 1)
    ]
    if mistakes:
        raise Mistakes(mistakes)
    return Config(values, pairs)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; expected a TOML file of options") from error
    except (ValueError, RecursionError) as error:  # of which TOMLDecodeError is one, a number of 5000 digits another
        raise InputError(f"{path} is no TOML: {error}") from error


def _pair(table: object, where: str, folder: Path, mistakes: list[str]) -> PairTable:
    if not isinstance(table, dict):
        mistakes.append(f"{where} is no table; expected [[pair]] with ir and rgb")
        return PairTable(where, {})
    entries = cast(dict[str, Any], table)
    values = _values(entries, where, folder, _fault_in_pair, mistakes)
    for key in ("ir", "rgb"):
        if entries.get(key, "") == "":
            mistakes.append(f'{where} has no {key}; expected {key} = "camera, URL, file or folder"')
    return PairTable(where, values)


def _values(
    table: dict[str, Any], where: str, folder: Path, fault_of_key: Callable[[str], str | None], mistakes: list[str]
) -> dict[str, Any]:
    """The table's entries as the runtime has them; what is wrong with others is added to `mistakes`."""
    values: dict[str, Any] = {}
    for key, written in table.items():
        fault = _table_fault(key, written) or fault_of_key(key) or OPTIONS[key].type_fault(written, key)
        value = None if fault else _as_used(OPTIONS[key], written, folder)
        fault = fault or OPTIONS[key].fault(value, key)
        if fault:
            mistakes.append(f"{where}: {fault}")
        else:
            values[key] = value
    return values


def _table_fault(key: str, written: object) -> str | None:
    if isinstance(written, dict):
        return f"[{key}] is no part of such a file; options stand at its top, and only [[pair]] is a table"
    return None


def _fault_for_all(key: str) -> str | None:
    option = OPTIONS.get(key)
    if option is None:
        return _unknown(key, [name for name, known in OPTIONS.items() if known.in_files])
    if option.pair == "only":
        return f"{key} belongs into a [[pair]]"
    return None if option.in_files else f"{key} can be given on the command line alone, as {option.flag}"


def _fault_in_pair(key: str) -> str | None:
    option = OPTIONS.get(key)
    if option is None:
        return _unknown(key, [name for name, known in OPTIONS.items() if known.pair])
    if option.pair:
        return None
    return f"{key} holds for all pairs; write it above the first [[pair]]" if option.in_files else _fault_for_all(key)


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key.removeprefix("no_").replace("-", "_"), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"


def _as_used(option: Option, value: Any, folder: Path) -> Any:
    """A value of the right type as the runtime has it; names of files as paths from `folder`."""
    if option.kind is Path:
        return Path(value) if option.is_name(value) else folder / value
    if option.kind is float:
        return float(value)
    if option.kind is not str:
        return value
    text = str(value)
    names_file = (option.is_source and is_file(text)) or (option.or_numbers and not is_numbers(text))
    return str(folder / text) if text and names_file else text
