"""What a user of `vr-train prepare` may choose, and the defaults."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from vr.runtime.errors import InputError

Masks = Literal["none", "ir", "both"]
IrChannel = Literal["auto", "blue", "gray"]
Format = Literal["jpg", "png"]
Colours = Literal["bgr", "rgb"]
Backbone = Literal["mobilenet_v3_large", "resnet50", "resnet101"]

THESIS_SHARES = (8000.0, 1000.0, 1431.0)


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a dataset folder holds; the same settings and sources give the same folder.

    pairs: (IR, RGB) recordings. npz: archives with the keys of the thesis. offset_ms: how much later the IR
    recording started; None estimates it for each pair. slop_ms: largest time between the frames of a pair; None for
    one period of the faster recording. dark_level, dark_share: a pixel is dark under the level, a frame above the
    share. least_detail: standard deviation in grey levels, of a frame shrunk to 160 px, under which it shows too
    little. weights, ir_weights: files of person segmenters for RGB (masks "both") and for IR (None: by threshold), see
    `vr.train.prepare.people`; backbone: of torchvision's. ir_threshold: 0 to 255, None for automatic. area_share: least
    and largest part of the frame that a mask may cover. area_ratio: largest ratio between the areas of the two masks.
    hole_share: largest part of a mask's outline that may be holes. shares: of train, val and test, of any sum. guard_s:
    left out between two parts of one scene.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    npz: tuple[str, ...] = ()
    npz_colours: Colours = "bgr"
    offset_ms: float | None = None
    max_offset_s: float = 60.0
    slop_ms: float | None = None
    ir_fps: float = 30.0
    rgb_fps: float = 30.0
    resize: bool = True
    dark: bool = True
    dark_level: int = 20
    dark_share: float = 0.95
    frozen: bool = True
    empty: bool = True
    least_detail: float = 6.0
    duplicates: bool = True
    overlays: bool = True
    masks: Masks = "none"
    weights: str | None = None
    backbone: Backbone = "mobilenet_v3_large"
    ir_weights: str | None = None
    ir_channel: IrChannel = "auto"
    ir_threshold: int | None = None
    plausible: bool = True
    area_share: tuple[float, float] = (0.002, 0.6)
    area_ratio: float = 4.0
    hole_share: float = 0.3
    split: bool = True
    shares: tuple[float, float, float] = THESIS_SHARES
    guard_s: float = 2.0
    format: Format = "jpg"

    def check(self) -> None:
        """Raises InputError naming the first choice that makes no sense."""
        if not self.pairs and not self.npz:
            raise InputError("nothing to prepare; give --pair IR RGB or --npz FILE")
        _check_choice("--masks", self.masks, get_args(Masks))
        _check_choice("--ir-channel", self.ir_channel, get_args(IrChannel))
        _check_choice("--format", self.format, get_args(Format))
        _check_choice("--npz-colours", self.npz_colours, get_args(Colours))
        _check_choice("--backbone", self.backbone, get_args(Backbone))
        if self.ir_weights is not None and self.masks == "none":
            raise InputError("--ir-weights makes IR masks; add --masks ir or --masks both")
        if self.ir_weights is not None and self.ir_threshold is not None:
            raise InputError("--ir-weights and --ir-threshold both make the IR masks; give one of them")
        if not (min(self.shares) >= 0.0 and self.shares[0] > 0.0):
            raise InputError(f"--shares is {self.shares}; expected three numbers from 0 up, the first above 0")
        for name, value in (("--ir-fps", self.ir_fps), ("--rgb-fps", self.rgb_fps)):
            if not value > 0.0:
                raise InputError(f"{name} is {value:g}; expected more than 0 frames per second")

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: lists instead of tuples."""
        return {name: _listed(value) for name, value in asdict(self).items()}


def _listed(value: object) -> object:
    return [_listed(part) for part in value] if isinstance(value, tuple) else value


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
