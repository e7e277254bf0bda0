"""What the settings of every training by epochs have in common: bounds, a plain form for checkpoints, resuming."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

from vr.runtime.errors import InputError

RESUMABLE = ("epochs", "workers")
"""What may change when a run is resumed; everything else would make it another run."""


def number(default: float, low: float, high: float) -> Any:
    """A setting of `RunSettings` with bounds."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class RunSettings:
    """Base of frozen dataclasses of settings. Raises InputError, naming the setting, on a value out of bounds.

    choices: setting name to the words that it may be. resumable: what may change when a run is resumed.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    resumable: ClassVar[tuple[str, ...]] = RESUMABLE

    def __post_init__(self) -> None:
        for name, choices in self.choices.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")
        for setting in fields(self):
            bounds, value = setting.metadata, getattr(self, setting.name)
            if bounds and not bounds["low"] <= value <= bounds["high"]:
                raise InputError(
                    f"{setting.name} {value} is out of bounds; expected {bounds['low']} to {bounds['high']}"
                )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From `to_dict`, or from any part of it. Raises InputError on an unknown setting."""
        unknown = sorted(values.keys() - {setting.name for setting in fields(cls)})
        if unknown:
            raise InputError(f"unknown training setting(s) {', '.join(unknown)}")
        known = dict(values)
        if "size_hw" in known:
            known["size_hw"] = int(known["size_hw"][0]), int(known["size_hw"][1])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values, pairs as lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def resumed_with(self, given: dict[str, Any]) -> Self:
        """With those of the `given` settings that may change on resume. Raises InputError if another one differs."""
        stored = self.to_dict()
        wanted = self.from_dict({**stored, **given}).to_dict()
        changed = [name for name in stored if wanted[name] != stored[name] and name not in self.resumable]
        if changed:
            parts = [f"{name} is {stored[name]}, not {wanted[name]}" for name in changed]
            raise InputError(
                f"cannot resume with other settings: {'; '.join(parts)}; leave them out or use a new folder"
            )
        return self.from_dict(wanted)
