"""What a calibration leaves: the options of its rig as TOML, and a picture of before and after."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.badges import draw_caption, label_height_px
from vr.runtime.blend import mixed, raw_overlay, side_by_side
from vr.runtime.calibration.session import Calibration
from vr.runtime.calibration.watching import Kept
from vr.runtime.config_text import comment_lines, literal, shown_value
from vr.runtime.errors import OutputError
from vr.runtime.geometry import theta_to_matrix
from vr.runtime.option import AUTO
from vr.runtime.options import OPTIONS
from vr.runtime.rig_transform import theta_text
from vr.runtime.sinks.targets import FileTarget, write_whole
from vr.runtime.sources.credentials import has_literal_secret
from vr.runtime.version import package_version

PICTURE_SUFFIX = ".png"
_MOMENTS = 3
_ALPHA, _PALETTE = 0.5, "inferno"
_ALWAYS = ("ir", "rgb", "ir_offset_ms", "rig", "model", "rig_transform")


class RigFiles:
    """`rig.toml` and `rig.png` beside it. The picture may be looked at before anything takes its name."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        """Raises OutputError if either cannot be written, or exists and `overwrite` is False. Changes nothing."""
        if path.suffix.lower() == PICTURE_SUFFIX:
            raise OutputError(f"{path} is the name of a picture; expected one for a TOML file, such as rig.toml")
        self.path, self.picture = path, path.with_suffix(PICTURE_SUFFIX)
        self.preview = path.with_name(f"{path.stem}.preview{PICTURE_SUFFIX}")
        for one in (self.path, self.picture):
            FileTarget(one, overwrite)

    def show(self, found: Calibration) -> None:
        """Writes the picture under the name `preview`. Raises OutputError."""
        write_whole(self.preview, cv2.imencode(PICTURE_SUFFIX, rig_picture(found))[1].tobytes())

    def keep(self, text: str) -> None:
        """Writes the file, and gives the picture its name. Raises OutputError."""
        write_whole(self.path, text.encode())
        try:
            self.preview.replace(self.picture)
        except OSError as error:
            raise OutputError(f"cannot rename {self.preview} to {self.picture}: {error.strerror}") from error

    def forget(self) -> None:
        """Removes the picture that was shown."""
        self.preview.unlink(missing_ok=True)


def figures(found: Calibration) -> list[tuple[str, str]]:
    """What was found, for people: headings and sentences."""
    rig = found.rig
    h, w = found.rgb_hw
    return [
        ("frames", f"{rig.agreeing} of {rig.looked} agree ({rig.answered} that the network was sure of)"),
        ("before", f"without alignment a corner of the {w}x{h} picture is off by up to {found.before_px:.0f} px"),
        ("uncertainty", f"no corner is off by more than {rig.uncertainty_px:.1f} px (95 %)"),
        ("scatter", f"single looks differ from it by {found.after_px:.1f} px at a corner (median)"),
        ("time offset", found.offset.text),
    ]


def rig_text(found: Calibration, given: Mapping[str, Any]) -> str:
    """TOML that `vr-live --config` takes. given: by key, what the command was told."""
    model = given.get("model")
    values = {
        **given,
        "ir_offset_ms": found.offset.setting,
        "rig": given.get("rig", "fixed"),
        "model": "default" if model is None else model,
        "rig_transform": theta_text(found.rig.theta),
    }
    notes = _notes(found, given)
    keys = [*_ALWAYS, *(key for key in given if key not in _ALWAYS)]
    lines = comment_lines(
        f"Written by vr-live calibrate (version {package_version()}) on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. "
        "Use it with vr-live --config FILE; what the command line says comes before it."
    )
    for key in keys:
        lines += ["", *comment_lines(notes[key])] if key in notes else []
        lines.append(f"{key} = {_value(key, values[key])}")
    return "\n".join(lines) + "\n"


def _value(key: str, value: Any) -> str:
    if key == "ir_offset_ms" and value != AUTO:
        return f"{float(value):g}"
    return literal(shown_value(OPTIONS[key], value))


def _notes(found: Calibration, given: Mapping[str, Any]) -> dict[str, str]:
    rig = found.rig
    h, w = found.rgb_hw
    notes = {
        "ir_offset_ms": f"Offset in time: {found.offset.text}.",
        "rig": "How the cameras move against each other.",
        "rig_transform": f"From {rig.agreeing} of {rig.looked} frames, which agree; with 95 % probability no corner of "
        f"the {w}x{h} picture is off by more than {rig.uncertainty_px:.1f} px. Estimates begin here.",
    }
    if any(has_literal_secret(str(given.get(role, ""))) for role in ("ir", "rgb")):
        notes["ir"] = (
            "Passwords are not written down: set VR_IR_USERNAME, VR_IR_PASSWORD, VR_RGB_USERNAME and VR_RGB_PASSWORD, "
            "or write ${NAME} into the addresses."
        )
    return notes


def rig_picture(found: Calibration) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: some moments below each other, without and with the transform."""
    sure = [one for one in found.kept if one.sighting is not None]
    places: list[float] = np.linspace(0, len(sure) - 1, min(_MOMENTS, len(sure))).round().tolist()
    rows = [_moment(found, sure[int(place)]) for place in places]
    rig = found.rig
    caption, agree = np.zeros_like(rows[0]), f"{rig.agreeing} of {rig.looked} frames agree"
    draw_caption(caption, f"no corner off by more than {rig.uncertainty_px:.1f} px (95 %); {agree}")
    caption = caption[-label_height_px(caption.shape[0]) :]
    return np.vstack([*rows, caption])


def _moment(found: Calibration, kept: Kept) -> NDArray[np.uint8]:
    rgb_hw, ir_hw = kept.rgb.shape[:2], kept.ir.shape[:2]
    matrix = theta_to_matrix(found.rig.theta, rgb_hw, ir_hw)
    alignment = Alignment("estimated", None, matrix, None, rgb_hw, kept.ir)
    before = raw_overlay(kept.ir, kept.rgb, _ALPHA, _PALETTE)
    return side_by_side(before, mixed(alignment, kept.rgb, _ALPHA, _PALETTE), ("without alignment", "aligned"))
