"""When frames were taken: jitter, held-up connections, drifting and jumping clocks."""

import numpy as np
import pytest

from vr.runtime.sources.clock import ArrivalClock, MediaClock


def stamps(clock: MediaClock | ArrivalClock, media_s: np.ndarray, arrival_s: np.ndarray) -> list[float | None]:
    return [clock.stamp(float(m), float(a)) for m, a in zip(media_s, arrival_s, strict=True)]


def test_jitter_of_the_network_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    media_s = np.arange(300) / 30.0 + 77.0
    arrival_s = 1000.0 + media_s + 0.05 + rng.exponential(0.01, 300)
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    error_s = found - (1000.0 + media_s + 0.05)
    assert np.abs(error_s[30:]).max() < 0.003 < np.std(arrival_s - media_s)


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_a_drifting_clock_is_followed(ppm: float) -> None:
    media_s = np.arange(30 * 600) / 30.0
    arrival_s = media_s * (1.0 + ppm * 1e-6) + 50.0
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    assert np.nanmax(np.abs(found - arrival_s)) < 0.007, "200 ppm of 30 s"


@pytest.mark.parametrize("jump_s", [3600.0, -10.0])
def test_a_clock_that_jumps_is_believed_at_once(jump_s: float) -> None:
    arrival_s = 50.0 + np.arange(120) / 30.0
    media_s = arrival_s - 50.0 + np.where(np.arange(120) >= 60, jump_s, 0.0)
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    kept = np.isfinite(found)
    assert found[kept] == pytest.approx(arrival_s[kept])
    assert kept[10:60].all() and kept[70:].all(), "a quarter of a second is left out after the jump too"


def test_what_a_connection_held_up_is_stamped_as_old_as_it_is() -> None:
    """Two seconds of nothing, then the 60 frames of that time within 60 ms."""
    media_s = np.arange(150) / 30.0
    arrival_s = media_s + 50.0
    held = (media_s > 2.0) & (media_s < 4.0)
    arrival_s[held] = 54.0 + np.arange(held.sum()) / 1000.0
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    assert found[10:] == pytest.approx(media_s[10:] + 50.0)


def test_a_connection_that_begins_with_old_pictures_is_not_believed_at_once() -> None:
    """A server sends what it has since its last key picture, all at once."""
    media_s = np.arange(60) / 30.0
    arrival_s = 50.0 + np.maximum(media_s, 0.4 + media_s / 1000.0)
    found = stamps(MediaClock(), media_s, arrival_s)
    wrong_s = [abs(s - 50.0 - m) for s, m in zip(found, media_s, strict=True) if s is not None]
    assert len(wrong_s) >= 40 and max(wrong_s) < 0.001


def test_a_connection_that_is_too_slow_is_not_believed() -> None:
    """Ten seconds at a quarter of the rate that is needed, and then all that waited, fast."""
    media_s = np.arange(30 * 20) / 30.0
    arrival_s = media_s + 50.0
    slow = media_s > 4.0
    arrival_s[slow] = np.maximum(arrival_s[slow], 54.0 + np.minimum(4.0 * (media_s[slow] - 4.0), 10.0))
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    assert found[10:] == pytest.approx(media_s[10:] + 50.0)


def test_a_clock_that_stood_still_while_its_camera_did_is_believed_after_two_seconds() -> None:
    media_s = np.arange(30 * 10) / 30.0
    arrival_s = media_s + 50.0 + np.where(media_s > 4.0, 3.0, 0.0)
    found = np.array(stamps(MediaClock(), media_s, arrival_s), float)
    late = arrival_s > arrival_s[121] + 2.3
    assert found[late] == pytest.approx(arrival_s[late])


def test_without_timestamps_of_its_own_a_stream_is_stamped_on_arrival() -> None:
    assert MediaClock().stamp(None, 12.5) == 12.5
    arrival_s = np.arange(50) / 30.0
    assert stamps(ArrivalClock(), arrival_s, arrival_s)[3:] == list(arrival_s[3:])


@pytest.mark.parametrize("fps", [9.0, 30.0])
def test_what_comes_in_one_go_after_a_gap_is_old(fps: float) -> None:
    """Of a burst only the first frame has to be waited for, whatever a busy machine makes of its steps."""
    clock = ArrivalClock()
    before_s = np.arange(30) / fps
    burst_s = before_s[-1] + 2.0 + np.arange(20) * 0.01
    after_s = burst_s[-1] + (1 + np.arange(20)) / fps
    assert stamps(clock, before_s, before_s)[3:] == list(before_s[3:])
    assert [clock.stamp(None, s, was_there=index > 0) for index, s in enumerate(burst_s)] == [None] * 20
    found = stamps(clock, after_s, after_s)
    assert found[:2] == [None] * 2 and found[2:] == list(after_s[2:])


@pytest.mark.parametrize("fps", [1.0, 3.0, 100.0])
def test_slow_and_fast_cameras_are_stamped_too(fps: float) -> None:
    arrival_s = np.arange(30) / fps
    assert stamps(ArrivalClock(), arrival_s, arrival_s)[5:] == list(arrival_s[5:])


def test_a_camera_that_is_faster_after_a_gap_is_not_taken_for_old() -> None:
    before_s = np.arange(20) / 5.0
    after_s = before_s[-1] + 5.0 + np.arange(60) / 60.0
    clock = ArrivalClock()
    stamps(clock, before_s, before_s)
    assert stamps(clock, after_s, after_s)[3:] == list(after_s[3:])
