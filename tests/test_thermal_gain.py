"""16-bit infrared to 8 bit over time: against np.percentile, and that nothing flickers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vr.runtime.preprocess import to_8bit
from vr.runtime.thermal.gain import GAINS, Gain

HW = (120, 160)
FPS = 25.0


def room(seed: int = 0, level: float = 29500.0, noise: float = 5.0) -> NDArray[np.uint16]:
    """A wall that grows warmer from left to right by 8 K (hundredths of a kelvin), and noise."""
    rng = np.random.default_rng(seed)
    wall = level + 800.0 * np.linspace(0.0, 1.0, HW[1]) + rng.normal(0.0, noise, HW)
    return np.clip(np.rint(wall), 0, 65535).astype(np.uint16)


def with_person(frame: NDArray[np.uint16], left: int, width: int = 30) -> NDArray[np.uint16]:
    """Someone of 34 degrees C, of which columns from `left` on are in the picture."""
    out = frame.copy()
    out[30:120, max(left, 0) : max(left + width, 0)] = 30715
    return out


def settled(kind: str, frame: NDArray[np.uint16], frames: int = 5) -> Gain:
    gain = Gain(kind)
    for number in range(frames):
        gain(frame, number / FPS)
    return gain


def test_first_frame_is_stretched_as_a_single_frame_is() -> None:
    frame = with_person(room(), 60)
    np.testing.assert_array_equal(Gain("percentile")(frame, 3.0), to_8bit(frame))


@pytest.mark.parametrize("kind", GAINS)
def test_a_still_scene_keeps_its_grey_levels(kind: str) -> None:
    gain = settled(kind, room(0))
    pictures = np.stack([gain(room(seed), 1.0 + seed / FPS).astype(float) for seed in range(20)])
    assert np.abs(np.diff(pictures.mean(axis=(1, 2)))).max() < 0.5


@pytest.mark.parametrize("kind", GAINS)
def test_a_person_who_enters_makes_nothing_flicker(kind: str) -> None:
    """One frame to the next the wall changes by little; alone, each frame would get another gain."""
    gain, walls, alone = settled(kind, room()), list[float](), list[float]()
    for number in range(50):
        frame = with_person(room(), -30 + 4 * number)
        walls.append(float(gain(frame, 0.2 + number / FPS)[:25].mean()))
        alone.append(float(Gain(kind)(frame, 0.0)[:25].mean()))
    steps, steps_alone = np.abs(np.diff(walls)).max(), np.abs(np.diff(alone)).max()
    assert steps < 4.0 and steps < 0.5 * steps_alone


def test_person_stays_the_brightest_and_the_gain_follows_in_time() -> None:
    gain, frame = settled("percentile", room()), with_person(room(), 60)
    first = gain(frame, 0.2)
    assert (first[40:110, 65:85] == 255).all()
    last = [gain(frame, 0.2 + number / FPS) for number in range(100)][-1]
    low, high = np.percentile(frame[::4, ::4], (1, 99))
    assert gain.limits == pytest.approx((low, high), abs=0.05 * (high - low))
    assert last[:25].mean() < first[:25].mean() - 10.0


@pytest.mark.parametrize("fps", [9.0, 60.0])
@pytest.mark.parametrize("step", [6000.0, -6000.0, 300.0])
def test_another_exposure_is_followed_within_a_second_at_any_frame_rate(step: float, fps: float) -> None:
    gain = settled("percentile", room())
    now = room(1, 29500.0 + step)
    picture = [gain(now, 0.2 + number / fps) for number in range(round(fps) + 1)][-1]
    assert np.abs(picture.astype(float) - to_8bit(now)).mean() < 16.0


def test_a_shutter_frame_does_not_leave_the_gain_spoilt() -> None:
    gain, shutter = settled("percentile", room()), np.full(HW, 29900, np.uint16)
    for number in range(8):
        gain(shutter, 0.2 + number / FPS)
    picture = [gain(room(), 0.6 + number / FPS) for number in range(26)][-1]
    assert np.abs(picture.astype(float) - to_8bit(room())).mean() < 12.0


@pytest.mark.parametrize("kind", GAINS)
def test_one_hot_spot_does_not_take_the_grey_levels(kind: str) -> None:
    frame = room()
    frame[50:60, 70:80] = 60000
    picture = Gain(kind)(frame, 0.0)
    wall = picture[80:, :]
    assert float(wall[:, -10:].mean()) - float(wall[:, :10].mean()) > 180.0
    assert picture[55, 75] == picture.max()


@pytest.mark.parametrize("kind", GAINS)
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_dead_pixels_do_not_count(kind: str, share: float) -> None:
    clean, rng = room(), np.random.default_rng(2)
    broken = clean.copy()
    draw = rng.random(HW)
    broken[draw < share], broken[draw > 1.0 - share] = 0, 65535
    alive = (draw >= share) & (draw <= 1.0 - share)
    difference = Gain(kind)(broken, 0.0)[alive].astype(float) - Gain(kind)(clean, 0.0)[alive]
    assert np.abs(difference).mean() < 4.0


@pytest.mark.parametrize("kind", GAINS)
def test_vignetting_leaves_a_person_visible(kind: str) -> None:
    y, x = np.mgrid[: HW[0], : HW[1]]
    radius2 = ((x - 80) ** 2 + (y - 60) ** 2) / (80.0**2 + 60.0**2)
    frame = (with_person(room(), 65).astype(float) - 1500.0 * radius2).astype(np.uint16)
    picture = Gain(kind)(frame, 0.0).astype(float)
    assert picture[50:70, 70:90].mean() - picture[10:25, 70:90].mean() > 40.0


@pytest.mark.parametrize("kind", GAINS)
@pytest.mark.parametrize("level", [0, 1, 29000, 65535])
def test_constant_frames_stay_constant(kind: str, level: int) -> None:
    gain = Gain(kind)
    for time_s in (0.0, 0.1, 5.0):
        picture = gain(np.full((16, 16), level, np.uint16), time_s)
        assert picture.dtype == np.uint8 and len(np.unique(picture)) == 1


def test_plateau_gives_a_small_warm_thing_more_levels_than_a_stretch() -> None:
    """A cold sky and a warm ground far apart: what is on the ground is lost in a stretch."""
    rng = np.random.default_rng(0)
    frame = np.where(np.arange(HW[0])[:, None] < 60, 24000.0, 29500.0) + rng.normal(0.0, 15.0, HW)
    frame[80:100, 60:80] += 150.0
    raised = {kind: Gain(kind)(frame.astype(np.uint16), 0.0).astype(float) for kind in GAINS}
    contrast = {kind: one[80:100, 60:80].mean() - one[100:, :].mean() for kind, one in raised.items()}
    assert contrast["plateau"] > 5.0 * contrast["percentile"] > 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(GAINS), st.integers(1, 4))
def test_warmer_is_never_darker(seed: int, kind: str, frames: int) -> None:
    rng = np.random.default_rng(seed)
    gain = Gain(kind)
    frame, picture = np.zeros((1, 1), np.uint16), np.zeros((1, 1), np.uint8)
    for number in range(frames):
        low, high = np.sort(rng.integers(0, 65536, 2))
        frame = rng.integers(low, high + 1, (16, 20)).astype(np.uint16)
        picture = gain(frame, number * float(rng.uniform(0.0, 2.0)))
    order = np.argsort(frame.ravel(), kind="stable")
    assert (np.diff(picture.ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("kind", GAINS)
def test_time_that_stands_still_or_runs_back_changes_nothing_much(kind: str) -> None:
    gain = settled(kind, room())
    before = gain(room(), 10.0)
    for time_s in (10.0, 2.0, 2.0):
        np.testing.assert_allclose(gain(room(), time_s).astype(int), before, atol=1)
