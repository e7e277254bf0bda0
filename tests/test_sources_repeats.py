"""A camera that repeats itself, against one that looks at a scene that stands still."""

import av
import numpy as np
import pytest

from vr.runtime.pairing import Pair
from vr.runtime.pairing.frozen import Frozen
from vr.runtime.sources.base import Stamped
from vr.runtime.sources.repeats import RepeatWatch

HW = (120, 160)
SLOP_S = 0.1


def noisy(rng: np.random.Generator, x: int | None = None) -> np.ndarray:
    """A scene with noise, and something bright at column x."""
    scene = np.add.outer(np.linspace(40, 120, HW[0]), np.linspace(0, 60, HW[1]))
    if x is not None:
        scene[30:90, x : x + 20] = 220
    return np.clip(scene + rng.normal(0, 2, HW), 0, 255).astype(np.uint8)


def run(ir: list[np.ndarray], rgb: list[np.ndarray], fps: float = 30.0) -> list[Pair]:
    watches, frozen = (RepeatWatch(), RepeatWatch()), Frozen()
    pairs = []
    for index, frames in enumerate(zip(ir, rgb, strict=True)):
        stamped = [watch(Stamped(frame, index / fps, index)) for watch, frame in zip(watches, frames, strict=True)]
        pairs.append(frozen.marked(Pair(stamped[0], stamped[1]), SLOP_S))
    return pairs


def what(pairs: list[Pair]) -> list[tuple[str, ...]]:
    return [tuple(notice.what for notice in pair.notices) for pair in pairs]


@pytest.mark.parametrize("role", ["ir", "rgb"])
def test_a_camera_that_repeats_while_the_other_sees_motion_is_frozen(role: str) -> None:
    rng = np.random.default_rng(0)
    moving = [noisy(rng, 2 * i) for i in range(60)]
    still = moving[:20] + [moving[19]] * 30 + moving[50:]
    marked = what(run(still, moving) if role == "ir" else run(moving, still))
    assert marked[:20] == [()] * 20 and marked[50:] == [()] * 10
    assert set(marked[24:50]) == {(f"{role} frozen",)}, "within the slop and a little motion"


def test_the_notice_says_since_when() -> None:
    rng = np.random.default_rng(0)
    moving = [noisy(rng, 2 * i) for i in range(60)]
    pairs = run([moving[0]] * 60, moving)
    assert pairs[59].notices[0].since_s == pytest.approx(59 / 30.0)


def test_a_scene_that_stands_still_is_no_fault() -> None:
    """Generated or heavily compressed pictures may be the same to the bit for minutes."""
    rng = np.random.default_rng(0)
    assert set(what(run([noisy(rng)] * 60, [noisy(rng) for _ in range(60)]))) == {()}
    assert set(what(run([noisy(rng)] * 60, [noisy(rng)] * 60))) == {()}


def test_a_camera_of_9_hz_on_a_plug_of_30_hz_is_not_frozen() -> None:
    rng = np.random.default_rng(0)
    moving = [noisy(rng, i) for i in range(90)]
    assert set(what(run([moving[i - i % 3] for i in range(90)], moving))) == {()}


def test_a_camera_with_noise_never_repeats() -> None:
    rng = np.random.default_rng(0)
    watch = RepeatWatch()
    assert not any(watch(Stamped(noisy(rng), i / 30.0, i)).repeats for i in range(60))


def through_h264(frames: list[np.ndarray]) -> list[np.ndarray]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = HW[1], HW[0], "yuv420p", 30  # type: ignore[assignment]
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "30", "b": "600000"}
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    out = []
    for frame in [*(av.VideoFrame.from_ndarray(f, format="gray") for f in frames), None]:
        for packet in encoder.encode(frame):
            out += [f.to_ndarray(format="bgr24") for f in decoder.decode(packet)]
    return out + [f.to_ndarray(format="bgr24") for f in decoder.decode(None)]


def test_a_freeze_is_seen_through_an_encoder() -> None:
    rng = np.random.default_rng(0)
    moving = [noisy(rng, 2 * i % 130) for i in range(120)]
    ir = through_h264(moving[:30] + [moving[29]] * 60 + moving[90:])
    marked = what(run(ir, moving))
    assert set(marked[:30]) == {()} == set(marked[92:])
    assert sum(bool(one) for one in marked[30:90]) >= 45
