"""The offset in time, pairing, filters and splits of `vr-train prepare`, on numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vr.runtime.errors import InputError
from vr.runtime.sim import Simulator
from vr.runtime.sources import Stamped
from vr.runtime.time_offset.motion import MOMENTS
from vr.train.prepare.filters import dark_frames, frozen_frames, usable_for_timing
from vr.train.prepare.pairing import pair_times
from vr.train.prepare.reading import Faults
from vr.train.prepare.splitting import assign_parts, scene_numbers
from vr.train.prepare.survey import Survey, survey
from vr.train.prepare.timing import Motion, estimate_offset

SHARES = (8000.0, 1000.0, 1431.0)


class Memory:
    """Frames in memory as a recording."""

    def __init__(self, frames: list[NDArray[np.uint8]], fps: float) -> None:
        self.name, self.faults = "memory", Faults()
        self._frames, self._fps = frames, fps

    def frames(self) -> list[Stamped]:  # type: ignore[override]
        return [Stamped(frame, index / self._fps, index) for index, frame in enumerate(self._frames)]


def surveyed(frames: list[NDArray[np.uint8]], fps: float) -> Survey:
    return survey(Memory(frames, fps), 20, lambda: None)  # type: ignore[arg-type]


def filmed(seed: int, fps: tuple[float, float], offset_s: float, duration_s: float) -> tuple[Survey, Survey]:
    """Surveys of the IR and the RGB camera of a generated scene."""
    simulator = Simulator(seed, (120, 160), (120, 160), fps=1000.0)
    ticks = [
        [round(1000 * (5.0 + begin_s + n / rate)) for n in range(round(duration_s * rate))]
        for rate, begin_s in zip(fps, (offset_s, 0.0), strict=True)
    ]
    ir = [simulator.frames(tick)[0] for tick in ticks[0]]
    rgb = [simulator.frames(tick)[1] for tick in ticks[1]]
    return surveyed(ir, fps[0]), surveyed(rgb, fps[1])


def everywhere(found: Survey) -> Motion:
    return found.motion(np.ones(len(found.time_s), bool))


@pytest.mark.parametrize(
    ("seed", "ir_fps", "rgb_fps", "offset_s"),
    [
        (4, 9.0, 30.0, 3.544),
        (9, 10.0, 25.0, 2.962),
        (6, 30.0, 9.0, -0.7),
        pytest.param(6, 9.0, 30.0, 0.305, marks=pytest.mark.slow),
        pytest.param(8, 9.0, 30.0, -1.384, marks=pytest.mark.slow),
    ],
)
def test_offset_is_found_within_one_frame_of_the_faster_camera(
    seed: int, ir_fps: float, rgb_fps: float, offset_s: float
) -> None:
    ir, rgb = filmed(seed, (ir_fps, rgb_fps), offset_s, 15.0)
    found = estimate_offset(everywhere(ir), everywhere(rgb), 30.0)
    assert abs(found.offset_ms - 1000 * offset_s) < 1000 / max(ir_fps, rgb_fps)
    assert found.confidence > 0.3


def noise_motion(seed: int, count: int, fps: float) -> Motion:
    moments = np.abs(np.random.default_rng(seed).standard_normal((count, MOMENTS))) * 0.1 + 1.0
    return Motion(np.arange(count) / fps, moments, np.ones(count, bool))


@pytest.mark.parametrize("seed", range(6))
def test_motions_that_have_nothing_in_common_are_refused(seed: int) -> None:
    with pytest.raises(InputError, match=r"cannot tell the offset in time: .*give --offset-ms N"):
        estimate_offset(noise_motion(seed, 180, 9.0), noise_motion(seed + 100, 600, 30.0), 30.0)


def test_two_different_scenes_are_refused() -> None:
    ir, _ = filmed(6, (9.0, 30.0), 0.0, 12.0)
    _, rgb = filmed(8, (9.0, 30.0), 0.0, 12.0)
    with pytest.raises(InputError, match="hardly better at one offset than elsewhere"):
        estimate_offset(everywhere(ir), everywhere(rgb), 30.0)


def test_a_still_scene_and_a_short_recording_are_refused() -> None:
    still = surveyed([np.full((48, 64), 90, np.uint8)] * 60, 10.0)
    with pytest.raises(InputError, match="too little of the two recordings shows motion"):
        estimate_offset(everywhere(still), everywhere(still), 5.0)
    with pytest.raises(InputError, match="a recording is too short"):
        estimate_offset(noise_motion(0, 10, 9.0), noise_motion(1, 600, 30.0), 5.0)


@given(st.floats(5.0, 60.0), st.floats(5.0, 60.0), st.integers(2, 80), st.integers(2, 80), st.floats(-1000.0, 1000.0))
def test_each_frame_is_paired_once_in_order_and_in_time(
    ir_fps: float, rgb_fps: float, ir_count: int, rgb_count: int, offset_ms: float
) -> None:
    ir_s, rgb_s = np.arange(ir_count) / ir_fps, np.arange(rgb_count) / rgb_fps
    try:
        pairs = pair_times(ir_s, rgb_s, offset_ms, None)
    except InputError:
        return
    assert np.all(np.diff(pairs.ir) > 0)
    assert np.all(np.diff(pairs.rgb) > 0)
    gaps_s = np.abs(ir_s[pairs.ir] + offset_ms / 1000 - rgb_s[pairs.rgb])
    assert gaps_s.max() <= min(1 / ir_fps, 1 / rgb_fps) + 1e-5
    assert len(pairs.ir) + pairs.unpaired_ir == ir_count
    assert len(pairs.rgb) + pairs.unpaired_rgb == rgb_count


def test_pairs_of_two_rates_are_the_nearest_in_time() -> None:
    pairs = pair_times(np.arange(5) / 10.0, np.arange(12) / 25.0, offset_ms=15.0, slop_ms=None)
    assert pairs.ir.tolist() == [0, 1, 2, 3, 4]
    assert pairs.rgb.tolist() == [0, 3, 5, 8, 10]
    assert (pairs.unpaired_ir, pairs.unpaired_rgb) == (0, 7)


def test_recordings_of_different_days_are_refused() -> None:
    with pytest.raises(InputError, match=r"no IR frame lies within 33 ms .*check --offset-ms"):
        pair_times(np.arange(30) / 30.0, np.arange(30) / 30.0, offset_ms=60_000.0, slop_ms=None)


def test_frozen_frames_are_the_repetitions_only() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(60, 64, (48, 64)).astype(np.uint8) for _ in range(30)]
    frozen = [frames[10] if 10 <= n < 20 else frame for n, frame in enumerate(frames)]
    found = frozen_frames(surveyed(frozen, 10.0))
    assert np.flatnonzero(found).tolist() == list(range(11, 20))
    assert not frozen_frames(surveyed(frames, 10.0)).any()
    once = [frames[10] if n == 11 else frame for n, frame in enumerate(frames)]
    assert not frozen_frames(surveyed(once, 10.0)).any(), "one repetition is no recalibration"


def test_dark_is_more_than_95_percent_below_20() -> None:
    frames = [np.full((40, 50), 19, np.uint8) for _ in range(3)]
    frames[1][:2] = 20  # 5 % of the frame
    frames[2][:2] = 20
    frames[2][2, :1] = 20
    assert dark_frames(surveyed(frames, 10.0), 0.95).tolist() == [True, False, False]


def test_differences_to_a_bad_frame_are_no_motion() -> None:
    found = surveyed([np.zeros((48, 64), np.uint8)] * 5, 10.0)
    bad = np.array([False, False, True, False, False])
    assert usable_for_timing(found, bad).tolist() == [False, True, False, False, True]


def test_splits_end_where_scenes_do() -> None:
    scenes = [0] * 70 + [1] * 14 + [2] * 16
    parts = assign_parts(scenes, [n / 10 for n in range(100)], SHARES, guard_s=2.0)
    assert parts == ["train"] * 70 + ["val"] * 14 + ["test"] * 16


def test_one_long_scene_is_divided_with_seconds_in_between() -> None:
    parts = assign_parts([0] * 1000, [n / 10 for n in range(1000)], SHARES, guard_s=2.0)
    assert [parts.count(part) for part in ("train", "guard", "val", "test")] == [767, 38, 80, 115]
    for before, after in (("train", "val"), ("val", "test")):
        last = len(parts) - 1 - parts[::-1].index(before)
        assert (parts.index(after) - last) / 10 >= 2.0


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_no_scene_is_on_two_sides_without_a_guard_and_no_part_is_empty(lengths: list[int]) -> None:
    scenes = [scene for scene, length in enumerate(lengths) for _ in range(length)]
    parts = assign_parts(scenes, [n / 10 for n in range(len(scenes))], SHARES, guard_s=2.0)
    assert len(parts) == len(scenes)
    order = [part for part in parts if part != "guard"]
    assert order == sorted(order, key=("train", "val", "test").index)
    if len(scenes) >= 30:
        assert set(order) == {"train", "val", "test"}
    for n in range(1, len(parts)):
        if parts[n] != parts[n - 1] and "guard" not in (parts[n], parts[n - 1]) and len(scenes) >= 60:
            assert scenes[n] != scenes[n - 1]


def test_a_scene_ends_at_a_cut_and_at_another_source() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 255, (24, 32)).astype(np.uint8) for _ in range(2))
    assert scene_numbers([0, 0, 0, 0, 1], [one, one, other, other, other]) == [0, 0, 1, 1, 2]
