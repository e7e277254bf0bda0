"""What a training run of the person segmenter is made of."""

from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from vr.models.segmenter import Backbone
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw

# What may change when a run is resumed; everything else would make it another run.
_RESUMABLE = ("epochs", "workers")
_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (1, 1_000_000),
    "batch": (2, 4096),
    "lr": (1e-9, 1.0),
    "dice_weight": (0.0, 100.0),
    "seed": (0, 2**31 - 1),
    "workers": (0, 64),
    "limit": (0, 10_000_000),
}
LR, FINE_TUNING_LR = 2e-3, 2e-4


@dataclass(frozen=True)
class SegmenterConfig:
    """Settings of one run. Raises InputError, naming the setting, on a value out of bounds.

    size_hw: what every image is resized to, px. backbone: of `vr.models.segmenter`. epochs, batch: passes over the
    training images, images per step. lr: the peak of AdamW's step size, reached after a short rise; then it falls along
    a cosine to the end of the last epoch. dice_weight: of the soft Dice beside the cross-entropy. augment: change the
    training images (`vr.train.segmenter_augment`). seed: draws everything random. workers: processes that load images;
    does not change the result. limit: use only the first so many images; 0 uses all. val_share, test_share: contiguous
    blocks at the end of the sorted images, where no manifest says otherwise.
    """

    size_hw: SizeHw = (240, 320)
    backbone: str = "mobilenet_v3_large"
    epochs: int = 40
    batch: int = 8
    lr: float = LR
    dice_weight: float = 1.0
    augment: bool = True
    seed: int = 0
    workers: int = 0
    limit: int = 0
    val_share: float = 0.1
    test_share: float = 0.1

    def __post_init__(self) -> None:
        if self.backbone not in get_args(Backbone):
            raise InputError(f"backbone {self.backbone!r} is unknown; expected one of {', '.join(get_args(Backbone))}")
        for name, (low, high) in _BOUNDS.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} {getattr(self, name)} is out of bounds; expected {low} to {high}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SegmenterConfig":
        """From `to_dict`, or from any part of it. Raises InputError on an unknown setting."""
        unknown = sorted(values.keys() - {setting.name for setting in fields(cls)})
        if unknown:
            raise InputError(f"unknown training setting(s) {', '.join(unknown)}")
        known = dict(values)
        if "size_hw" in known:
            known["size_hw"] = int(known["size_hw"][0]), int(known["size_hw"][1])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain values, `size_hw` as a list."""
        return {**asdict(self), "size_hw": list(self.size_hw)}

    def resumed_with(self, given: dict[str, Any]) -> "SegmenterConfig":
        """With those of the `given` settings that may change on resume. Raises InputError if another one differs."""
        stored = self.to_dict()
        wanted = SegmenterConfig.from_dict({**stored, **given}).to_dict()
        changed = [name for name in stored if wanted[name] != stored[name] and name not in _RESUMABLE]
        if changed:
            parts = [f"{name} is {stored[name]}, not {wanted[name]}" for name in changed]
            raise InputError(
                f"cannot resume with other settings: {'; '.join(parts)}; leave them out or use a new folder"
            )
        return SegmenterConfig.from_dict(wanted)
