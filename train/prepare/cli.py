"""The command `vr-train prepare`: recordings to a folder that the other commands train on."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.core import TyperCommand

from vr.runtime.errors import InputError
from vr.train.prepare.session import Request, run_prepare
from vr.train.prepare.settings import THESIS_SHARES, Backbone, Colours, Format, IrChannel, Masks, Settings

_DEFAULTS = Settings()
_PAIR = "--pair"
_RESUME = "--resume"

PairFiles = Annotated[
    list[str] | None,
    typer.Option(_PAIR, metavar="IR RGB", help="A pair of videos, or of folders of frames; may be given many times."),
]
Npz = Annotated[list[str] | None, typer.Option(help="An archive of the thesis: rgb, ir, mask_rgb, mask_ir.")]
NpzColours = Annotated[str, typer.Option(help="Order of the channels in --npz: bgr or rgb.")]
Out = Annotated[Path, typer.Option(help="Folder to create.", metavar="DIR")]
OffsetMs = Annotated[str, typer.Option(metavar="auto|N", help="How much later the IR recording started, ms.")]
MaxOffset = Annotated[float, typer.Option(min=0.1, help="Largest offset that auto considers, s.")]
Slop = Annotated[
    float | None,
    typer.Option(min=0.0, show_default="a period of the faster one", help="Largest time between paired frames, ms."),
]
Fps = Annotated[float, typer.Option(help="Frame rate of a folder of frames; videos bring their own.")]
Resize = Annotated[bool, typer.Option("--resize/--no-resize", help="Bring IR frames to the size of RGB's.")]
Dark = Annotated[bool, typer.Option("--dark/--no-dark", help="Drop pairs whose RGB frame is dark.")]
DarkLevel = Annotated[int, typer.Option(min=1, max=255, help="A pixel is dark below this grey level.")]
DarkShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="A frame is dark above this share of dark pixels.")]
Frozen = Annotated[bool, typer.Option("--frozen/--no-frozen", help="Drop repeated IR frames (recalibration).")]
Empty = Annotated[bool, typer.Option("--empty/--no-empty", help="Drop frames that show too little.")]
Detail = Annotated[float, typer.Option(min=0.0, help="Least standard deviation of a frame, grey levels.")]
Duplicates = Annotated[bool, typer.Option("--duplicates/--no-duplicates", help="Drop pairs that look like the last.")]
Overlays = Annotated[bool, typer.Option("--overlays/--no-overlays", help="Cut burnt-in text and logos out of masks.")]
MaskKind = Annotated[str, typer.Option(help="none, ir (by threshold), or both (RGB by a segmenter).")]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        show_default="torchvision's cache",
        help="RGB segmenter: torchvision's DeepLabv3 weights, or a .pt or .onnx of vr-train segmenter.",
    ),
]
IrWeights = Annotated[
    str | None, typer.Option(metavar="FILE", show_default="a threshold", help="IR segmenter of vr-train segmenter.")
]
BackboneName = Annotated[str, typer.Option(help="mobilenet_v3_large, resnet50 or resnet101.")]
Channel = Annotated[str, typer.Option(help="What the IR threshold looks at: auto, blue or gray.")]
Threshold = Annotated[
    int | None,
    typer.Option(min=0, max=255, show_default="automatic", help="Level above which IR is a person; the thesis: 160."),
]
Plausible = Annotated[
    bool, typer.Option("--plausible/--no-plausible", help="Drop pairs whose masks show nobody or cannot be right.")
]
AreaRatio = Annotated[float, typer.Option(min=1.0, help="Largest ratio between the areas of the two masks.")]
HoleShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Largest share of holes in a mask.")]
Split = Annotated[bool, typer.Option("--split/--no-split", help="Divide into train, val and test.")]
Shares = Annotated[
    tuple[float, float, float],
    typer.Option(show_default="{:.0f} {:.0f} {:.0f}".format(*THESIS_SHARES), help="Of train, val and test."),
]
Guard = Annotated[float, typer.Option(min=0.0, help="Left out between two parts of one scene, s.")]
ImageFormat = Annotated[str, typer.Option("--format", help="jpg or png; 16-bit IR is always png.")]
Resume = Annotated[bool, typer.Option(_RESUME, help="Go on with an interrupted preparation.")]


class PairCommand(TyperCommand):
    """Reads `--pair IR RGB` as `--pair IR --pair RGB`: typer has no option of two values that may be repeated."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """See the class docstring."""
        return super().parse_args(ctx, split_pairs(args))


def split_pairs(args: list[str]) -> list[str]:
    """Repeats `--pair` before its second value. Raises InputError if one of the two is missing."""
    found: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word != _PAIR:
            found.append(word)
            continue
        if len(rest) < 2 or any(value.startswith("--") for value in rest[:2]):
            raise InputError(f"{_PAIR} {' '.join(rest[:1])} lacks a recording; expected two: {_PAIR} IR RGB")
        found += [_PAIR, rest.pop(0), _PAIR, rest.pop(0)]
    return found


def register(app: typer.Typer) -> None:
    """Adds the command to `vr-train`."""
    app.command("prepare", cls=PairCommand)(prepare)


def prepare(
    pair: PairFiles = None,
    npz: Npz = None,
    out: Out = Path("dataset"),
    offset_ms: OffsetMs = "auto",
    max_offset_s: MaxOffset = _DEFAULTS.max_offset_s,
    slop_ms: Slop = None,
    ir_fps: Fps = _DEFAULTS.ir_fps,
    rgb_fps: Fps = _DEFAULTS.rgb_fps,
    resize: Resize = True,
    dark: Dark = True,
    dark_level: DarkLevel = _DEFAULTS.dark_level,
    dark_share: DarkShare = _DEFAULTS.dark_share,
    frozen: Frozen = True,
    empty: Empty = True,
    least_detail: Detail = _DEFAULTS.least_detail,
    duplicates: Duplicates = True,
    overlays: Overlays = True,
    masks: MaskKind = _DEFAULTS.masks,
    weights: Weights = None,
    backbone: BackboneName = _DEFAULTS.backbone,
    ir_weights: IrWeights = None,
    ir_channel: Channel = _DEFAULTS.ir_channel,
    ir_threshold: Threshold = None,
    plausible: Plausible = True,
    area_ratio: AreaRatio = _DEFAULTS.area_ratio,
    hole_share: HoleShare = _DEFAULTS.hole_share,
    split: Split = True,
    shares: Shares = THESIS_SHARES,
    guard_s: Guard = _DEFAULTS.guard_s,
    npz_colours: NpzColours = _DEFAULTS.npz_colours,
    format_: ImageFormat = _DEFAULTS.format,
    resume: Resume = False,
) -> None:
    """Make a folder to train on from pairs of recordings: pairs frames by time, drops what is of no use."""
    names = pair or []
    settings = Settings(
        pairs=tuple(zip(names[::2], names[1::2], strict=False)),
        npz=tuple(npz or []),
        npz_colours=cast(Colours, npz_colours),
        offset_ms=_parse_offset(offset_ms),
        max_offset_s=max_offset_s,
        slop_ms=slop_ms,
        ir_fps=ir_fps,
        rgb_fps=rgb_fps,
        resize=resize,
        dark=dark,
        dark_level=dark_level,
        dark_share=dark_share,
        frozen=frozen,
        empty=empty,
        least_detail=least_detail,
        duplicates=duplicates,
        overlays=overlays,
        masks=cast(Masks, masks),
        weights=weights,
        backbone=cast(Backbone, backbone),
        ir_weights=ir_weights,
        ir_channel=cast(IrChannel, ir_channel),
        ir_threshold=ir_threshold,
        plausible=plausible,
        area_ratio=area_ratio,
        hole_share=hole_share,
        split=split,
        shares=shares,
        guard_s=guard_s,
        format=cast(Format, format_),
    )
    run_prepare(Request(settings, out, resume, _resume_command()))


def _parse_offset(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"--offset-ms is {text!r}; expected auto, or a number of milliseconds") from error


def _resume_command() -> str:
    """What was typed, with `--resume`."""
    words = [word for word in sys.argv[1:] if word != _RESUME]
    return shlex.join(["vr-train", *words, _RESUME])
