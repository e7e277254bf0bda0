"""The table of options against what it sets, and what the command line makes of it."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from tests.live_command import vr_live
from vr.runtime.live_options import (
    DEFAULTS,
    LiveOptions,
    RunOptions,
    default_of,
    run_options,
    value_of,
    with_values,
)
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS, OPTIONS_BY_GROUP
from vr.runtime.person_masks import MaskOptions
from vr.runtime.sources import SourceOptions
from vr.runtime.storage import StorageOptions
from vr.runtime.thermal import ThermalOptions

HOLDERS: dict[str, type] = {
    "": LiveOptions,
    "masks": MaskOptions,
    "sources": SourceOptions,
    "storage": StorageOptions,
    "thermal": ThermalOptions,
    "run": RunOptions,
}
SETTING = [option for option in OPTIONS.values() if option.part != "command"]


@pytest.mark.parametrize("option", SETTING, ids=lambda option: option.key)
def test_an_entry_has_a_field_of_its_kind_and_a_default_that_may_be_used(option: Option) -> None:
    hint = get_type_hints(HOLDERS[option.part])[option.key]
    kinds = {type(one) if isinstance(one, str) else one for one in (hint, *get_args(hint))}
    assert option.kind in kinds
    default = default_of(option)
    assert default is None or option.fault(default, option.flag) is None
    assert default not in (None, "") or option.example is not None, "what would a user write here?"


def test_every_field_has_an_entry() -> None:
    parts = {"masks", "sources", "storage", "thermal"}
    for part, holder in HOLDERS.items():
        keys = {option.key for option in SETTING if option.part == part}
        assert {one.name for one in fields(holder)} - (parts if part == "" else set()) == keys
    assert sum(map(len, OPTIONS_BY_GROUP.values())) == len(OPTIONS)


def test_values_reach_their_part() -> None:
    options = with_values(DEFAULTS, {"alpha": 0.5, "fps": 12.5, "segmenter": Path("a.onnx"), "quiet": True})
    assert (options.alpha, options.sources.fps, options.masks.segmenter) == (0.5, 12.5, Path("a.onnx"))
    assert (options.view, options.sources.ir_16bit) == (DEFAULTS.view, False)
    assert value_of(options, OPTIONS["fps"]) == 12.5
    assert run_options({"alpha": 0.5, "quiet": True}) == RunOptions(quiet=True)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("alpha", 1.5, "--alpha is 1.5; expected 0 (RGB alone) to 1 (IR alone)"),
        ("alpha", float("nan"), "--alpha is nan; expected 0"),
        ("fps", 0.0, "--fps is 0; expected a frame rate above 0"),
        ("frames", 0, "--frames is 0; expected 1 or more"),
        ("view", "both", "unknown --view 'both'; expected one of overlay, rgb-edges"),
    ],
)
def test_a_value_out_of_bounds_is_named(key: str, value: Any, says: str) -> None:
    option = OPTIONS[key]
    assert (option.fault(value, option.flag) or "").startswith(says)


def test_the_help_shows_every_option_with_its_group() -> None:
    shown = vr_live("--help").out
    for group, options in OPTIONS_BY_GROUP.items():
        assert group in shown
        assert all(option.flag in shown for option in options if option.pair != "only")
    assert "--no-window" in shown and "--name" not in shown
    assert "--no-quiet" not in shown, "that takes back what a file says"
