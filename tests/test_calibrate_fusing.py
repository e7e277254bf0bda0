"""One transform from many answers, and the hints while they are gathered, against answers and pictures made here."""

import numpy as np
import pytest

from tests.rig_footage import rig
from vr.runtime.calibration.fusing import Sighting, corners_off_px, fuse, most_agreed
from vr.runtime.calibration.hints import DARK, FLAT, GOOD, LATEST, MOVE, UNSURE, Hints
from vr.runtime.errors import InputError
from vr.runtime.notices import Notice

HW = (240, 320)
TRUTH = rig(6.0, 0.9)


def noisy(rng: np.random.Generator, size: float = 0.004) -> Sighting:
    return Sighting(TRUTH + size * rng.normal(size=(2, 3)), 0.95, 1e4 * np.eye(6))


def test_the_mean_is_nearer_than_single_answers_and_outliers_do_not_count() -> None:
    rng = np.random.default_rng(0)
    frames = [[noisy(rng)] for _ in range(30)] + [[Sighting(rig(40.0), 0.99, 1e4 * np.eye(6))] for _ in range(12)]
    found = fuse(frames, 50, HW)
    assert (found.looked, found.answered, found.agreeing) == (50, 42, 30)
    singles = [corners_off_px(frame[0].theta, TRUTH, HW) for frame in frames[:30]]
    assert corners_off_px(found.theta, TRUTH, HW) < 0.5 * np.median(singles)


def test_frames_that_show_nothing_of_a_direction_say_nothing_of_it() -> None:
    """Upright edges determine the first row of theta alone; the second row is wrong, and weighs nothing."""
    half = np.diag([1e4, 1e4, 1e4, 0.0, 0.0, 0.0])
    wrong = TRUTH + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.02]])
    frames = [[Sighting(TRUTH, 0.9, 1e4 * np.eye(6))], [Sighting(wrong, 0.9, half)]] * 10
    assert corners_off_px(fuse(frames, 20, HW).theta, TRUTH, HW) < 0.3


def test_the_uncertainty_follows_the_scatter_between_blocks() -> None:
    rng = np.random.default_rng(1)
    calm, wild = (fuse([[noisy(rng, size)] for _ in range(40)], 40, HW).uncertainty_px for size in (0.0005, 0.008))
    assert wild > calm > 1.0
    again = fuse([[noisy(rng, 0.0005)] for _ in range(40)], 40, (480, 640)).uncertainty_px
    assert again == pytest.approx(2 * calm, rel=0.2)


def test_too_few_are_refused_with_what_to_do() -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(InputError, match="sure of 5 of 40 frames; expected at least 8"):
        fuse([[noisy(rng)] for _ in range(5)], 40, HW)
    scattered = [[Sighting(rig(float(turn)), 0.9, None)] for turn in range(0, 360, 12)]
    with pytest.raises(InputError, match="of the 30 frames that the network was sure of agree"):
        fuse(scattered, 40, HW)
    with pytest.raises(InputError, match="sure of 0 of 40"):
        fuse([[] for _ in range(40)], 40, HW)
    assert most_agreed([]) is None


def test_corners_are_measured_in_the_colour_picture() -> None:
    """A shift of the infrared picture by 8 of 320 px, of frames of which IR sees twice as much."""
    theta = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    moved = theta + np.array([[0.0, 0.0, 0.5 * 8 / 160], [0.0, 0.0, 0.0]])
    assert corners_off_px(theta, moved, HW) == pytest.approx(8.0)


def pictures(rng: np.random.Generator, level: float = 120.0) -> tuple[np.ndarray, np.ndarray]:
    noise = rng.normal(size=(120, 160, 4)) * 0.3 * level + level
    frame = np.clip(noise, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(frame[..., 0]), np.ascontiguousarray(frame[..., 1:])


def test_hints_say_what_helps() -> None:
    rng = np.random.default_rng(3)
    lively, dark, flat, still, unsure = (Hints(needs_motion=True) for _ in range(5))
    ir, rgb = pictures(rng)
    for number in range(LATEST):
        moving = rgb.copy()
        moving[20:60, 10 * number : 10 * number + 30] = 250
        lively.add(np.ascontiguousarray(moving[..., 0]), moving, True)
        dark.add(ir, pictures(rng, 8.0)[1], True)
        flat.add(np.full_like(ir, 90), rgb, True)
        still.add(ir, rgb, True)
        unsure.add(ir, rgb, False)
    assert [one.text() for one in (lively, dark, flat, still, unsure)] == [GOOD, DARK, FLAT["ir"], MOVE, UNSURE]
    assert lively.text((Notice("ir lost", 1.0),)) == "ir lost: check that camera and its cable"
    calm = Hints(needs_motion=False)
    for _ in range(LATEST):
        calm.add(ir, rgb, True)
    assert calm.text() == GOOD
