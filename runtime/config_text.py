"""The file that `vr-live --print-config` prints: every option with what it means, its default, and what is given."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vr.runtime.config import PairTable
from vr.runtime.live_options import default_of
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS_BY_GROUP
from vr.runtime.rig_transform import is_numbers
from vr.runtime.sources.credentials import public_address
from vr.runtime.sources.opening import is_file

_WIDTH = 100
_HEAD = """\
Options of vr-live: vr-live --config FILE. Lines that begin with # and no blank are defaults, or examples where there \
is none; take the # away to change one. The command line comes before this file. Files are found from the folder of \
this file. User names and passwords of cameras stay outside: ${NAME} in an address is taken from the environment, and \
VR_IR_USERNAME, VR_IR_PASSWORD, VR_RGB_USERNAME and VR_RGB_PASSWORD are used where an address has none."""
_PAIRS = """\
Several camera pairs in one process: one [[pair]] for each, at the end of the file, in place of ir and rgb above."""


def config_text(values: Mapping[str, Any], tables: Sequence[PairTable]) -> str:
    """TOML that `read_config` accepts. values, tables: what is given, as `vr.runtime.pairs.gather` has it.

    Files are written as absolute paths, and addresses without user names and passwords that stand in them.
    """
    lines = [*comment_lines(_HEAD)]
    for group, options in OPTIONS_BY_GROUP.items():
        shown = [option for option in options if option.in_files]
        lines += ["", f"# == {group} =="] if shown else []
        for option in shown:
            lines += ["", *comment_lines(_help(option)), _entry(option, values.get(option.key))]
    lines += ["", "# == Pairs ==", "", *comment_lines(_PAIRS)]
    lines += [line for table in tables for line in _table(table)] or [f"#{line}" for line in _example()]
    return "\n".join(lines) + "\n"


def _help(option: Option) -> str:
    fallback = default_of(option) in (None, "")
    return f"{option.help} May stand in a [[pair]]." if option.pair and not fallback else option.help


def _entry(option: Option, value: Any) -> str:
    """`key = value` of what is given, else `#key = default`."""
    if value is not None:
        return f"{option.key} = {literal(shown_value(option, value))}"
    default = default_of(option)
    return f"#{option.key} = {literal(option.example if default in (None, '') else default)}"


def _table(table: PairTable) -> Iterable[str]:
    yield from ("", "[[pair]]")
    for option in _of_pairs():
        if option.key in table.values:
            yield _entry(option, table.values[option.key])


def _example() -> Iterable[str]:
    yield "[[pair]]"
    for option in _of_pairs():
        if option.example is not None:
            yield f"{option.key} = {literal(option.example)}"


def _of_pairs() -> list[Option]:
    return [option for options in OPTIONS_BY_GROUP.values() for option in options if option.pair]


def shown_value(option: Option, value: Any) -> Any:
    """A value as it may stand in a file that can be read from any folder, and by others."""
    if option.kind is Path:
        return value if option.is_name(value) else Path(value).absolute()
    if option.is_source and value:
        return str(Path(value).absolute()) if is_file(value) else public_address(value)
    if option.or_numbers and not is_numbers(value):
        return str(Path(value).absolute())
    return value


def literal(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    # JSON escapes what TOML does, except for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def comment_lines(text: str) -> list[str]:
    """A text as comments of TOML."""
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)]
