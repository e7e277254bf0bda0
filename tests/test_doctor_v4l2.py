"""What cameras of Linux say of themselves, from structures that a C program has filled by the kernel's header."""

import errno
import os
import stat
import struct
from pathlib import Path

import pytest

from vr.runtime.doctor.cameras import check_cameras, device_finding, refused
from vr.runtime.doctor.v4l2 import (
    ENUM_FMT,
    ENUM_FRAMEINTERVALS,
    ENUM_FRAMESIZES,
    QUERYCAP,
    REQBUFS,
    Device,
    PictureFormat,
    device_paths,
    read_device,
    request,
)

CAPABILITY = bytes.fromhex(
    "757663766964656f000000000000000050757265546865726d616c202866773a76312e332e30290000000000000000007573622d303030303a"
    "30303a31342e302d320000000000000000000000000000000106000100a08401002004000000000000000000000000"
)
FORMAT = bytes.fromhex(
    "01000000010000000000000031362d62697420477265797363616c65000000000000000000000000000000005931362000000000000000000000"
    "000000000000"
)
SIZE = bytes.fromhex("000000005931362001000000a000000078000000000000000000000000000000000000000000000000000000")
RANGE = bytes.fromhex("0000000059555956030000002000000080070000020000001800000038040000020000000000000000000000")
INTERVAL = bytes.fromhex(
    "0000000059313620a000000078000000010000000100000009000000000000000000000000000000000000000000000000000000"
)


class Kernel:
    """Answers as a driver does: EINVAL behind the last entry of a list."""

    def __init__(
        self, formats: list[bytes], sizes: list[bytes], busy: bool = False, capability: bytes = CAPABILITY
    ) -> None:
        self.lists = {ENUM_FMT: formats, ENUM_FRAMESIZES: sizes, ENUM_FRAMEINTERVALS: [INTERVAL]}
        self.busy, self.capability = busy, capability

    def __call__(self, number: int, data: bytearray) -> None:
        kind = number & 0xFF
        if kind == QUERYCAP:
            data[:] = self.capability
        elif kind == REQBUFS:
            if self.busy:
                raise OSError(errno.EBUSY, "busy")
        else:
            (index,) = struct.unpack_from("I", data)
            if index >= len(self.lists[kind]):
                raise OSError(errno.EINVAL, "the end")
            assert len(data) == len(self.lists[kind][index])
            data[:] = self.lists[kind][index]


def test_requests_are_those_of_the_header() -> None:
    sizes = {QUERYCAP: 104, ENUM_FMT: 64, ENUM_FRAMESIZES: 44, ENUM_FRAMEINTERVALS: 52, REQBUFS: 20}
    wanted = [0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B, 0xC0145608]
    assert [request(number, size) for number, size in sizes.items()] == wanted


def test_a_thermal_camera() -> None:
    device = read_device("/dev/video2", Kernel([FORMAT], [SIZE]))
    assert device == Device(
        *("/dev/video2", "PureThermal (fw:v1.3.0)", "uvcvideo", "usb-0000:00:14.0-2"),
        (PictureFormat("Y16", ((120, 160),), (9.0,)),),
    )
    assert device is not None
    found = device_finding(device)
    assert found.verdict == "ok" and "Y16 160x120 at 9 fps" in found.text
    assert found.advice == "Use it as --ir /dev/video2 --ir-16bit."


def test_of_a_range_the_largest_size_counts() -> None:
    device = read_device("/dev/video0", Kernel([FORMAT], [RANGE]))
    assert device is not None and device.formats[0].sizes == ((1080, 1920),)


def test_a_node_without_pictures_is_no_camera() -> None:
    metadata = bytearray(CAPABILITY)
    struct.pack_into("I", metadata, 88, 0x04A00000)
    assert read_device("/dev/video1", Kernel([FORMAT], [SIZE], capability=bytes(metadata))) is None


def test_a_busy_camera_says_so() -> None:
    device = read_device("/dev/video0", Kernel([FORMAT], [SIZE], busy=True))
    assert device is not None and device.busy
    found = device_finding(device)
    assert found.verdict == "fail" and "used by another program" in found.text


@pytest.mark.parametrize(
    ("name", "code", "sizes", "thermal"),
    [
        ("HD Webcam C270", "YUYV", ((120, 160), (480, 640), (960, 1280)), False),
        ("USB Camera", "YUYV", ((192, 256), (384, 256)), True),
        ("USB Camera", "Y16", ((288, 384),), True),
        ("FLIR Boson", "I420", ((512, 640),), True),
        ("RealSense depth", "Y16", ((480, 640), (720, 1280)), False),
    ],
)
def test_the_guess_what_is_thermal(name: str, code: str, sizes: tuple[tuple[int, int], ...], thermal: bool) -> None:
    device = Device("/dev/video0", name, "uvcvideo", "usb", (PictureFormat(code, sizes, (None,) * len(sizes)),))
    assert device.is_thermal is thermal
    assert ("--ir " in device_finding(device).advice) is thermal


def test_a_camera_of_another_group_and_one_that_is_gone() -> None:
    denied = refused(Path("/dev/video0"), PermissionError(errno.EACCES, "Permission denied"))
    assert denied.verdict == "fail" and "usermod -aG video" in denied.advice
    assert refused(Path("/dev/video0"), OSError(errno.EBUSY, "busy")).verdict == "fail"
    gone = refused(Path("/dev/video0"), OSError(errno.ENODEV, "No such device"))
    assert gone.verdict == "warn" and "No such device" in gone.text


def test_real_files_in_place_of_devices(tmp_path: Path) -> None:
    """Sorted by number; what is no device does not answer, and that is said."""
    for name in ("video10", "video2", "video-index"):
        (tmp_path / name).touch()
    assert [path.name for path in device_paths(tmp_path)] == ["video2", "video10"]
    found = check_cameras(tmp_path)
    assert [one.verdict for one in found] == ["warn", "warn"] and "does not answer" in found[0].text
    (tmp_path / "empty").mkdir()
    assert "No camera is plugged in" in check_cameras(tmp_path / "empty")[0].text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_device_that_may_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / "video0").touch(mode=0)
    assert stat.S_IMODE((tmp_path / "video0").stat().st_mode) == 0
    assert "usermod" in check_cameras(tmp_path)[0].advice
