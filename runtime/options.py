"""The table of everything that `vr-live` can be told.

One entry makes the option of the command line (`slop_ms` becomes `--slop-ms`) and the key in a TOML file. What it sets,
and its default, is the field of that name of `LiveOptions`, of the part of it that the entry names, or of `RunOptions`
(`vr.runtime.live_options`): to add an option, add an entry here, or in `options_output.py`, and the field there.
"""

from pathlib import Path

from vr.runtime.embedded import EMBEDDED
from vr.runtime.option import Option
from vr.runtime.options_output import OUTPUT_OPTIONS_BY_GROUP
from vr.runtime.pairing import BETWEEN
from vr.runtime.providers import PROVIDER_CHOICES
from vr.runtime.rigs import RIGS
from vr.runtime.search import SEARCHES
from vr.runtime.thermal import CAMERA_PALETTES, GAINS, POLARITIES

_SOURCE = "camera index, /dev/video*, rtsp:// or http(s):// URL, video file, image folder, glob, or sim:"

OPTIONS_BY_GROUP: dict[str, tuple[Option, ...]] = {
    "Cameras": (
        Option(
            "ir",
            str,
            f"Infrared frames: {_SOURCE}.",
            pair=True,
            is_source=True,
            example="rtsp://10.0.0.11/ir",
        ),
        Option(
            "rgb",
            str,
            "Colour frames: as --ir.",
            pair=True,
            is_source=True,
            example="rtsp://10.0.0.11/rgb",
        ),
        Option("name", str, "For windows and the report; default: the pair's number.", pair="only", example="gate"),
        Option("pairs", Path, "TOML file with several camera pairs, in place of --ir and --rgb.", part="command"),
        Option(
            "fps",
            float,
            "Frame rate of image folders.",
            part="sources",
            above=0,
            expected="a frame rate above 0",
        ),
        Option("ir_16bit", bool, "Ask the IR camera for raw 16-bit frames (Y16).", part="sources"),
        Option(
            "stall_after",
            float,
            "A camera that gives no frame for so long is closed and opened again, s.",
            part="sources",
            above=0,
        ),
        Option(
            "wait_for_cameras",
            bool,
            "Wait for a camera that is not there at the start, instead of ending with an error.",
            part="sources",
        ),
    ),
    "Infrared": (
        Option(
            "ir_gain",
            str,
            "How 16-bit infrared becomes 8 bit. percentile: a stretch; plateau: equalised, for scenes with a cold sky.",
            part="thermal",
            choices=GAINS,
            pair=True,
        ),
        Option(
            "ir_palette",
            str,
            "The palette that the camera sends its picture in: auto (recognised), none, or a name as of --palette.",
            part="thermal",
            metavar="auto|none|NAME",
            choices=CAMERA_PALETTES,
            pair=True,
        ),
        Option(
            "ir_polarity",
            str,
            "white-hot, or black-hot for a camera that shows warm things dark.",
            part="thermal",
            choices=POLARITIES,
            pair=True,
        ),
        Option(
            "ir_celsius",
            str,
            "Show the hottest spot: degrees are SCALE * raw + OFFSET of 16-bit frames; tlinear is 0.01,-273.15, "
            "tlinear-low 0.1,-273.15.",
            part="thermal",
            pair=True,
            metavar="SCALE,OFFSET",
            example="tlinear",
        ),
    ),
    "Time": (
        Option(
            "slop_ms",
            str,
            "Largest time between the two frames of a pair, ms; auto: 1.25 periods of the IR camera, at least 100.",
            or_auto=float,
            low=0,
            pair=True,
            metavar="MS|auto",
        ),
        Option(
            "ir_offset_ms",
            str,
            "An IR frame of time t was taken when the RGB clock was at t + offset, ms: how much later the IR recording "
            "started, or minus what the IR camera is late; auto: found from what moves.",
            or_auto=float,
            pair=True,
            metavar="MS|auto",
        ),
        Option(
            "ir_between",
            str,
            "Which IR frame an RGB frame gets: the nearest, the last one before (held), or the two around it, mixed "
            "(interpolated; the picture waits for the later one).",
            choices=BETWEEN,
            pair=True,
        ),
        Option(
            "estimate_every",
            str,
            "Ask the network for every N-th pair only, or (auto) as often as there is time for: the pictures in "
            "between are drawn by its newest answer.",
            low=1,
            expected="every how many pairs, from 1",
            or_auto=int,
            pair=True,
            metavar="N|auto",
        ),
    ),
    "Model and rig": (
        Option(
            "model",
            Path,
            "ONNX file of vr-export, a built-in model (default, small, clean or dense), or hf://ORG/NAME/FILE.onnx.",
            built_in=EMBEDDED,
            example="small",
        ),
        Option("provider", str, "auto, cpu, cuda, tensorrt or openvino.", choices=PROVIDER_CHOICES),
        Option(
            "threads",
            int,
            "CPU threads of the network, and of a picture; default: half the cores.",
            low=1,
            example=2,
        ),
        Option(
            "rig",
            str,
            "How the cameras move against each other: fixed (bolted), moving (zoom, shake) or free.",
            choices=tuple(RIGS),
            pair=True,
        ),
        Option(
            "follow",
            str,
            "estimate, or hand: no estimates, the transform that was set by hand is shown as it is.",
            choices=("estimate", "hand"),
            pair=True,
        ),
        Option(
            "search",
            str,
            "Where one look is not sure. none: refuse; near: try somewhat turned and scaled views; "
            "wide: also any turn, other lenses and larger shifts.",
            choices=SEARCHES,
            pair=True,
        ),
        Option(
            "rig_transform",
            str,
            "Where estimates begin to look: how the cameras stand to each other, roughly, as vr-live calibrate or a "
            "hand alignment gives it, or a file of a calibration. The network finds the rest.",
            or_numbers=True,
            pair=True,
            metavar="NUMBERS|FILE",
            example="0.92,-0.05,0.14,0.09,0.91,-0.09",
        ),
    ),
    "Person masks": (
        Option(
            "mode",
            str,
            "mask: finds people in both frames and shows a model of mode mask where they are.",
            example="mask",
        ),
        Option(
            "segmenter",
            Path,
            "ONNX file of a person segmenter for the RGB frames; for --mode mask.",
            part="masks",
            example="person.onnx",
        ),
        Option(
            "ir_segmenter",
            Path,
            "The same for the IR frames; default: a threshold.",
            part="masks",
            example="person-ir.onnx",
        ),
        Option(
            "ir_threshold",
            str,
            "Level above which IR is a person, 0 to 255; for --mode mask.",
            part="masks",
            low=0,
            high=255,
            expected="a level from 0 to 255",
            or_auto=int,
            metavar="auto|N",
        ),
    ),
    **OUTPUT_OPTIONS_BY_GROUP,
}
OPTIONS: dict[str, Option] = {option.key: option for group in OPTIONS_BY_GROUP.values() for option in group}
