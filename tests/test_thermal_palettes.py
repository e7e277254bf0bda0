"""Coloured infrared: which palette it is, and back to intensity; against OpenCV's own colour maps."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers import shared_data
from tests.thermal_scenes import as_jpeg, scene, with_camera_text
from vr.runtime.errors import InputError
from vr.runtime.thermal.palettes import COLOURED, DISPLAY, RECOGNISED, colour_table, in_colour
from vr.runtime.thermal.recognition import PaletteReader, look_at, to_intensity

Uint8Array = NDArray[np.uint8]
FPS = 25.0
OPENCV = {
    "inferno": cv2.COLORMAP_INFERNO,
    "jet": cv2.COLORMAP_JET,
    "hot": cv2.COLORMAP_HOT,
    "turbo": cv2.COLORMAP_TURBO,
    "ocean": cv2.COLORMAP_OCEAN,
}


def error(found: Uint8Array, intensity: Uint8Array) -> float:
    """Mean absolute, in grey levels."""
    return float(np.abs(found.astype(int) - intensity.astype(int)).mean())


@pytest.mark.parametrize("name", OPENCV)
def test_colours_are_opencv_s(name: str) -> None:
    gray = scene()[0]
    np.testing.assert_array_equal(in_colour(gray, name), cv2.applyColorMap(gray, OPENCV[name]))


def test_rainbow_shows_cold_in_blue_and_hot_in_red() -> None:
    gray = scene()[0]
    np.testing.assert_array_equal(in_colour(gray, "rainbow"), cv2.applyColorMap(255 - gray, cv2.COLORMAP_RAINBOW))
    cold, hot = colour_table("rainbow")[[30, 255]].astype(int)
    assert cold[0] > cold[2] and hot[2] > hot[0]


def test_ironbow_is_the_palette_that_everybody_describes() -> None:
    """Black, blue, magenta, orange, yellow, white: the order of hues of gnuplot's formula, which is told to be near it,
    r = sqrt(x), g = x^3, b = sin(2 pi x); and brighter all the way.
    """
    table = colour_table("ironbow").astype(float)
    luma = table @ [0.114, 0.587, 0.299]
    assert (np.diff(luma) > -0.6).all() and luma[0] < 5 and luma[255] > 245
    x = np.linspace(0.02, 0.9, 60)
    gnuplot = np.stack([np.clip(np.sin(2 * np.pi * x), 0, 1), x**3, np.sqrt(x)], axis=1)
    ours = table[np.rint(x * 255).astype(int)]
    chroma = [one - one.mean(axis=1, keepdims=True) for one in (gnuplot, ours)]
    cosine = (chroma[0] * chroma[1]).sum(axis=1) / np.prod([np.linalg.norm(c, axis=1) for c in chroma], axis=0)
    assert np.median(cosine) > 0.9


@pytest.mark.parametrize("name", DISPLAY[1:])
def test_no_two_levels_far_apart_look_alike(name: str) -> None:
    table = colour_table(name).astype(float)
    assert table.shape == (256, 3)
    apart = np.linalg.norm(table[:, None] - table[None], axis=2)
    far = np.abs(np.subtract.outer(np.arange(256), np.arange(256))) > 40
    assert apart[far].min() > 8.0


def test_grey_palettes() -> None:
    gray = scene()[0]
    np.testing.assert_array_equal(in_colour(gray, "white-hot")[..., 1], gray)
    np.testing.assert_array_equal(in_colour(gray, "black-hot")[..., 1], 255 - gray)
    with pytest.raises(InputError, match="purple"):
        colour_table("purple")


@pytest.mark.parametrize("name", COLOURED)
def test_intensity_comes_back(name: str) -> None:
    """Without compression within the rounding to 5, 6 and 5 bits; through JPEG within a few grey levels of
    255, most where brightness hardly changes along the palette (cool, spring): JPEG halves the chroma.
    """
    gray = scene(1)[0]
    picture = in_colour(gray, name)
    assert error(to_intensity(picture, name), gray) < 2.1
    assert error(to_intensity(as_jpeg(picture), name), gray) < 7.5


@settings(max_examples=60, deadline=None)  # tables are made on the way
@given(st.sampled_from(COLOURED), st.integers(0, 255))
def test_every_level_comes_back_alone(name: str, level: int) -> None:
    """Up to levels that have nearly the same colour."""
    table = colour_table(name).astype(float)
    found = int(to_intensity(np.full((2, 2, 3), table[level], np.uint8), name)[0, 0])
    assert np.linalg.norm(table[found] - table[level]) < 12.0 and abs(found - level) <= 8


@pytest.mark.parametrize("name", RECOGNISED)
def test_palette_is_recognised_through_jpeg_and_burnt_in_text(name: str) -> None:
    gray = scene(1)[0]
    assert look_at(as_jpeg(with_camera_text(in_colour(gray, name)))).best == name
    assert look_at(as_jpeg(in_colour(255 - gray, name))).best == name, "of the inverted scene too"


@pytest.mark.parametrize("name", ["ironbow", "jet", "inferno"])
def test_palette_is_recognised_through_h264(tmp_path: Path, name: str) -> None:
    intensities = [scene(1, index=index)[0] for index in range(0, 30, 5)]
    frames = through_h264(tmp_path / "ir.mp4", [in_colour(gray, name) for gray in intensities])
    reader = PaletteReader()
    for number, (frame, gray) in enumerate(zip(frames, intensities, strict=True)):
        assert error(reader(frame, number / FPS), gray) < 6.0
    assert reader.name == name and reader.fit is not None and reader.fit > 0.9


def through_h264(path: Path, frames: list[Uint8Array]) -> list[Uint8Array]:
    """Written and read again, with halved chroma."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25), options={"crf": "23"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        out.mux(stream.encode())
    capture = cv2.VideoCapture(str(path))
    read = [capture.read()[1] for _ in frames]
    capture.release()
    return read  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(6))
def test_real_colour_is_no_palette(seed: int) -> None:
    frame = scene(seed)[1]
    assert look_at(frame).best is None
    reader = PaletteReader()
    assert reader(frame, 0.0) is frame


def test_grey_as_three_channels_passes_as_it_is() -> None:
    frame = cv2.cvtColor(scene()[0], cv2.COLOR_GRAY2BGR)
    reader = PaletteReader()
    assert reader(frame, 0.0) is frame and not reader.is_unknown  # type: ignore[arg-type]
    noisy = as_jpeg(frame, 60)  # type: ignore[arg-type]
    assert reader(noisy, 1.0) is noisy


def test_shades_of_one_hue_pass_as_they_are() -> None:
    """As the thesis's camera gives them: they are part of several palettes, and mask mode looks at their blue."""
    gray = scene()[0]
    frame = np.dstack([gray, gray // 2, gray // 20])
    assert look_at(frame).best is None
    assert PaletteReader()(frame, 0.0) is frame


def test_unknown_colours_pass_as_they_are_and_are_known_to_be_unknown() -> None:
    frame = cv2.applyColorMap(scene()[0], cv2.COLORMAP_HSV)
    reader = PaletteReader()
    assert reader(frame, 0.0) is frame and reader.is_unknown  # type: ignore[arg-type]


def test_palette_told_is_taken_whatever_the_picture_looks_like() -> None:
    gray = scene()[0]
    reader = PaletteReader("ocean")
    assert error(reader(in_colour(gray, "ocean"), 0.0), gray) < 2.1
    assert reader(in_colour(gray, "jet"), 0.5).ndim == 2


def test_a_change_of_palette_is_followed_and_a_few_odd_frames_are_not() -> None:
    gray, other = scene(1)
    jet, iron = in_colour(gray, "jet"), in_colour(gray, "ironbow")
    reader, time_s = PaletteReader(), 0.0
    names: list[str | None] = []
    for frame in [jet] * 50 + [other] * 6 + [jet] * 50 + [iron] * 60 + [cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)] * 60:
        reader(frame, time_s)  # type: ignore[arg-type]
        names.append(reader.name)
        time_s += 1 / FPS
    assert set(names[:106]) == {"jet"}
    assert names[106 + 50] == "ironbow", "within 2 s"
    assert names[-1] is None


def test_nothing_to_see_changes_nothing() -> None:
    reader = PaletteReader()
    reader(in_colour(scene(1)[0], "ironbow"), 0.0)
    for number in range(100):
        reader(np.zeros((240, 320, 3), np.uint8), 1.0 + number / FPS)
    assert reader.name == "ironbow"


def test_a_picture_that_starts_black_is_recognised_later() -> None:
    reader = PaletteReader()
    for number in range(20):
        reader(np.zeros((240, 320, 3), np.uint8), number / FPS)
    for number in range(30):
        reader(in_colour(scene(1)[0], "hot"), 0.8 + number / FPS)
    assert reader.name == "hot"


@pytest.mark.slow
def test_no_real_picture_is_taken_for_a_palette() -> None:
    """Colour pictures by day and night, and infrared ones in grey and in blue."""
    root = shared_data("roadscene").parent
    paths = sorted(path for suffix in ("jpg", "png") for path in root.rglob(f"*.{suffix}") if "mask" not in path.name)
    taken = {str(path): best for path in paths if (best := look_at(cv2.imread(str(path))).best) is not None}  # type: ignore[arg-type]
    assert len(paths) > 100 and not taken
