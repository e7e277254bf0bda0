"""What an alignment says about itself."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers import smooth_scene
from vr.runtime.alignment import Alignment, State
from vr.runtime.errors import InputError
from vr.runtime.geometry import matrix_to_theta
from vr.runtime.interchange import read_transform

RGB_HW, IR_HW = (480, 640), (240, 320)


def alignment(matrix: np.ndarray | None, state: State = "estimated", flow: np.ndarray | None = None) -> Alignment:
    return Alignment(state, 0.87, matrix, flow, RGB_HW, smooth_scene(0, IR_HW))


def placed(right_px: float, down_px: float, clockwise_deg: float, scale: float) -> np.ndarray:
    """The `matrix_rgb_to_ir` of an IR picture that is drawn into the RGB frame by OpenCV's own rotation about the
    middle (clockwise on the screen is a negative angle there), and a shift in RGB pixels.
    """
    stretch = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
    turn = np.vstack([cv2.getRotationMatrix2D((319.5, 239.5), -clockwise_deg, scale), [0.0, 0.0, 1.0]])
    turn[:2, 2] += right_px, down_px
    return np.linalg.inv(turn @ stretch)[:2]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (placed(0, 0, 0, 1.0), "0.0 px right, 0.0 px down, turned by 0.0 degrees clockwise, scaled by 1.000"),
        (placed(12, -5, 3, 1.1), "12.0 px right, 5.0 px up, turned by 3.0 degrees clockwise, scaled by 1.100"),
        (placed(-7.5, 3, -20, 0.8), "7.5 px left, 3.0 px down, turned by 20.0 degrees anticlockwise, scaled by 0.800"),
    ],
)
def test_the_transform_is_said_as_what_happens_to_the_picture(matrix: np.ndarray, words: str) -> None:
    said = str(alignment(matrix)).replace("-0.0", "0.0").replace("left, 0.0", "right, 0.0")
    assert said.startswith("estimated, confidence 0.87: IR 320x240 on RGB 640x480, ")
    if words.startswith("0.0 px right"):  # the sign of nothing is rounding
        words, said = (re.sub("right|left|up|down|anticlockwise|clockwise", "", one) for one in (words, said))
    assert words in said


def test_the_page_shows_numbers_and_a_small_picture() -> None:
    one = alignment(placed(12, -5, 3, 1.1))
    page = one._repr_html_()
    assert "estimated, confidence 0.87" in page
    assert f"{one.matrix_rgb_to_ir[0, 2]:.6g}" in page  # type: ignore[index]
    encoded = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert encoded is not None
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded[1]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape == (240, 320)
    assert one.moved_8bit is not None
    np.testing.assert_array_equal(picture, cv2.resize(one.moved_8bit, (320, 240), interpolation=cv2.INTER_AREA))
    assert len(page) < 200_000


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (alignment(None, "refused"), "no transform"),
        (alignment(None, flow=np.zeros((2, 24, 32), np.float32)), "a dense flow"),
        (alignment(np.array([[1, 0, 0], [0, 1, 0], [1e-4, 0, 1.0]])), "tilted"),
        (Alignment("held", None, np.eye(2, 3), None, (2, 3), np.zeros((1, 1), np.uint16)), "IR 1x1 on RGB 3x2"),
    ],
)
def test_every_kind_is_shown(one: Alignment, words: str) -> None:
    assert words in str(one)
    assert words in one._repr_html_()
    assert ("<img" in one._repr_html_()) == (one.state != "refused")


@pytest.mark.parametrize("matrix", [np.full((2, 3), np.nan), np.zeros((2, 3)), np.zeros((3, 3)), "<script>"])
def test_it_never_raises(matrix: np.ndarray) -> None:
    for ir in (np.zeros(IR_HW, np.uint8), None, "x"):
        broken = Alignment("estimated", 0.5, matrix, None, RGB_HW, ir)  # type: ignore[arg-type]
        assert isinstance(str(broken), str)
        assert "<script>" not in broken._repr_html_()


def test_theta_and_save(tmp_path: Path) -> None:
    one = alignment(placed(12, -5, 3, 1.1))
    assert one.theta is not None
    np.testing.assert_allclose(one.theta, matrix_to_theta(one.matrix_rgb_to_ir, RGB_HW, IR_HW))  # type: ignore[arg-type]
    np.testing.assert_allclose(read_transform(one.save(tmp_path / "rig.yaml")), one.theta, atol=1e-12)
    refused = alignment(None, "refused")
    assert refused.theta is None
    with pytest.raises(InputError, match="is refused and has no matrix to save"):
        refused.save(tmp_path / "other.yaml")
