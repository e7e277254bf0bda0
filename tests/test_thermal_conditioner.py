"""What the conditioner makes of an infrared video: dead pixels, hot spots, polarity, and what it leaves alone."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.thermal_scenes import scene
from vr.runtime.errors import InputError
from vr.runtime.preprocess import to_8bit
from vr.runtime.sources.base import Stamped
from vr.runtime.thermal import HotSpot, ThermalConditioner, ThermalOptions
from vr.runtime.thermal.dead_pixels import DeadPixels
from vr.runtime.thermal.hot_spot import Celsius
from vr.runtime.thermal.palettes import in_colour
from vr.runtime.thermal.step import conditioning

HW = (60, 80)
FPS = 9.0
STUCK = ((10, 20), (0, 0), (59, 79), (30, 0), (40, 41))
Uint16Array = NDArray[np.uint16]


def raw(seed: int, noise: float = 4.0) -> Uint16Array:
    """A scene of a few K in hundredths of a kelvin, with noise of 40 mK."""
    y, x = np.mgrid[: HW[0], : HW[1]]
    wall = 29500.0 + 200.0 * np.sin(x / 17.0) + 150.0 * np.cos(y / 11.0)
    return np.rint(wall + np.random.default_rng(seed).normal(0.0, noise, HW)).astype(np.uint16)


def stuck(frame: Uint16Array) -> Uint16Array:
    out = frame.copy()
    for number, place in enumerate(STUCK):
        out[place] = (0, 65535, 31000)[number % 3]
    return out


def with_lamp(frame: Uint16Array, y: float, x: float, sigma_px: float) -> Uint16Array:
    """A small lamp, 10 K warmer, as a lens shows it."""
    ys, xs = np.mgrid[: HW[0], : HW[1]]
    return (frame + 1000.0 * np.exp(-((ys - y) ** 2 + (xs - x) ** 2) / (2 * sigma_px**2))).astype(np.uint16)


def learnt(frames: int = 80) -> DeadPixels:
    pixels = DeadPixels()
    for number in range(frames):
        pixels(stuck(raw(number)), number / FPS)
    return pixels


def test_stuck_pixels_are_learnt_in_seconds_and_replaced_by_what_is_around() -> None:
    pixels, found = DeadPixels(), raw(0)
    for number in range(80):
        found = pixels(stuck(raw(number)), number / FPS)
        assert pixels.count in (0, len(STUCK)) and (pixels.count == 0 or number / FPS > 4.0)
    assert pixels.count == len(STUCK)
    clean = raw(79)
    away = np.abs(found.astype(int) - clean)
    assert away.max() < 40 and np.count_nonzero(away) <= len(STUCK)


def test_frames_are_not_changed_in_place_and_a_good_sensor_costs_no_copy() -> None:
    pixels, frame = learnt(), stuck(raw(0))
    before = frame.copy()
    assert pixels(frame, 100.0) is not frame
    np.testing.assert_array_equal(frame, before)
    assert DeadPixels()(raw(0), 0.0).base is None
    good = DeadPixels()
    frames = [raw(seed) for seed in range(60)]
    assert all(good(frame, number / FPS) is frame for number, frame in enumerate(frames))


@pytest.mark.parametrize("speed_px", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("sigma_px", [0.6, 1.0, 2.0, 4.0])
def test_a_small_hot_spot_is_not_eaten(sigma_px: float, speed_px: float) -> None:
    """Whether it moves or stays: a lens never lights one pixel alone."""
    pixels = DeadPixels()
    for number in range(120):
        frame = with_lamp(raw(number), 30.0, 20.0 + speed_px * number % 50, sigma_px)
        assert pixels(frame, number / FPS) is frame


def test_a_pixel_that_recovers_is_left_alone_again() -> None:
    pixels = learnt()
    for number in range(80):
        pixels(raw(number), 10.0 + number / FPS)
    assert pixels.count == 0


def test_a_burnt_in_pattern_is_no_defect() -> None:
    pixels = DeadPixels()
    for number in range(80):
        frame = raw(number)
        frame[::4, ::4] = 40000
        assert pixels(frame, number / FPS) is frame


def test_dead_pixels_start_anew_with_another_size() -> None:
    pixels = learnt()
    small = raw(0)[:40]
    assert pixels(small, 20.0) is small and pixels.count == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(2, HW[0] - 3), st.integers(2, HW[1] - 3), st.floats(-20.0, 400.0))
def test_hottest_spot_is_where_the_target_is(y: int, x: int, celsius: float) -> None:
    """A target of 3x3 px; raw in tenths of a kelvin, so that 400 degrees fit."""
    frame = np.full(HW, 2400, np.uint16)
    frame[y - 1 : y + 2, x - 1 : x + 2] = round((celsius + 273.15) * 10.0)
    frame[1, 1] = 65000
    found = Celsius.parse("tlinear-low").hottest(frame)
    if celsius < -20.0:
        return
    assert abs(found.y_ir - y) <= 1 and abs(found.x_ir - x) <= 1
    assert found.celsius == pytest.approx(celsius, abs=0.06)


def test_celsius_texts() -> None:
    assert HotSpot(1, 2, 36.46).text == "36.5 C"
    assert Celsius.parse("tlinear") == Celsius(0.01, -273.15) == Celsius.parse("0.01,-273.15")
    for text in ("", "0.01", "a,b", "0,1", "-0.01,3", "nan,1", "0.01,inf", "1,2,3", "celsius"):
        with pytest.raises(InputError, match="--ir-celsius"):
            Celsius.parse(text)


@pytest.mark.parametrize("shape", [HW, (*HW, 1), (*HW, 3)])
def test_8_bit_grey_passes_as_the_same_object(shape: tuple[int, ...]) -> None:
    frame = np.broadcast_to(scene()[0][: HW[0], : HW[1]].reshape(*HW, *[1] * (len(shape) - 2)), shape).copy()
    conditioner = ThermalConditioner()
    for time_s in (0.0, 0.04, 5.0):
        assert conditioner(frame, time_s).frame8 is frame
    assert conditioner.facts == ()


def test_black_hot_is_turned_over_whatever_the_camera_sends() -> None:
    gray = scene()[0]
    deep = gray.astype(np.uint16) * 40 + 3000
    options = ThermalOptions(ir_polarity="black-hot")
    np.testing.assert_array_equal(ThermalConditioner(options)(gray, 0.0).frame8, 255 - gray)
    np.testing.assert_array_equal(ThermalConditioner(options)(deep, 0.0).frame8, 255 - to_8bit(deep))
    mapped = ThermalConditioner(options)(in_colour(gray, "jet"), 0.0)
    assert mapped.palette == "jet" and np.abs(mapped.frame8.astype(int) - (255 - gray)).mean() < 2.0


def test_coloured_frames_become_intensity_and_the_report_says_so() -> None:
    gray = scene()[0]
    conditioner = ThermalConditioner()
    found = conditioner(in_colour(gray, "ironbow"), 0.0)
    assert found.palette == "ironbow" and found.frame8.ndim == 2
    assert conditioner.facts == ("palette ironbow, recognised, explains 100% of the coloured pixels",)
    off, frame = ThermalConditioner(ThermalOptions(ir_palette="none")), in_colour(gray, "ironbow")
    assert off(frame, 0.0).frame8 is frame and off.facts == ()
    unknown = ThermalConditioner()
    unknown(cv2.applyColorMap(gray, cv2.COLORMAP_HSV), 0.0)  # type: ignore[arg-type]
    assert unknown.facts == ("colours of no known palette, taken by brightness",)


def test_raw_frames_get_all_of_it() -> None:
    conditioner = ThermalConditioner(ThermalOptions(ir_celsius="tlinear"))
    frames = [with_lamp(stuck(raw(number)), 30.0, 50.0, 2.0) for number in range(80)]
    found = [conditioner(frame, number / FPS) for number, frame in enumerate(frames)][-1]
    assert found.frame8.dtype == np.uint8 and found.frame8.shape == HW
    assert found.hot_spot is not None and (found.hot_spot.x_ir, found.hot_spot.y_ir) == (50, 30)
    around = float(np.median(with_lamp(raw(79, 0.0), 30.0, 50.0, 2.0)[29:32, 49:52]))
    assert found.hot_spot.celsius == pytest.approx(around * 0.01 - 273.15, abs=0.2)
    gain, dead = conditioner.facts
    assert gain.startswith("16 bit, gain percentile, last 29") and dead == "5 dead pixels replaced"


def test_size_and_kind_may_change_while_it_runs() -> None:
    conditioner, gray = ThermalConditioner(), scene()[0]
    frames: Sequence[NDArray] = [raw(0), raw(1)[:40, :48], gray, in_colour(gray, "jet"), raw(2)[:, :, None], gray[:50]]
    for number, frame in enumerate(frames):
        assert conditioner(frame, number / FPS).frame8.shape[:2] == frame.shape[:2]


def test_wrong_frames_and_options_are_input_errors() -> None:
    with pytest.raises(InputError, match=r"8 bit.*--ir-16bit"):
        ThermalConditioner(ThermalOptions(ir_celsius="tlinear"))(scene()[0], 0.0)
    with pytest.raises(InputError, match="dtype"):
        ThermalConditioner()(np.zeros(HW, np.float32), 0.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="uint16"):
        ThermalConditioner()(np.zeros((*HW, 3), np.uint16), 0.0)
    for name, value in (("gain", "log"), ("palette", "purple"), ("polarity", "auto"), ("celsius", "hot")):
        with pytest.raises(InputError, match=f"--ir-{name}"):
            ThermalConditioner(ThermalOptions(**{f"ir_{name}": value}))


def test_as_a_step_of_a_source_it_changes_the_frame_and_adds_the_spot() -> None:
    step = conditioning(ThermalConditioner(ThermalOptions(ir_celsius="tlinear")))
    taken = Stamped(raw(0), 1.5, 7, since_s=1.0)
    given = step(taken)
    assert (given.time_s, given.index, given.since_s) == (1.5, 7, 1.0)
    assert given.frame.dtype == np.uint8 and given.hot_spot is not None
    np.testing.assert_array_equal(given.frame, to_8bit(raw(0)))
    assert taken.hot_spot is None
