"""Image files of strangers to frames: what they claim is read from their header before a decoder allocates it."""

import struct
from collections.abc import Callable

import cv2
import numpy as np

from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import MAX_SIDE_PX, Frame

MAX_PIXELS = 1 << 26
"""Of an image file: 8192x8192, 200 MB of 8-bit colour."""
_MOST_TIFF_ENTRIES = 512
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset([0x01, *range(0xD0, 0xD9)])


def decode_image(data: bytes, flags: int, name: str) -> Frame:
    """An image file's content as `cv2.imdecode` with `flags` gives it.

    Raises InputError, with `name` in it, for all but whole PNG, JPEG, TIFF, BMP and WebP, and for more than
    MAX_SIDE_PX along a side or MAX_PIXELS in all, before anything is decoded.
    """
    size_hw = claimed_size(data)
    if size_hw is not None and (max(size_hw) > MAX_SIDE_PX or size_hw[0] * size_hw[1] > MAX_PIXELS):
        raise InputError(
            f"{name} claims {size_hw[1]}x{size_hw[0]} px; expected sides of at most {MAX_SIDE_PX} and "
            f"{MAX_PIXELS / 1e6:.0f} megapixels; make it smaller"
        )
    try:
        whole = size_hw is not None and not _is_cut_jpeg(data)
        frame = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if whole else None
    except (cv2.error, MemoryError):
        frame = None
    if frame is None:
        raise InputError(
            f"cannot read {name} as an image; it is damaged, incomplete, or not a PNG, JPEG, TIFF, BMP or WebP"
        )
    return frame  # type: ignore[return-value]


def claimed_size(data: bytes) -> SizeHw | None:
    """The size that the header of a PNG, JPEG, TIFF, BMP or WebP names; None for other or damaged content."""
    readers: dict[bytes, Callable[[bytes], SizeHw | None]] = {
        b"\x89PNG\r\n\x1a\n": _png_size,
        b"\xff\xd8": _jpeg_size,
        b"BM": _bmp_size,
        b"RIFF": _webp_size,
        b"II": _tiff_size,
        b"MM": _tiff_size,
    }
    for magic, read in readers.items():
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, OverflowError):
                return None
    return None


def _png_size(data: bytes) -> SizeHw | None:
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _bmp_size(data: bytes) -> SizeHw | None:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # OS/2
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(height), abs(width)


def _jpeg_size(data: bytes) -> SizeHw | None:
    """Of the largest frame header, since a decoder may take any; entropy-coded data between markers is passed over."""
    sizes: list[SizeHw] = []
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            break
        if at + 4 > len(data):
            break
        if marker in _JPEG_SIZES and at + 9 <= len(data):
            sizes.append(struct.unpack_from(">HH", data, at + 5))
        at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _webp_size(data: bytes) -> SizeHw | None:
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return height, width


def _tiff_size(data: bytes) -> SizeHw | None:
    """Of the first directory, as OpenCV reads the first page; classic TIFF and BigTIFF."""
    order = "<" if data.startswith(b"II") else ">"
    version = struct.unpack_from(order + "H", data, 2)[0]
    is_big = version == 43
    if version not in (42, 43):
        return None
    start = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)[0]
    count = struct.unpack_from(order + ("Q" if is_big else "H"), data, start)[0]
    entry = start + (8 if is_big else 2)
    sides: dict[int, int] = {}
    for n in range(min(count, _MOST_TIFF_ENTRIES)):
        at = entry + n * (20 if is_big else 12)
        tag, kind = struct.unpack_from(order + "HH", data, at)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            form = {3: "H", 4: "I", 16: "Q"}.get(kind)
            if form is None:
                return None
            sides[tag] = struct.unpack_from(order + form, data, at + (12 if is_big else 8))[0]
    if len(sides) < 2:
        return None
    return sides[_TIFF_HEIGHT], sides[_TIFF_WIDTH]


def _is_cut_jpeg(data: bytes) -> bool:
    """Whether the end marker is missing: OpenCV 4 then makes up the rest of the picture and says nothing."""
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
