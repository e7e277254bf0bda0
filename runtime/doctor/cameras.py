"""The cameras that are plugged in, as far as Linux tells."""

import errno
import sys
from pathlib import Path

from vr.runtime.doctor.finding import Finding
from vr.runtime.doctor.v4l2 import Device, PictureFormat, device_paths, open_device

_MOST_FORMATS, _MOST_SIZES = 4, 3


def check_cameras(folder: Path = Path("/dev")) -> list[Finding]:
    """A finding for each camera, or one that says that there is none."""
    if not sys.platform.startswith("linux"):
        text = "Which cameras are plugged in can only be told on Linux."
        return [Finding("cameras", "ok", text, "Try them by number: vr-live doctor --ir 0 --rgb 1.")]
    paths = device_paths(folder)
    found = [one for path in paths if (one := _one(path)) is not None]
    if found:
        return found
    text = "No camera is plugged in (there is no /dev/video*)." if not paths else "No /dev/video* gives pictures."
    advice = "Network cameras need none: give their address, --ir rtsp://... In a container pass --device /dev/video0."
    return [Finding("cameras", "ok", text, advice)]


def _one(path: Path) -> Finding | None:
    try:
        device = open_device(path)
    except OSError as error:
        return refused(path, error)
    return None if device is None else device_finding(device)


def refused(path: Path, error: OSError) -> Finding:
    """A device that cannot be opened or asked."""
    name = f"camera {path}"
    if error.errno in (errno.EACCES, errno.EPERM):
        advice = 'Join its group and log in again: sudo usermod -aG video "$USER".'
        return Finding(name, "fail", f"{path} may not be opened by this user.", advice)
    if error.errno == errno.EBUSY:
        return _busy(path)
    advice = "Unplug it and plug it in again; dmesg says more."
    return Finding(name, "warn", f"{path} does not answer ({error.strerror}).", advice)


def device_finding(device: Device) -> Finding:
    """A device that answered."""
    if device.busy:
        return _busy(Path(device.path), f" ({device.name})")
    kinds = "; ".join(format_text(one) for one in device.formats[:_MOST_FORMATS]) or "no formats"
    guess = "probably thermal" if device.is_thermal else "a colour camera, by what it offers"
    text = f"{device.path} is {device.name}, {guess}: {kinds}."
    if not device.is_thermal:
        return Finding(f"camera {device.path}", "ok", text, f"Use it as --rgb {device.path}.")
    raw = " --ir-16bit" if device.has_16bit else ""
    return Finding(f"camera {device.path}", "ok", text, f"Use it as --ir {device.path}{raw}.")


def format_text(one: PictureFormat) -> str:
    """`YUYV 640x480 at 30 fps, 320x240 at 30 fps`: the largest sizes."""
    both = sorted(zip(one.sizes, one.fps, strict=True), key=lambda pair: -pair[0][0] * pair[0][1])
    shown = [f"{w}x{h}" + ("" if fps is None else f" at {fps:.3g} fps") for (h, w), fps in both[:_MOST_SIZES]]
    return f"{one.code} {', '.join(shown)}".strip()


def _busy(path: Path, name: str = "") -> Finding:
    advice = f"End the other program; fuser {path} names it."
    return Finding(f"camera {path}", "fail", f"{path}{name} is used by another program.", advice)
