"""What a camera of Linux says of itself: Video4Linux 2, asked by ioctl (linux/videodev2.h).

Structures are those of every architecture: 32-bit fields and texts only, without padding. A request's number holds the
size of its structure, so a wrong layout is refused by the kernel and not misread.
"""

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vr.runtime.geometry import SizeHw

Ask = Callable[[int, bytearray], None]
"""An ioctl on one open device: request and structure, which is changed. Raises OSError."""

_CAPABILITY, _FORMAT = struct.Struct("16s32s32s3I12x"), struct.Struct("3I32s2I12x")
_FRAME_SIZE, _INTERVAL, _BUFFERS = struct.Struct("3I6I8x"), struct.Struct("5I6I8x"), struct.Struct("4I4x")
QUERYCAP, ENUM_FMT, ENUM_FRAMESIZES, ENUM_FRAMEINTERVALS, REQBUFS = 0, 2, 74, 75, 8
_READ, _WRITE = 2, 1
_CAPTURE, _MULTIPLANAR, _HAS_DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_TYPE_CAPTURE, _TYPE_MULTIPLANAR, _MEMORY_MMAP = 1, 9, 1
_DISCRETE = 1
_MOST_ENTRIES = 64
THERMAL_SIZES_HW: tuple[SizeHw, ...] = ((60, 80), (120, 160), (192, 256), (288, 384), (512, 640), (256, 320))
"""Of thermal sensors, and of no usual colour camera as the largest."""
_WITH_RAW_BELOW = {(384, 256), (386, 256), (392, 256), (576, 384), (122, 160)}
"""Some send the picture above its raw values, or with lines of telemetry."""
_THERMAL_NAMES = (
    *("flir", "lepton", "purethermal", "boson", "seek", "infiray", "xtherm", "topdon", "thermal", "hikmicro"),
    *("guide", "tau 2", "uti", "p2 pro", "seekware"),
)


@dataclass(frozen=True)
class PictureFormat:
    """code: four letters, for example Y16 or YUYV. sizes: (height, width). fps: the highest rate of each size."""

    code: str
    sizes: tuple[SizeHw, ...] = ()
    fps: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Device:
    """A camera. path: /dev/video*. busy: another program uses it."""

    path: str
    name: str
    driver: str
    bus: str
    formats: tuple[PictureFormat, ...] = field(default=())
    busy: bool = False

    @property
    def is_thermal(self) -> bool:
        """A guess, by its name, raw 16-bit frames of a thermal sensor's size, or such a size as the largest."""
        if any(word in self.name.lower() for word in _THERMAL_NAMES):
            return True
        thermal = {*THERMAL_SIZES_HW, *_WITH_RAW_BELOW}
        if any(one.code == "Y16" and thermal.intersection(one.sizes) for one in self.formats):
            return True
        sizes = [size for one in self.formats for size in one.sizes]
        return bool(sizes) and max(sizes, key=lambda hw: hw[0] * hw[1]) in thermal

    @property
    def has_16bit(self) -> bool:
        """Whether it offers raw 16-bit frames."""
        return any(one.code == "Y16" for one in self.formats)


def request(number: int, size: int) -> int:
    """The request of that number whose structure has `size` bytes; QUERYCAP alone only reads."""
    return (_READ if number == QUERYCAP else _READ | _WRITE) << 30 | size << 16 | ord("V") << 8 | number


def read_device(path: str, ask: Ask) -> Device | None:
    """What the device says; None for one that gives no pictures (metadata, outputs). Raises OSError."""
    answer = _asked(ask, QUERYCAP, _CAPABILITY)
    driver, name, bus = answer[:3]
    capabilities, of_device = int(answer[4]), int(answer[5])
    able = of_device if capabilities & _HAS_DEVICE_CAPS else capabilities
    if not able & (_CAPTURE | _MULTIPLANAR):
        return None
    kind = _TYPE_CAPTURE if able & _CAPTURE else _TYPE_MULTIPLANAR
    return Device(path, _text(name), _text(driver), _text(bus), tuple(_formats(ask, kind)), _is_busy(ask, kind))


def device_paths(folder: Path = Path("/dev")) -> list[Path]:
    """`/dev/video*`, by number."""
    found = [path for path in folder.glob("video*") if path.name[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def open_device(path: Path) -> Device | None:
    """Opens and asks a device. Raises OSError."""
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return read_device(str(path), lambda number, data: _ioctl(fcntl.ioctl, handle, number, data))
    finally:
        os.close(handle)


def _ioctl(ioctl: Callable[..., object], handle: int, number: int, data: bytearray) -> None:
    ioctl(handle, number, data, True)


def _asked(ask: Ask, number: int, layout: struct.Struct, *values: int) -> tuple[bytes | int, ...]:
    """The structure's fields as the device has filled them in. Raises OSError. values: its first ones."""
    data = bytearray(layout.size)
    struct.pack_into(f"={len(values)}I", data, 0, *values)
    ask(request(number, layout.size), data)
    return layout.unpack(data)


def _formats(ask: Ask, kind: int) -> Iterator[PictureFormat]:
    for index in range(_MOST_ENTRIES):
        try:
            answer = _asked(ask, ENUM_FMT, _FORMAT, index, kind)
        except OSError:  # EINVAL: the last one was the last
            return
        code = int(answer[4])
        sizes = tuple(_sizes(ask, code))
        yield PictureFormat(code_text(code), sizes, tuple(_highest_fps(ask, code, size) for size in sizes))


def _sizes(ask: Ask, code: int) -> Iterator[SizeHw]:
    """All of a list; of a range the largest."""
    for index in range(_MOST_ENTRIES):
        try:
            answer = [int(one) for one in _asked(ask, ENUM_FRAMESIZES, _FRAME_SIZE, index, code)]
        except OSError:
            return
        if answer[2] != _DISCRETE:
            yield answer[7], answer[4]  # least width, most, step, least height, most, step
            return
        yield answer[4], answer[3]


def _highest_fps(ask: Ask, code: int, size: SizeHw) -> float | None:
    """None where the driver does not say. Of a range the shortest interval comes first."""
    rates: list[float] = []
    for index in range(_MOST_ENTRIES):
        with contextlib.suppress(OSError):
            answer = [int(one) for one in _asked(ask, ENUM_FRAMEINTERVALS, _INTERVAL, index, code, size[1], size[0])]
            rates += [answer[6] / answer[5]] if answer[5] else []
            if answer[4] == _DISCRETE:
                continue
        break
    return max(rates, default=None)


def _is_busy(ask: Ask, kind: int) -> bool:
    """Asking for no buffers at all is refused while another program has some."""
    try:
        _asked(ask, REQBUFS, _BUFFERS, 0, kind, _MEMORY_MMAP)
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def code_text(code: int) -> str:
    """Four letters of a pixel format."""
    return struct.pack("<I", code & 0x7FFFFFFF).decode("ascii", "replace").strip()


def _text(field_bytes: bytes | int) -> str:
    return field_bytes.partition(b"\0")[0].decode("utf-8", "replace").strip() if isinstance(field_bytes, bytes) else ""
