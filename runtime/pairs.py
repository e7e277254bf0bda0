"""Several camera pairs in one process: `vr-live --pairs pairs.toml`.

    [[pair]]
    name = "gate"                  # for windows and the report; default: its number
    ir = "rtsp://10.0.0.11/ir"     # as --ir
    rgb = "rtsp://10.0.0.11/rgb"   # as --rgb
    transforms = "gate.jsonl"      # any option that the table marks with `pair`

What is said outside of the pairs, and on the command line, holds for all. Files are found from the folder of the TOML
file. The pairs share one model and one session.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, cast

from vr.runtime.errors import InputError
from vr.runtime.live_options import LiveOptions, value_of, with_values
from vr.runtime.options import OPTIONS, Option
from vr.runtime.sources.opening import is_file

PAIR_KEYS = tuple(key for key, option in OPTIONS.items() if option.pair)
_FILES = tuple(key for key in PAIR_KEYS if OPTIONS[key].kind is Path)


def read_pairs(path: Path, common: LiveOptions) -> list[LiveOptions]:
    """The options of each pair. Raises InputError naming the pair and the key that is wrong."""
    document = _parse(path)
    tables = document.pop("pair", None)
    if not isinstance(tables, list) or not tables:
        raise InputError(f"{path} has no pairs; expected [[pair]] with ir and rgb, for each")
    for_all = with_values(common, _values(document, str(path), path.parent))
    pairs = [
        _pair(table, for_all, f"{path}, pair {number}", path.parent, str(number))
        for number, table in enumerate(cast(list[object], tables), 1)
    ]
    _check_apart(pairs, path)
    return pairs


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; expected a TOML file with [[pair]] tables") from error
    except (ValueError, RecursionError) as error:  # of which TOMLDecodeError is one, a number of 5000 digits another
        raise InputError(f"{path} is no TOML: {error}") from error


def _pair(table: object, for_all: LiveOptions, where: str, folder: Path, number: str) -> LiveOptions:
    if not isinstance(table, dict):
        raise InputError(f"{where} is no table; expected [[pair]] with ir and rgb")
    values = _values(cast(dict[str, Any], table), where, folder)
    options = with_values(for_all, {"name": number, **values})
    for key in ("ir", "rgb"):
        if not values.get(key):
            raise InputError(f'{where} has no {key}; expected {key} = "camera, URL, file or folder"')
    try:
        options.check()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return options


def _values(table: dict[str, Any], where: str, folder: Path) -> dict[str, Any]:
    """The table's entries as LiveOptions has them."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in PAIR_KEYS:
            near = difflib.get_close_matches(key, PAIR_KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(PAIR_KEYS)}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")
        fault = OPTIONS[key].type_fault(value, key)
        if isinstance(value, str) and "\0" in value:
            fault = f"{key} holds a character of code 0"
        if fault is not None:
            raise InputError(f"{where}: {fault}")
        values[key] = _found(OPTIONS[key], value, folder)
    return values


def _found(option: Option, value: Any, folder: Path) -> Any:
    """A value as LiveOptions has it; names of files as paths from `folder`."""
    if option.kind is Path:
        return folder / value
    if option.kind is not str:
        return value
    text = str(value)
    return str(folder / text) if option.is_source and text and is_file(text) else text


def _check_apart(pairs: list[LiveOptions], path: Path) -> None:
    """Raises InputError where two pairs have one name, or write to one place."""
    for what, values in {
        "name": [pair.name for pair in pairs],
        **{key: [str(one) for pair in pairs if (one := value_of(pair, OPTIONS[key])) is not None] for key in _FILES},
    }.items():
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise InputError(f"{path}: two pairs have the {what} {twice}; give each its own")
