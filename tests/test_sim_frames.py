"""What the simulator's frames are: repeatable, different in look, alike in structure."""

import cv2
import numpy as np
import pytest

from vr.runtime.errors import InputError
from vr.runtime.sim import Simulator
from vr.runtime.sim.scene import KINDS

ALIGNED = np.eye(2, 3)


def gradient(gray: np.ndarray) -> np.ndarray:
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.5)
    return np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def aligned_gray_pairs(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for seed in range(500, 500 + count):
        ir, rgb = Simulator(seed, (120, 160), (120, 160), misalignment=ALIGNED, drift_px_s=0.0).frames(3)
        pairs.append((ir, cv2.cvtColor(rgb, cv2.COLOR_BGR2GRAY)))
    return pairs


def test_frames_have_the_documented_shapes() -> None:
    simulator = Simulator(0, rgb_hw=(96, 128), ir_hw=(60, 80), fps=25.0)
    ir, rgb = simulator.frames(5)
    ir_mask, rgb_mask = simulator.person_masks(5)
    assert (ir.shape, ir.dtype) == ((60, 80), np.uint8)
    assert (rgb.shape, rgb.dtype) == ((96, 128, 3), np.uint8)
    assert (ir_mask.shape, rgb_mask.shape) == ((60, 80), (96, 128))
    assert simulator.time_s(5) == pytest.approx(0.2)
    assert simulator.matrix_rgb_to_ir(5).shape == (2, 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_gives_the_same_frames_in_any_order(seed: int) -> None:
    first, second = (Simulator(seed, (96, 128), (60, 80)) for _ in range(2))
    forwards = {index: first.frames(index) for index in (0, 7, 90)}
    masks = first.person_masks(7)
    for index in (90, 0, 7):
        for one, other in zip(forwards[index], second.frames(index), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(masks, second.person_masks(7), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frame_may_be_written_into_without_harm_to_later_ones() -> None:
    simulator = Simulator(3, (96, 128), (96, 128))
    ir, rgb = simulator.frames(2)
    kept = ir.copy(), rgb.copy()
    ir[:], rgb[:] = 0, 0
    for one, other in zip(kept, simulator.frames(2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_differ_and_all_kinds_of_scene_occur() -> None:
    simulators = [Simulator(seed, (48, 64), (48, 64)) for seed in range(24)]
    assert {simulator.scene.kind for simulator in simulators} == set(KINDS)
    pictures = {simulator.frames(0)[1].tobytes() for simulator in simulators}
    assert len(pictures) == len(simulators)


def test_people_move_and_are_nearly_always_there() -> None:
    shares: list[float] = []
    for seed in range(16):
        simulator = Simulator(seed, (120, 160), (120, 160))
        early, late = (simulator.person_masks(index)[1] for index in (0, 45))
        shares.append(float(early.mean()))
        if early.any():
            assert (early != late).any()
    assert np.mean(np.array(shares) > 0.003) > 0.85
    assert np.median(shares) < 0.3


def test_people_are_seen_in_both_pictures() -> None:
    """Where the mask is, both pictures differ from the same scene without people."""
    simulator = Simulator(5, (240, 320), (240, 320), misalignment=ALIGNED, drift_px_s=0.0)
    heat, bgr, person = simulator.scene.render(1.0)
    still_heat, still_bgr = simulator.scene.backdrop
    solid, elsewhere = person > 250, person == 0
    assert (heat != still_heat)[solid].mean() > 0.9
    assert (bgr != still_bgr).any(axis=2)[solid].mean() > 0.9
    assert (heat != still_heat)[elsewhere].mean() < 0.2


def test_grey_levels_do_not_correlate_but_structure_does() -> None:
    """Over 120 seeds at 320x240: grey levels -0.30 (10th to 90th percentile -0.62 to 0.31), gradients 0.44, medians.

    201 real aligned pairs of road scenes give, in the same measure, 0.14 (-0.67 to 0.50) and 0.32.
    """
    pairs = aligned_gray_pairs(24)
    grey = np.array([correlation(ir, rgb) for ir, rgb in pairs])
    own = np.array([correlation(gradient(ir), gradient(rgb)) for ir, rgb in pairs])
    others = [correlation(gradient(pairs[k][0]), gradient(pairs[k - 1][1])) for k in range(len(pairs))]
    assert abs(grey.mean()) < 0.35
    assert grey.min() < -0.2 and grey.max() > 0.2
    assert own.mean() > 0.35
    assert own.mean() > np.mean(others) + 0.25


def test_frames_use_the_range_and_are_not_empty() -> None:
    for seed in range(12):
        ir, rgb = Simulator(seed, (120, 160), (120, 160)).frames(0)
        assert 8 < ir.mean() < 247 and ir.std() > 10
        assert 8 < rgb.mean() < 247 and rgb.std() > 5


def test_time_stands_for_the_index() -> None:
    slow, fast = (Simulator(6, (96, 128), (96, 128), fps=fps) for fps in (10.0, 20.0))
    np.testing.assert_array_equal(slow.person_masks(10)[1], fast.person_masks(20)[1])
    np.testing.assert_array_equal(slow.matrix_rgb_to_ir(10), fast.matrix_rgb_to_ir(20))


def test_the_same_appearance_is_one_grey_scene() -> None:
    ir, rgb = Simulator(0, (96, 128), (96, 128), misalignment=ALIGNED, drift_px_s=0.0, appearance="same").frames(4)
    for channel in range(3):
        np.testing.assert_array_equal(rgb[..., channel], ir)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"rgb_hw": (16, 64)}, "RGB frame is 64x16 px; expected sides of 32 to 4096"),
        ({"ir_hw": (64, 5000)}, "IR frame is 5000x64 px"),
        ({"seed": -1}, "seed is -1"),
        ({"fps": 0.0}, "frame rate is 0.0"),
        ({"fps": float("nan")}, "frame rate is nan"),
        ({"drift_px_s": -1.0}, "drift is -1.0"),
        ({"appearance": "painted"}, "unknown appearance 'painted'"),
        ({"misalignment": np.zeros((2, 3))}, "expected a 2x3 affine"),
        ({"misalignment": np.eye(3)}, "expected a 2x3 affine"),
        ({"misalignment": np.eye(2, 3) * 0.05}, "use smaller frames or a scale nearer to 1"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Simulator(**arguments)  # type: ignore[arg-type]


def test_a_negative_frame_is_refused() -> None:
    with pytest.raises(InputError, match="frame -1 does not exist"):
        Simulator(0, (48, 64), (48, 64)).frames(-1)
