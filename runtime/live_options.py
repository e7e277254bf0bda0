"""What a live run is told, as the runtime uses it; `vr.runtime.options` says what each field means."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vr.runtime.alignment import DEFAULT_ALPHA
from vr.runtime.errors import InputError
from vr.runtime.estimation import parse_every
from vr.runtime.option import AUTO, Option
from vr.runtime.options import OPTIONS
from vr.runtime.pairing import Between, TimeRule, parse_ms
from vr.runtime.person_masks import MaskOptions
from vr.runtime.rig_transform import rig_transform
from vr.runtime.rigs import DEFAULT_RIG
from vr.runtime.search import DEFAULT_SEARCH
from vr.runtime.sources import SourceOptions
from vr.runtime.sources.opening import is_camera
from vr.runtime.storage import StorageOptions
from vr.runtime.style import DEFAULT_IR_ABOVE, DEFAULT_SPLIT, Follow, View
from vr.runtime.thermal import ThermalOptions


@dataclass(frozen=True)
class LiveOptions:
    """Everything about one pair of cameras."""

    ir: str
    rgb: str
    model: Path | None = None
    provider: str = "auto"
    threads: int | None = None
    rig: str = DEFAULT_RIG
    search: str = DEFAULT_SEARCH
    rig_transform: str | None = None
    mode: str | None = None
    masks: MaskOptions = field(default_factory=MaskOptions)
    alpha: float = DEFAULT_ALPHA
    view: View = "overlay"
    palette: str = "none"
    split: float = DEFAULT_SPLIT
    ir_above: int = DEFAULT_IR_ABOVE
    follow: Follow = "estimate"
    keep: Path | None = None
    realtime: bool = False
    loop: bool = False
    frames: int | None = None
    window: bool = True
    record: Path | None = None
    transforms: Path | None = None
    flows: Path | None = None
    overwrite: bool = False
    estimate_every: str = "1"
    slop_ms: str = AUTO
    ir_offset_ms: str = "0"
    ir_between: Between = "nearest"
    sources: SourceOptions = field(default_factory=SourceOptions)
    storage: StorageOptions = field(default_factory=StorageOptions)
    thermal: ThermalOptions = field(default_factory=ThermalOptions)
    name: str = ""

    @property
    def finds_offset(self) -> bool:
        """Whether the offset in time is to be estimated."""
        return self.ir_offset_ms == AUTO

    @property
    def time_rule(self) -> TimeRule:
        """How frames are paired; offset 0 if it is to be estimated. Raises InputError for what is no number."""
        slop_ms = None if self.slop_ms == AUTO else parse_ms("--slop-ms", self.slop_ms)
        offset_ms = 0.0 if self.finds_offset else parse_ms("--ir-offset-ms", self.ir_offset_ms)
        return TimeRule(slop_ms, offset_ms, self.ir_between)

    def check(self) -> None:
        """Raises InputError for values out of range and outputs that would overwrite each other."""
        _check_fields(self, ("", *_PARTS))
        parse_every(self.estimate_every)
        self.time_rule.check()
        self.masks.check(self.mode)
        self.storage.check()
        self.thermal.check()
        if self.rig_transform is not None:
            rig_transform(self.rig_transform)
        elif self.follow == "hand":
            raise InputError("--follow hand shows the transform of --rig-transform; add it, or leave --follow out")
        if self.thermal.ir_celsius is not None and is_camera(self.ir) and not self.sources.ir_16bit:
            raise InputError("--ir-celsius needs raw 16-bit infrared frames; add --ir-16bit, or leave it out")
        outputs = [path.resolve() for path in (self.record, self.transforms, self.flows) if path is not None]
        if len(set(outputs)) < len(outputs):
            raise InputError("--record, --transforms and --flows name the same place; give each its own")


@dataclass(frozen=True)
class RunOptions:
    """What holds for the process, whatever number of pairs it runs."""

    quiet: bool = False
    log_file: Path | None = None
    log_format: str = "text"
    log_level: str | None = None
    status_file: Path | None = None
    web: str | None = None
    web_token: Path | None = None
    web_name: str | None = None
    web_folder: Path | None = None

    @property
    def is_watched(self) -> bool:
        """Whether people look at the run from elsewhere, and change its settings."""
        return self.web is not None

    def check(self) -> None:
        """Raises InputError for values that are none of the choices."""
        _check_fields(self, ("run",))


DEFAULTS = LiveOptions("", "")
RUN_DEFAULTS = RunOptions()
_PARTS = ("masks", "sources", "storage", "thermal")
"""Fields of LiveOptions that are dataclasses with options of their own."""


def value_of(options: LiveOptions | RunOptions, option: Option) -> Any:
    """The field that an option sets."""
    holder = getattr(options, option.part) if option.part in _PARTS else options
    return getattr(holder, option.key)


def _check_fields(options: LiveOptions | RunOptions, parts: tuple[str, ...]) -> None:
    """Raises InputError for the first value that the table does not allow."""
    for option in OPTIONS.values():
        fault = option.fault(value_of(options, option), option.flag) if option.part in parts else None
        if fault is not None:
            raise InputError(fault)


def default_of(option: Option) -> Any:
    """What holds where an option is not given; None for an option of the command line alone."""
    if option.part == "command":
        return None
    return value_of(RUN_DEFAULTS if option.part == "run" else DEFAULTS, option)


def with_values(options: LiveOptions, values: Mapping[str, Any]) -> LiveOptions:
    """The options with some values by key changed; keys of other parts than LiveOptions' own are left alone."""
    parts = {part: replace(getattr(options, part), **_of_part(part, values)) for part in _PARTS}
    return replace(options, **parts, **_of_part("", values))


def run_options(values: Mapping[str, Any]) -> RunOptions:
    """Those of the values by key that hold for the process."""
    return RunOptions(**_of_part("run", values))


def _of_part(part: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if OPTIONS[key].part == part}
