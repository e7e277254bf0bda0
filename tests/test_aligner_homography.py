"""A homography model through the aligner, the filter over time, and `vr-live`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers import smooth_scene
from tests.live_command import vr_live, write_images
from tests.live_models import write_theta_model
from tests.onnx_models import write_affine
from tests.rig_estimates import FRAME_HW, SHIFT_PX, errors_px, theta_of
from vr.runtime import Aligner
from vr.runtime.evidence import to_point, to_theta
from vr.runtime.geometry import apply_matrix, compose, grid_error_px, theta_to_matrix
from vr.runtime.rigs import RIGS
from vr.runtime.temporal import Fused, ThetaFilter

THETA = np.array([[1.05, 0.02, 0.1], [-0.03, 0.95, -0.08], [0.06, -0.04, 1.0]])
RGB_HW, IR_HW = (60, 90), (40, 70)
RGB = np.dstack([smooth_scene(seed, RGB_HW) for seed in range(3)])
BRIGHT_IR = (smooth_scene(9, IR_HW) // 8 + 216).astype(np.uint8)
DARK_IR = (BRIGHT_IR - 210).astype(np.uint8)


@pytest.fixture
def aligner(tmp_path: Path) -> Aligner:
    return Aligner.load(write_affine(tmp_path / "m.onnx", THETA), provider="cpu", threads=1)


def test_matrix_is_the_model_s_homography_in_native_pixels(aligner: Aligner) -> None:
    """A point at some fraction of the RGB frame lands where theta says, as a fraction of the IR frame."""
    assert aligner.info.kind == "homography"
    one = aligner.estimate(BRIGHT_IR, RGB)
    assert (one.state, one.flow) == ("estimated", None)
    matrix = one.matrix_rgb_to_ir
    assert matrix is not None
    assert (matrix.shape, matrix.dtype, matrix[2, 2]) == ((3, 3), np.float64, 1.0)
    u, v, w = THETA @ (2.0 * (30 + 0.5) / 90 - 1.0, 2.0 * (20 + 0.5) / 60 - 1.0, 1.0)
    expected = (u / w + 1.0) * 70 / 2 - 0.5, (v / w + 1.0) * 40 / 2 - 0.5
    np.testing.assert_allclose(apply_matrix(matrix, (30.0, 20.0)), expected, atol=1e-5)


def test_moved_and_source_map_are_those_of_cv2(aligner: Aligner) -> None:
    one = aligner.estimate(BRIGHT_IR, RGB)
    assert one.matrix_rgb_to_ir is not None and one.moved is not None
    ys, xs = np.mgrid[: RGB_HW[0], : RGB_HW[1]].astype(np.float64)
    wanted = cv2.perspectiveTransform(np.stack([xs, ys], axis=-1), one.matrix_rgb_to_ir)
    np.testing.assert_allclose(one.source_map_xy(), wanted, atol=1e-4)
    moved = cv2.remap(BRIGHT_IR, wanted.astype(np.float32), None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    assert np.abs(one.moved[:, :, 0].astype(int) - moved).max() <= 4  # of 220, at the border: cv2 rounds to 1/32 px
    assert one.overlay(RGB).shape == RGB.shape


@pytest.mark.parametrize(
    "theta",
    [
        [[1, 0, 0], [0, 1, 0], [0.7, 0.7, 1]],
        [[1, 0, 0], [0, 1, 0], [0.5, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, -0.5, 1]],
        [[1, 0, 0], [0, -1, 0], [0.01, 0, 1]],
        [[1, 0, 2.1], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [np.nan, 0, 1]],
    ],
    ids=["horizon in the frame", "side blown up", "top blown up", "mirrored", "shifted", "nan"],
)
def test_implausible_homography_is_refused(tmp_path: Path, theta: list[list[float]]) -> None:
    aligner = Aligner.load(write_affine(tmp_path / "m.onnx", theta), provider="cpu", threads=1)
    assert aligner.estimate(BRIGHT_IR, RGB).state == "refused"


def test_strong_tilt_of_a_camera_is_plausible(tmp_path: Path) -> None:
    """15 degrees to the side and 10 up, seen with a field of view of 60 degrees."""
    inward, up = np.deg2rad(15.0), np.deg2rad(10.0)
    turn = cv2.Rodrigues(np.array([0.0, inward, 0.0]))[0] @ cv2.Rodrigues(np.array([up, 0.0, 0.0]))[0]
    camera = np.diag([1 / np.tan(np.deg2rad(30.0)), 1 / np.tan(np.deg2rad(23.0)), 1.0])
    theta = camera @ turn @ np.linalg.inv(camera)
    aligner = Aligner.load(write_affine(tmp_path / "m.onnx", theta / theta[2, 2]), provider="cpu", threads=1)
    assert aligner.estimate(BRIGHT_IR, RGB).state == "estimated"


def test_video_goes_through_the_filter_and_holds(tmp_path: Path) -> None:
    aligner = Aligner.load(write_affine(tmp_path / "m.onnx", THETA), provider="cpu", threads=1, rig="moving")
    good = aligner(BRIGHT_IR, RGB, time_s=0.0)
    states = [aligner(DARK_IR, RGB, time_s=time_s).state for time_s in (0.1, 5.1)]
    assert [good.state, *states] == ["estimated", "held", "refused"]
    assert good.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(good.matrix_rgb_to_ir, theta_to_matrix(THETA, RGB_HW, IR_HW), atol=1e-5)


def test_length_in_the_filter_is_the_rms_displacement_over_the_frame() -> None:
    """Near the identity, where the filter's measure is meant to hold for the projective entries."""
    rng = np.random.default_rng(0)
    small = rng.normal(0.0, 1e-3, (3, 3)) * np.array([[1.0], [1.0], [2.0]])
    small[2, 2] = 0.0
    points = rng.uniform(-1.0, 1.0, (200_000, 2))
    moved = (apply_matrix(np.eye(3) + small, points) - points) / 2.0
    length = np.linalg.norm(to_point(np.eye(3) + small) - to_point(np.eye(3)))
    assert length == pytest.approx(np.sqrt((moved**2).sum(axis=1).mean()), rel=0.01)
    np.testing.assert_allclose(to_theta(to_point(THETA)), THETA, atol=1e-14)


@dataclass
class Rig:
    """A filter and the answers of a homography model of 1 px rms noise over the frame at 320x240."""

    rig: str = "fixed"
    shown: list[Fused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._filter = ThetaFilter(RIGS[self.rig])
        self._rng = np.random.default_rng(0)

    def see(self, truth: np.ndarray) -> np.ndarray:
        """The next frame's answer, after the filter has had it."""
        step = to_theta(to_point(np.eye(3)) + self._rng.normal(0.0, SHIFT_PX / 2 / np.sqrt(8), 8))
        answer = compose(truth, step)
        self.shown.append(self._filter.update(answer, 0.95, None, len(self.shown) / 30))
        return answer


def error_px(theta: np.ndarray, truth: np.ndarray) -> float:
    found, wanted = (theta_to_matrix(one, FRAME_HW, FRAME_HW) for one in (theta, truth))
    return grid_error_px(found, wanted, FRAME_HW)


def test_fixed_rig_is_steadied() -> None:
    rig = Rig()
    raw = [error_px(rig.see(THETA), THETA) for _ in range(300)]
    assert np.median(raw) > 0.6
    late = errors_px(rig.shown[30:], THETA)
    assert {one.state for one in rig.shown} == {"estimated"}
    assert np.median(late) < 0.2
    assert late.max() < 0.4
    thetas = np.array([theta_of(one) for one in rig.shown])
    assert thetas.shape == (300, 3, 3)
    assert (thetas[:, 2, 2] == 1.0).all()


@pytest.mark.parametrize("rig", RIGS)
def test_rig_that_is_tilted_by_a_knock_is_right_again_within_two_seconds(rig: str) -> None:
    """The middle of the frame stays; the corners are off by 14 to 20 px."""
    one, tilted = Rig(rig), THETA + np.array([[0.0] * 3, [0.0] * 3, [0.08, 0.0, 0.0]])
    assert 4.0 < error_px(THETA, tilted) < 12.0
    for truth in [THETA] * 60 + [tilted] * 60:
        one.see(truth)
    assert errors_px(one.shown[50:60], THETA).max() < 1.5
    assert errors_px(one.shown[-10:], tilted).max() < 1.5


def test_live_run_writes_homographies(tmp_path: Path) -> None:
    model = write_theta_model(tmp_path / "m.onnx", THETA, confidence=0.9)
    ir = write_images(tmp_path / "ir", 3, (60, 80), channels=1)
    rgb = write_images(tmp_path / "rgb", 3, (96, 128))
    ended = vr_live(
        *("--ir", ir, "--rgb", rgb, "--model", model, "--no-window", "--record", tmp_path / "png"),
        *("--transforms", tmp_path / "t.jsonl", "--flows", tmp_path / "flows"),
    )
    assert (ended.code, ended.err) == (0, "")
    assert "constant (homography)" in ended.out
    expected = theta_to_matrix(THETA, (96, 128), (60, 80))
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    for line in lines:
        assert line["matrix_rgb_to_ir"][2][2] == 1.0
        np.testing.assert_allclose(line["matrix_rgb_to_ir"], expected, atol=1e-5)
    source_xy = np.load(tmp_path / "flows" / "2.npy")
    assert source_xy.shape == (96, 128, 2) and source_xy.dtype == np.float32
    np.testing.assert_allclose(source_xy[50, 70], apply_matrix(expected, (70.0, 50.0)), atol=1e-4)
