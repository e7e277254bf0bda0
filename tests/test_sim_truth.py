"""The transform that the simulator names is the one between its frames."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vr.runtime.geometry import apply_affine, grid_error_px, grid_points, theta_to_matrix
from vr.runtime.sim import DEFAULT_MISALIGNMENT, Simulator, affine_theta, random_misalignment

SIZES = [((240, 320), (240, 320)), ((240, 320), (120, 160)), ((180, 320), (256, 256)), ((120, 160), (240, 320))]


def on_rgb_grid(ir: NDArray[np.uint8], matrix_rgb_to_ir: NDArray[np.float64], rgb_hw: tuple[int, int]) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(ir, matrix_rgb_to_ir, rgb_hw[::-1], flags=flags)


def seen_by_both(simulator: Simulator, index: int, margin_px: int = 6) -> NDArray[np.bool_]:
    full = np.full(simulator.ir_hw, 255, np.uint8)
    inside = on_rgb_grid(full, simulator.matrix_rgb_to_ir(index), simulator.rgb_hw) == 255
    kernel = np.ones((2 * margin_px + 1,) * 2, np.uint8)
    return cv2.erode(inside.astype(np.uint8), kernel, borderValue=0) > 0


@pytest.mark.parametrize(("rgb_hw", "ir_hw"), SIZES)
@pytest.mark.parametrize("index", [0, 400])
def test_warping_the_ir_frame_gives_the_rgb_frame(rgb_hw: tuple[int, int], ir_hw: tuple[int, int], index: int) -> None:
    simulator = Simulator(4, rgb_hw, ir_hw, appearance="same")
    ir, rgb = simulator.frames(index)
    inside = seen_by_both(simulator, index)
    warped = on_rgb_grid(ir, simulator.matrix_rgb_to_ir(index), rgb_hw)
    softened = [cv2.GaussianBlur(frame, (0, 0), 2.5).astype(float)[inside] for frame in (warped, rgb[..., 0])]
    error = np.abs(softened[0] - softened[1])
    unaligned = cv2.resize(ir, rgb_hw[::-1], interpolation=cv2.INTER_AREA)
    before = np.abs(cv2.GaussianBlur(unaligned, (0, 0), 2.5).astype(float)[inside] - softened[1])
    assert inside.mean() > 0.7
    assert error.mean() < 1.5
    assert np.percentile(error, 99) < 8.0
    assert error.mean() < 0.15 * before.mean()


@pytest.mark.parametrize(("rgb_hw", "ir_hw"), SIZES)
def test_no_fraction_of_a_pixel_is_lost(rgb_hw: tuple[int, int], ir_hw: tuple[int, int]) -> None:
    """Phase correlation, which knows nothing of the simulator, finds no shift that is left over."""
    shifts: list[tuple[float, float]] = []
    for seed in range(6):
        simulator = Simulator(seed, rgb_hw, ir_hw, appearance="same", drift_px_s=0.0)
        ir, rgb = simulator.frames(0)
        inside = seen_by_both(simulator, 0).astype(np.float32)
        warped = on_rgb_grid(ir, simulator.matrix_rgb_to_ir(0), rgb_hw)
        window = cv2.createHanningWindow(rgb_hw[::-1], cv2.CV_32F)
        shift, _ = cv2.phaseCorrelate(warped * inside, rgb[..., 0] * inside, window)
        shifts.append((shift[0], shift[1]))
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.06


def test_the_first_frame_has_the_named_misalignment() -> None:
    simulator = Simulator(1, (120, 160), (96, 96))
    expected = theta_to_matrix(DEFAULT_MISALIGNMENT, (120, 160), (96, 96))
    np.testing.assert_allclose(simulator.matrix_rgb_to_ir(0), expected, atol=1e-9)


def test_the_default_is_a_rig_that_nobody_calibrated() -> None:
    truth = Simulator(0).matrix_rgb_to_ir(0)
    centre = apply_affine(truth, (319.5, 239.5)) - (319.5, 239.5)
    np.testing.assert_allclose(centre, (0.07 * 640, -0.045 * 480), atol=0.5)
    assert np.sqrt(np.linalg.det(truth[:, :2])) == pytest.approx(0.92, abs=0.005)
    assert grid_error_px(np.eye(2, 3), truth, (480, 640)) == pytest.approx(52.5, abs=1.0)


def test_affine_theta_turns_x_towards_y_and_scales() -> None:
    matrix = theta_to_matrix(affine_theta((0.0, 0.0), 90.0, (1.0, 1.0), 0.0), (240, 320), (240, 320))
    np.testing.assert_allclose(matrix[:, :2], [[0.0, -1.0], [1.0, 0.0]], atol=1e-12)
    matrix = theta_to_matrix(affine_theta((0.1, -0.2), 0.0, (2.0, 3.0), 0.0), (240, 320), (240, 320))
    np.testing.assert_allclose(matrix[:, :2], np.diag([2.0, 3.0]), atol=1e-12)
    np.testing.assert_allclose(apply_affine(matrix, (159.5, 119.5)), (159.5 + 32.0, 119.5 - 48.0), atol=1e-9)


@pytest.mark.parametrize("speed_px_s", [0.5, 2.0])
def test_the_drift_has_the_named_speed(speed_px_s: float) -> None:
    simulator = Simulator(2, (120, 160), (240, 320), fps=1.0, drift_px_s=speed_px_s)
    points = grid_points((120, 160))
    seen = np.array([apply_affine(simulator.matrix_rgb_to_ir(i), points) for i in range(3000)])
    speed = np.linalg.norm(np.diff(seen, axis=0), axis=2)
    assert np.sqrt((speed**2).mean()) == pytest.approx(speed_px_s, rel=0.15)


def test_no_drift_keeps_the_transform() -> None:
    simulator = Simulator(2, (64, 96), (64, 96), drift_px_s=0.0)
    np.testing.assert_array_equal(simulator.matrix_rgb_to_ir(0), simulator.matrix_rgb_to_ir(12345))


@pytest.mark.parametrize(("rgb_hw", "ir_hw"), SIZES)
def test_both_frames_stay_inside_the_scene(
    rgb_hw: tuple[int, int], ir_hw: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canvas with a dark rim: no frame shows any of it, at any time, under wild misalignments."""
    rng = np.random.default_rng(7)
    for seed in range(3):
        theta = random_misalignment(rng)
        simulator = Simulator(seed, rgb_hw, ir_hw, misalignment=theta, drift_px_s=3.0, fps=1.0, appearance="same")
        bgr = np.full((*simulator.scene.canvas_hw, 3), 200, np.uint8)
        bgr[:2], bgr[-2:], bgr[:, :2], bgr[:, -2:] = 0, 0, 0, 0
        monkeypatch.setattr(simulator.scene, "render", lambda time_s, bgr=bgr: (bgr[..., 0], bgr, bgr[..., 0]))
        for index in range(0, 200, 7):
            ir, rgb = simulator.frames(index)
            assert ir.min() == 200 and rgb.min() == 200


@pytest.mark.parametrize("seed", range(4))
def test_the_person_masks_agree_with_the_truth(seed: int) -> None:
    hw = (720, 960)
    simulator = Simulator(seed, hw, hw)
    ir_mask, rgb_mask = simulator.person_masks(90)
    inside = seen_by_both(simulator, 90)
    warped = on_rgb_grid(ir_mask * np.uint8(255), simulator.matrix_rgb_to_ir(90), hw) > 127
    here, there = warped & inside, (rgb_mask > 0) & inside
    assert set(np.unique(rgb_mask)) <= {0, 1} and set(np.unique(ir_mask)) <= {0, 1}
    assert there.sum() > 500
    assert (here & there).sum() / (here | there).sum() > 0.97


def test_random_misalignments_stay_within_their_limits_and_fill_them() -> None:
    rng = np.random.default_rng(0)
    thetas = np.array([random_misalignment(rng, 0.1, 10.0, (0.8, 1.25), 0.0) for _ in range(500)])
    shifts = np.abs(thetas[:, :, 2]) / 2.0
    scales = np.sqrt(np.linalg.det(thetas[:, :, :2]))
    turns = np.rad2deg(np.arctan2(thetas[:, 1, 0] * 3.0 / 4.0, thetas[:, 0, 0]))
    assert 0.095 < shifts.max() <= 0.1
    assert 0.8 <= scales.min() < 0.82 and 1.22 < scales.max() <= 1.25
    assert 9.5 < np.abs(turns).max() <= 10.5
