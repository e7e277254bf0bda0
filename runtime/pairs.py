"""From the command line and the TOML files to the options of each pair.

What holds, the strongest first: what a [[pair]] says of itself, the command line, the file of `--pairs`, that of
`--config`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vr.runtime.config import PairTable, read_config
from vr.runtime.errors import InputError
from vr.runtime.live_options import DEFAULTS, LiveOptions, value_of, with_values
from vr.runtime.options import OPTIONS
from vr.runtime.sources.credentials import has_literal_secret

_FILES = tuple(key for key, option in OPTIONS.items() if option.pair and option.kind is Path)


def gather(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[PairTable]]:
    """The values for all pairs, by key, and the [[pair]] tables, from what is given on the command line.

    Raises InputError for a file that cannot be used, and for pairs beside ir and rgb.
    """
    if "pairs" in given and not {"ir", "rgb"}.isdisjoint(given):
        raise InputError("--pairs and --ir or --rgb exclude each other; put all pairs into the file")
    files = [read_config(given[key], needs_pairs=key == "pairs") for key in ("config", "pairs") if key in given]
    values = {key: value for file in files for key, value in file.values.items()}
    values |= {key: value for key, value in given.items() if OPTIONS[key].part != "command"}
    tables = [table for file in files for table in file.pairs]
    if tables and not {"ir", "rgb"}.isdisjoint(values):
        raise InputError("ir and rgb exclude [[pair]] tables; put all pairs into tables")
    return values, tables


def live_options(values: Mapping[str, Any], tables: Sequence[PairTable]) -> list[LiveOptions]:
    """The options of each pair, checked. Raises InputError, also where neither tables nor two sources are given."""
    common = with_values(DEFAULTS, values)
    if tables:
        return pairs_of(tables, common)
    missing = [OPTIONS[key].flag for key in ("ir", "rgb") if key not in values]
    if missing:
        raise InputError(f"no {' and no '.join(missing)}; expected a camera, file, folder or sim:, or --pairs FILE")
    common.check()
    return [common]


def literal_secrets(given: Mapping[str, Any]) -> list[str]:
    """A line for each source on the command line whose password `ps` shows to everybody on this machine."""
    return [
        f"{OPTIONS[key].flag} has a password in it, which ps shows; put it into VR_{key.upper()}_USERNAME and "
        f"VR_{key.upper()}_PASSWORD in the environment"
        for key in ("ir", "rgb")
        if has_literal_secret(given.get(key, ""))
    ]


def read_pairs(path: Path, common: LiveOptions) -> list[LiveOptions]:
    """The options of each pair in a file, the others from `common`. Raises InputError naming the pair and the key."""
    config = read_config(path, needs_pairs=True)
    return pairs_of(config.pairs, with_values(common, config.values))


def pairs_of(tables: Sequence[PairTable], common: LiveOptions) -> list[LiveOptions]:
    """The options of each pair, checked; `common` is what holds for all. Raises InputError."""
    pairs = [with_values(common, {"name": str(number), **table.values}) for number, table in enumerate(tables, 1)]
    for table, options in zip(tables, pairs, strict=True):
        try:
            options.check()
        except InputError as error:
            raise InputError(f"{table.where}: {error}") from error
    _check_apart(tables, pairs)
    return pairs


def _check_apart(tables: Sequence[PairTable], pairs: Sequence[LiveOptions]) -> None:
    """Raises InputError where two pairs have one name, or write to one place."""
    for key in ("name", *_FILES):
        first: dict[str, str] = {}
        for table, options in zip(tables, pairs, strict=True):
            value = value_of(options, OPTIONS[key])
            if value is not None and str(value) in first:
                raise InputError(
                    f"{first[str(value)]} and {table.where}: two pairs have the {key} {value}; give each its own"
                )
            first[str(value)] = table.where
