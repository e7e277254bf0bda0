"""The offset in time between two running cameras, found from what moves in their pictures."""

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.time_offset import Films, film_scene, in_order, run_trial
from vr.runtime.errors import InputError
from vr.runtime.time_offset import OffsetEstimator, OffsetState
from vr.runtime.time_offset.following import OffsetFollower
from vr.runtime.time_offset.matching import Match
from vr.runtime.time_offset.motion import motion_moments, motion_thumb, scene_change
from vr.runtime.time_offset.track import MotionTrack

SURE = {"confidence": 0.8, "evidence": 200.0, "uncertainty_ms": 5.0}


@lru_cache
def scene(seed: int, duration_s: float) -> Films:
    return film_scene(seed, {"ir": 9.0, "rgb": 30.0}, duration_s)


def shown(films: Films, offset_s: float, changed: Any = lambda time_s: time_s) -> OffsetState:
    """The state after both films; `changed`: from the infrared camera's right stamps to those that it gives."""
    estimator, state = OffsetEstimator(), OffsetState()
    for time_s, role, frame in in_order(films):
        estimator.see(role, frame, changed(time_s - offset_s) if role == "ir" else time_s)
        state = estimator.poll(time_s, wait=True)
    return state


@pytest.mark.parametrize("offset_ms", [0, 400, -400, 1100])
def test_an_unknown_offset_is_found_within_20_ms(offset_ms: int) -> None:
    trial = run_trial("scene 4", scene(4, 21.0), offset_ms)
    assert trial.found_s is not None
    assert abs(trial.worst_ms) <= 20.0


def test_the_faster_camera_may_be_the_infrared_one() -> None:
    films = scene(4, 21.0)
    state = shown({"ir": films["rgb"], "rgb": films["ir"]}, 0.4)
    assert state.offset_ms == pytest.approx(400.0, abs=20.0)


def test_motions_that_have_nothing_in_common_within_the_range_are_refused() -> None:
    films = scene(4, 21.0)
    times_s, pictures = zip(*films["rgb"], strict=True)
    rolled = list(zip(times_s, pictures[300:] + pictures[:300], strict=True))
    assert shown({"ir": films["ir"], "rgb": rolled}, 0.0) == OffsetState()


def test_of_a_still_scene_nothing_is_found() -> None:
    rng = np.random.default_rng(0)
    noisy = [rng.integers(80, 84, (48, 64)).astype(np.uint8) for _ in range(300)]
    films: Films = {"ir": [(n / 9, noisy[n]) for n in range(180)], "rgb": [(n / 15, noisy[-n]) for n in range(300)]}
    assert shown(films, 0.0) == OffsetState()


def test_a_freeze_a_stream_of_repeated_frames_and_a_changing_gain_do_no_harm() -> None:
    films = scene(4, 21.0)
    rough: list[tuple[float, NDArray[np.uint8]]] = []
    for n, (time_s, frame) in enumerate(films["ir"]):
        gain, level = 0.8 + 0.2 * np.sin(2.3 * time_s), 20 * np.sin(1.1 * time_s)
        is_frozen = 45 < n <= 54  # a second of recalibration
        seen = rough[-1][1] if is_frozen else np.clip(frame * gain + level, 0, 255).astype(np.uint8)
        rough += [(time_s + k / 27, seen) for k in range(3)]
    state = shown({"ir": rough, "rgb": films["rgb"]}, 0.4)
    assert state.offset_ms == pytest.approx(400.0, abs=20.0)


@pytest.mark.slow
def test_a_jump_of_the_offset_is_followed_and_a_lost_camera_does_not_lose_it() -> None:
    films = scene(12, 60.0)
    assert shown(films, 0.4, lambda t: t - 0.5 * (t > 25)).offset_ms == pytest.approx(900.0, abs=20.0)
    films = {"ir": [one for one in films["ir"] if not 20 < one[0] < 30], "rgb": films["rgb"]}
    assert shown(films, 0.4).offset_ms == pytest.approx(400.0, abs=20.0)


def test_an_offset_is_adopted_after_three_sure_estimates_that_agree() -> None:
    follower = OffsetFollower()
    for offset_ms in (400.0, 900.0, 405.0, 395.0):
        assert follower.add(Match(offset_ms, **SURE)).status == "searching"
    state = follower.add(Match(400.0, **SURE))
    assert (state.status, state.offset_ms) == ("found", pytest.approx(400.0))


@pytest.mark.parametrize("weakness", [{"evidence": 59.0}, {"confidence": 0.24}, {"uncertainty_ms": 16.0}])
def test_an_estimate_that_is_not_sure_never_counts(weakness: dict[str, float]) -> None:
    follower = OffsetFollower()
    for match in [Match(400.0, **{**SURE, **weakness}), None] * 10:
        follower.add(match)
    assert follower.state == OffsetState()


def found_at(offset_ms: float) -> OffsetFollower:
    follower = OffsetFollower()
    for _ in range(3):
        follower.add(Match(offset_ms, **SURE))
    assert follower.state.status == "found"
    return follower


def test_drift_is_followed_slowly_and_a_jump_needs_four_estimates() -> None:
    follower = found_at(400.0)
    assert follower.add(Match(410.0, **SURE)).offset_ms == pytest.approx(402.0)
    for _ in range(3):
        assert follower.add(Match(900.0, **SURE)).offset_ms == pytest.approx(402.0)
    assert follower.add(Match(900.0, **SURE)).offset_ms == pytest.approx(900.0)
    assert follower.state.status == "found"


def test_one_estimate_that_agrees_again_forgives_the_others() -> None:
    follower = found_at(400.0)
    for offset_ms in (900.0, 900.0, 900.0, 400.0, 900.0, 900.0, 900.0):
        follower.add(Match(offset_ms, **SURE))
    assert follower.state.offset_ms == pytest.approx(400.0)


def test_estimates_that_contradict_the_offset_and_each_other_lose_it_until_some_agree() -> None:
    follower = found_at(400.0)
    for offset_ms in (900.0, -300.0, 100.0, 1500.0, -900.0, 700.0):
        follower.add(Match(offset_ms, **SURE))
    assert (follower.state.status, follower.state.offset_ms) == ("lost", pytest.approx(400.0))
    for _ in range(3):
        follower.add(Match(700.0, **SURE))
    assert (follower.state.status, follower.state.offset_ms) == ("found", pytest.approx(700.0))


@given(st.lists(st.floats(-2000.0, 2000.0), max_size=30))
def test_an_offset_in_use_never_leaves_the_range_of_the_estimates(offsets_ms: list[float]) -> None:
    follower = OffsetFollower()
    for offset_ms in offsets_ms:
        state = follower.add(Match(offset_ms, **SURE))
        assert (state.offset_ms is None) == (state.status == "searching")
        assert state.offset_ms is None or min(offsets_ms) - 1e-6 <= state.offset_ms <= max(offsets_ms) + 1e-6


def textured(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(30.0, 180.0, (48, 64)).astype(np.float32)


@pytest.mark.parametrize(("gain", "level"), [(1.3, -20.0), (0.6, 30.0), (1.0, 8.0), (0.95, 0.0)])
def test_a_change_of_gain_is_no_motion_and_hides_none(gain: float, level: float) -> None:
    before = textured()
    assert np.abs(scene_change(np.float32(gain) * before + np.float32(level), before)).max() < 0.01
    moved = before.copy()
    moved[20:30, 40:50] += 60.0
    amount, right, *_ = motion_moments(scene_change(np.float32(gain) * moved + np.float32(level), before))
    assert amount == pytest.approx(60.0 * gain * 100 / (48 * 64), rel=0.15)
    assert right / amount == pytest.approx((44.5 - 31.5) / 31.5, abs=0.05)


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (480, 640, 1), (16, 16, 3), (1080, 1920, 3), (17, 4001)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thumbs_of_all_frames_are_alike(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    thumb = motion_thumb(np.random.default_rng(0).integers(0, 255, shape).astype(dtype))  # type: ignore[arg-type]
    assert (thumb.shape, thumb.dtype) == ((48, 64), np.float32)
    assert np.isfinite(thumb).all()


def frames(count: int, shape: tuple[int, ...] = (48, 64)) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, shape).astype(np.uint8) for _ in range(count)]


def test_a_track_forgets_what_is_older_than_a_minute() -> None:
    track = MotionTrack()
    few = frames(4, (16, 16))
    for n in range(1400):
        track.add(few[n % 4], n / 20.0)
    time_s = track.series().time_s
    assert time_s[-1] - time_s[0] <= 60.0
    assert track.series(5.0).time_s[0] >= time_s[-1] - 5.0


def test_bad_stamps_repeated_frames_and_another_size_give_no_motion() -> None:
    track = MotionTrack()
    one, *others = frames(12)
    for n, frame in enumerate(others[:4]):
        track.add(frame, n / 9.0)
    count = len(track.series().time_s)
    for time_s in (float("nan"), float("inf"), 0.1, 2 / 9.0):
        track.add(one, time_s)
    track.add(others[3], 4 / 9.0)
    track.add(frames(1, (60, 64))[0], 4 / 9.0)
    assert len(track.series().time_s) == count


@pytest.mark.parametrize("resumes_s", [5.0, -5.0])
def test_after_a_gap_or_a_jump_back_the_motion_before_is_forgotten(resumes_s: float) -> None:
    track = MotionTrack()
    for n, frame in enumerate(frames(10)):
        track.add(frame, n / 9.0)
    for n, frame in enumerate(frames(10)):
        track.add(frame, resumes_s + n / 9.0)
    time_s = track.series().time_s
    assert len(time_s) == 9
    assert time_s[0] > resumes_s


def test_two_camera_threads_and_a_poll_get_along() -> None:
    estimator, films = OffsetEstimator(), scene(4, 21.0)

    def feed(role: Any) -> None:
        for time_s, frame in films[role]:
            estimator.see(role, frame, time_s)

    threads = [threading.Thread(target=feed, args=(role,)) for role in films]
    for thread in threads:
        thread.start()
    polls = 0
    while any(thread.is_alive() for thread in threads):
        polls += 1
        estimator.poll(2.0 * polls)
    for _ in range(3):
        polls += 1
        estimator.poll(2.0 * polls, wait=True)
    state = estimator.poll(2.0 * polls)
    assert state.offset_ms == pytest.approx(0.0, abs=20.0)


@pytest.mark.parametrize("max_offset_s", [0.0, -1.0, 10.5, float("nan"), float("inf")])
def test_a_range_that_cannot_be_searched_is_refused(max_offset_s: float) -> None:
    with pytest.raises(InputError, match=r"largest offset in time is .* expected more than 0 and at most 10"):
        OffsetEstimator(max_offset_s)
