"""The code in the frames of the test bench survives what happens to frames, and is never read wrongly."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.coded import DRAWN_HW, MATRIX_RGB_TO_IR, MODULUS_MS, Scene, decode, difference_ms, encode
from tests.bench.encoders import H264Encoder, JpegEncoder
from tests.bench.reading import decode_h264

SIZES_HW = st.sampled_from([(120, 160), (240, 320), (480, 640), (288, 384), (200, 300)])
TIMES_MS = st.integers(0, MODULUS_MS - 1)
SCENES = {role: Scene(role) for role in ("ir", "rgb")}


@settings(max_examples=60, deadline=None)
@given(TIMES_MS, SIZES_HW, st.integers(70, 95), st.sampled_from(["ir", "rgb"]))
def test_code_survives_jpeg(scene_ms: int, size_hw: tuple[int, int], quality: int, role: str) -> None:
    frame = SCENES[role].draw(scene_ms, size_hw)
    data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert decode(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))) == scene_ms


@settings(max_examples=40, deadline=None)
@given(TIMES_MS, SIZES_HW, SIZES_HW)
def test_code_survives_another_resolution(scene_ms: int, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> None:
    frame = SCENES["rgb"].draw(scene_ms, from_hw)
    assert decode(cv2.resize(frame, to_hw[::-1], interpolation=cv2.INTER_AREA)) == scene_ms


@pytest.mark.parametrize("size_hw", [(120, 160), (240, 320)])
def test_code_survives_h264(size_hw: tuple[int, int]) -> None:
    encoder, times_ms = H264Encoder(30.0), [40_000 + 33 * number for number in range(40)]
    stream = b"".join(encoder.encode(SCENES["rgb"].draw(ms, size_hw), ms / 1000.0).data for ms in times_ms)
    assert [decode(frame) for frame in decode_h264(stream)] == times_ms


@settings(max_examples=60, deadline=None)
@given(TIMES_MS, st.floats(0.05, 0.9))
def test_a_damaged_code_is_refused_and_never_read_as_another(scene_ms: int, kept: float) -> None:
    data = JpegEncoder().encode(SCENES["rgb"].draw(scene_ms), 0.0).data
    frame = cv2.imdecode(np.frombuffer(data[: int(kept * len(data))], np.uint8), cv2.IMREAD_COLOR)
    assert frame is None or decode(frame) in (None, scene_ms)


@settings(max_examples=60, deadline=None)
@given(TIMES_MS, TIMES_MS)
def test_two_frames_mixed_are_refused_or_read_as_one_of_them(a_ms: int, b_ms: int) -> None:
    frames = [encode(np.full((240, 320, 3), 90, np.uint8), ms) for ms in (a_ms, b_ms)]
    mixed = np.asarray(cv2.addWeighted(frames[0], 0.5, frames[1], 0.5, 0.0), np.uint8)
    assert decode(mixed) == (a_ms if a_ms == b_ms else None)


def test_frames_without_a_code_are_refused() -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((240, 320, 3), value, np.uint8) for value in (0, 128, 255)]
    noise = [rng.integers(0, 2, (240, 320), np.uint8) * 255 for _ in range(50)]
    assert {decode(frame) for frame in [*flat, *noise]} == {None}


@given(TIMES_MS, st.integers(-MODULUS_MS // 2, MODULUS_MS // 2 - 1))
def test_differences_go_across_the_wrap(a_ms: int, difference: int) -> None:
    assert difference_ms((a_ms + difference) % MODULUS_MS, a_ms) == difference


def test_ir_shows_the_rgb_scene_through_the_known_affine() -> None:
    rgb, ir = (SCENES[role].draw(1234).astype(np.float32) for role in ("rgb", "ir"))
    height, width = DRAWN_HW
    moved = cv2.warpAffine(ir, MATRIX_RGB_TO_IR, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = slice(20, 170), slice(20, 300)
    gray = rgb @ np.array([0.114, 0.587, 0.299], np.float32)
    correlation = np.corrcoef(gray[inside].ravel(), moved[..., 0][inside].ravel())[0, 1]
    assert correlation < -0.9, "infrared is the negative of the grey picture"
