"""The ROS 2 example, as far as that goes without ROS: what it does with messages."""

import importlib.util
import py_compile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.helpers import REPOSITORY
from vr.runtime import Alignment, InputError

EXAMPLE = REPOSITORY / "docs" / "examples" / "ros2_bridge.py"


@pytest.fixture(scope="module")
def bridge() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ros2_bridge", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def image(encoding: str, frame: np.ndarray, padding: int = 0, big: bool = False) -> SimpleNamespace:
    """A message as a camera driver would send it; frame: in the encoding's own order of channels."""
    frame = frame.astype(frame.dtype.newbyteorder(">" if big else "<"))
    rows = [row.tobytes() + b"\xee" * padding for row in frame]
    height, width = frame.shape[:2]
    return SimpleNamespace(
        encoding=encoding, height=height, width=width, step=len(rows[0]), is_bigendian=int(big), data=b"".join(rows)
    )


def test_it_compiles(tmp_path: Path) -> None:
    py_compile.compile(str(EXAMPLE), cfile=str(tmp_path / "out.pyc"), doraise=True)


@pytest.mark.parametrize("padding", [0, 5])
def test_images_become_frames(bridge: ModuleType, padding: int) -> None:
    rng = np.random.default_rng(0)
    mono = rng.integers(0, 255, (4, 6)).astype(np.uint8)
    deep = rng.integers(0, 65535, (4, 6)).astype(np.uint16)
    bgr = rng.integers(0, 255, (4, 6, 3)).astype(np.uint8)
    for encoding, sent, expected in (
        ("mono8", mono, mono),
        ("mono16", deep, deep),
        ("bgr8", bgr, bgr),
        ("rgb8", bgr[..., ::-1], bgr),
    ):
        for big in (False, True):
            found = bridge.to_frame(image(encoding, sent, padding, big))
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
            assert found.dtype.isnative


def test_frames_become_images_and_come_back(bridge: ModuleType) -> None:
    rng = np.random.default_rng(0)
    header = object()
    for shape, dtype, encoding in (
        ((4, 6), np.uint8, "mono8"),
        ((4, 6), np.uint16, "mono16"),
        ((4, 6, 3), np.uint8, "bgr8"),
    ):
        frame = rng.integers(0, 255, shape).astype(dtype)
        message = bridge.fill_image(SimpleNamespace(), frame, header)
        assert (message.encoding, message.height, message.width) == (encoding, 4, 6)
        assert message.step == 6 * frame.itemsize * (3 if frame.ndim == 3 else 1)
        assert message.header is header
        np.testing.assert_array_equal(bridge.to_frame(message), frame)


def test_other_images_are_refused(bridge: ModuleType) -> None:
    with pytest.raises(InputError, match="an image is bayer_rggb8; expected one of mono8"):
        bridge.to_frame(image("bayer_rggb8", np.zeros((4, 6), np.uint8)))
    short = image("mono8", np.zeros((4, 6), np.uint8))
    short.data = short.data[:-1]
    with pytest.raises(InputError, match="has 23 bytes"):
        bridge.to_frame(short)


def test_the_diagnostics_say_state_confidence_and_matrix(bridge: ModuleType) -> None:
    ir = np.zeros((4, 6), np.uint8)
    matrix = np.array([[1.0, 0.0, 2.5], [0.0, 1.0, -3.0]])
    assert bridge.facts(Alignment("estimated", 0.5, matrix, None, (4, 6), ir)) == {
        "state": "estimated",
        "confidence": "0.500",
        "matrix_rgb_to_ir": "1 0 2.5 0 1 -3",
    }
    assert bridge.facts(Alignment("refused", None, None, None, (4, 6), ir))["matrix_rgb_to_ir"] == ""


def test_the_stamp_is_in_seconds(bridge: ModuleType) -> None:
    message = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=12, nanosec=250_000_000)))
    assert bridge.stamp_s(message) == 12.25
