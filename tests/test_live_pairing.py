"""Pairing against a brute-force reference, its counts, and its policy for cameras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vr.runtime.errors import InputError
from vr.runtime.pairing import Alone, Pair, Pairing, TimeRule, pair_sources, parse_ms
from vr.runtime.pairing.live import LivePairing
from vr.runtime.sources import Stamped
from vr.runtime.sources.base import CameraStatus
from vr.runtime.stopping import Stop

FRAME = np.zeros((16, 16), np.uint8)


class ListSource:
    """A recording given by its times."""

    live = False
    fps = 30.0

    def __init__(self, times_s: list[float]) -> None:
        self.name = "list"
        self.length = len(times_s)
        self.read_count = 0
        self._times_s = times_s

    def read(self) -> Stamped | None:
        if self.read_count == len(self._times_s):
            return None
        self.read_count += 1
        return Stamped(FRAME, self._times_s[self.read_count - 1], self.read_count - 1)

    def close(self) -> None: ...


class Camera:
    """A camera with frames at given times; the clock of the test says which of them are there."""

    live = True
    fps = 30.0
    length = None

    def __init__(self, times_s: list[float], clock: "Clock", late_s: float = 0.0) -> None:
        self.name, self.kept_s = "scripted", 0.0
        self._frames = [Stamped(FRAME, time_s, index) for index, time_s in enumerate(times_s)]
        self._clock, self._late_s = clock, late_s

    @property
    def status(self) -> CameraStatus:
        last_s = max((one.time_s for one in self.recent()), default=0.0)
        return CameraStatus("running", self._clock.now_s - last_s, {})

    def recent(self) -> list[Stamped]:
        there = [one for one in self._frames if one.time_s + self._late_s <= self._clock.now_s]
        return [one for one in there[:-2] if one.time_s >= there[-1].time_s - self.kept_s] + there[-2:]

    def wait_newer(self, index: int, wait_s: float) -> bool:
        """Time passes while it waits."""
        end_s = self._clock.now_s + wait_s
        while not (found := any(one.index > index for one in self.recent())) and self._clock.now_s < end_s:
            self._clock.now_s += 0.001
        return found

    def keep(self, seconds: float) -> None:
        self.kept_s = seconds

    def read(self) -> Stamped | None:
        raise AssertionError("pairing asks for the newest frames")

    def close(self) -> None: ...


class Clock:
    """Time as the test has it; every look costs a millisecond."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


def live_pairs(
    ir_s: list[float], rgb_s: list[float], until_s: float, rule: TimeRule | None = None
) -> tuple[list[Pair | Alone], Pairing]:
    clock = Clock()
    ir, rgb = Camera(ir_s, clock), Camera(rgb_s, clock)
    pairing = LivePairing(ir, rgb, rule or TimeRule(), clock=clock)
    shown: list[Pair | Alone] = []

    class Until(Stop):
        def is_set(self) -> bool:
            return clock.now_s > until_s

    while (one := pairing.next(Until())) is not None:
        shown.append(one)
    return shown, pairing


def paired(shown: list[Pair | Alone]) -> list[Pair]:
    return [one for one in shown if isinstance(one, Pair)]


def all_pairs(pairing: Pairing) -> list[Pair]:
    stop = Stop()
    return paired(list(iter(lambda: pairing.next(stop), None)))


def indices(pairs: list[Pair]) -> list[tuple[int, int]]:
    return [(pair.ir.index, pair.rgb.index) for pair in pairs]


def test_equal_folders_pair_by_index() -> None:
    times_s = [i / 30.0 for i in range(50)]
    pairing = pair_sources(ListSource(times_s), ListSource(times_s), rule=TimeRule(0.0))
    assert indices(all_pairs(pairing)) == [(i, i) for i in range(50)]
    assert (pairing.counts.paired, pairing.counts.unpaired_rgb, pairing.counts.skipped_ir) == (50, 0, 0)


def test_infrared_is_not_read_further_than_needed() -> None:
    """A damaged frame is met when it is due, not one frame early."""
    ir = ListSource([0.0, 0.1, 0.2])
    pairing = pair_sources(ir, ListSource([0.0, 0.1, 0.2]))
    for done in (1, 2, 3):
        pairing.next(Stop())
        assert ir.read_count == done


def test_slow_infrared_serves_several_colour_frames() -> None:
    pairing = pair_sources(
        ListSource([i / 10.0 for i in range(4)]), ListSource([i / 30.0 for i in range(10)]), rule=TimeRule(50.0)
    )
    assert [ir for ir, _ in indices(all_pairs(pairing))] == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert pairing.counts.skipped_ir == 0


def test_fast_infrared_is_skipped_and_counted() -> None:
    pairing = pair_sources(ListSource([i / 60.0 for i in range(20)]), ListSource([i / 20.0 for i in range(5)]))
    assert indices(all_pairs(pairing)) == [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]
    assert pairing.counts.skipped_ir == 8


def test_stream_ends_when_infrared_has_ended_and_none_is_near() -> None:
    rgb = ListSource([float(i) for i in range(100)])
    pairing = pair_sources(ListSource([0.0, 1.0, 2.0]), rgb, rule=TimeRule(10.0))
    assert indices(all_pairs(pairing)) == [(0, 0), (1, 1), (2, 2)]
    assert (pairing.counts.unpaired_rgb, rgb.read_count) == (1, 4)


def test_a_gap_in_the_infrared_leaves_colour_frames_unpaired() -> None:
    pairing = pair_sources(ListSource([0.0, 0.9]), ListSource([i / 10.0 for i in range(10)]), rule=TimeRule(100.0))
    assert indices(all_pairs(pairing)) == [(0, 0), (0, 1), (1, 8), (1, 9)]
    assert pairing.counts.unpaired_rgb == 6


def test_empty_infrared_gives_nothing() -> None:
    assert all_pairs(pair_sources(ListSource([]), ListSource([0.0]))) == []


times = st.lists(st.integers(0, 3000), max_size=40, unique=True).map(lambda ms: [t / 1000 for t in sorted(ms)])


@settings(max_examples=200, deadline=None)
@given(ir_s=times, rgb_s=times, slop_ms=st.integers(0, 500))
def test_recordings_match_the_brute_force_reference(ir_s: list[float], rgb_s: list[float], slop_ms: int) -> None:
    pairs = all_pairs(pair_sources(ListSource(ir_s), ListSource(rgb_s), TimeRule(slop_ms)))
    expected = []
    for index, time_s in enumerate(rgb_s):
        distances_ms = [round(abs(t - time_s) * 1000) for t in ir_s]
        if distances_ms and min(distances_ms) <= slop_ms:
            expected.append((index, min(distances_ms)))
    found = [(p.rgb.index, round(abs(p.ir.time_s - p.rgb.time_s) * 1000)) for p in pairs]
    assert found == expected


def rate(fps: float, seconds: float, phase_s: float = 0.0) -> list[float]:
    return [phase_s + index / fps for index in range(round(seconds * fps))]


def test_cameras_give_every_colour_frame_the_nearest_infrared_frame_there_is() -> None:
    ir_s, rgb_s = rate(9.0, 4.0), rate(30.0, 4.0, 0.004)
    shown, pairing = live_pairs(ir_s, rgb_s, 3.9)
    pairs = paired(shown)
    assert len(pairs) == len(shown) >= 115, "a slow infrared camera leaves no frame unpaired"
    for pair in pairs[5:]:
        there = [t for t in ir_s if t <= pair.rgb.time_s + 0.003]
        assert pair.ir.time_s == min(there[-2:], key=lambda t: abs(t - pair.rgb.time_s))
    assert pairing.counts.dropped_rgb == 0
    assert pairing.counts.unpaired_rgb <= 1, "until the period of the infrared camera is known"


def test_held_takes_the_last_infrared_frame_before() -> None:
    ir_s, rgb_s = rate(9.0, 2.0), rate(30.0, 2.0, 0.004)
    shown, _ = live_pairs(ir_s, rgb_s, 1.9, TimeRule(between="held"))
    for pair in paired(shown):
        assert pair.ir.time_s == max(t for t in ir_s if t <= pair.rgb.time_s)


def test_an_infrared_camera_that_is_late_is_paired_with_the_colour_of_its_moment() -> None:
    """Its frames of time t were taken 400 ms before: the picture waits, and no pair is off by more than a period."""
    ir_s, rgb_s = rate(9.0, 4.0, 0.4), rate(30.0, 4.0)
    shown, pairing = live_pairs(ir_s, rgb_s, 3.9, TimeRule(ir_offset_ms=-400.0))
    pairs = paired(shown)
    assert len(pairs) > 95
    assert max(abs(pair.ir.time_s - pair.rgb.time_s) for pair in pairs) < 0.125
    assert pairing.counts.dropped_rgb <= 2


def test_a_colour_camera_that_is_late_finds_its_infrared_frame_among_older_ones() -> None:
    shown, _ = live_pairs(rate(30.0, 3.0), rate(30.0, 3.0), 2.9, TimeRule(ir_offset_ms=300.0, slop_ms=20.0))
    pairs = paired(shown)
    assert len(pairs) > 75
    assert {pair.rgb.index - pair.ir.index for pair in pairs[3:]} == {9}


def test_interpolated_waits_for_the_later_frame_and_mixes_by_time() -> None:
    ir_s, rgb_s = rate(10.0, 3.0), rate(30.0, 3.0, 0.001)
    shown, _ = live_pairs(ir_s, rgb_s, 2.9, TimeRule(between="interpolated"))
    pairs = paired(shown)[20:]
    assert len(pairs) > 50
    assert all(pair.ir.time_s == pair.rgb.time_s for pair in pairs)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_mix_of_two_frames(share: float) -> None:
    frames = [Stamped(np.full((16, 16), level, np.uint16), time_s, 0) for level, time_s in ((1000, 2.0), (3000, 2.1))]
    mixed = TimeRule(between="interpolated").choose(frames, 2.0 + 0.1 * share, 0.1)
    assert mixed is not None and mixed.frame.dtype == np.uint16
    assert mixed.frame == pytest.approx(1000 + 2000 * share, abs=1)


def test_frames_of_different_size_are_not_mixed() -> None:
    frames = [Stamped(np.zeros((h, 16), np.uint8), time_s, 0) for h, time_s in ((16, 2.0), (32, 2.1))]
    assert TimeRule(between="interpolated").choose(frames, 2.04, 0.1) == frames[0]


def test_a_lost_infrared_camera_leaves_colour_alone_after_half_a_second() -> None:
    ir_s = [t for t in rate(30.0, 6.0) if not 2.0 < t < 4.0]
    shown, pairing = live_pairs(ir_s, rate(30.0, 6.0, 0.002), 5.9)
    alone = [one for one in shown if isinstance(one, Alone)]
    assert all(one.rgb is not None and one.ir is None for one in alone)
    assert 2.5 < alone[0].time_s < 2.7 and 3.9 < alone[-1].time_s < 4.05
    assert [notice.what for notice in alone[20].notices] == ["ir lost"]
    assert alone[20].notices[0].text == "IR LOST 1 s"
    assert all(abs(pair.ir.time_s - pair.rgb.time_s) <= 0.1001 for pair in paired(shown))
    assert pairing.counts.unpaired_rgb == pytest.approx(57, abs=3)


def test_a_lost_colour_camera_leaves_infrared_alone() -> None:
    rgb_s = [t for t in rate(30.0, 6.0) if not 2.0 < t < 4.0]
    shown, _ = live_pairs(rate(30.0, 6.0), rgb_s, 5.9)
    alone = [one for one in shown if isinstance(one, Alone)]
    assert all(one.ir is not None and one.rgb is None for one in alone)
    assert len(alone) > 30
    assert {notice.what for one in alone for notice in one.notices} == {"rgb lost"}
    assert paired(shown)[-1].rgb.time_s > 5.8, "both are shown again"


def test_without_any_camera_the_screen_says_so_twice_a_second() -> None:
    shown, _ = live_pairs(rate(30.0, 1.0), rate(30.0, 1.0), 4.9)
    blank = [one for one in shown if isinstance(one, Alone) and one.ir is None and one.rgb is None]
    assert 5 <= len(blank) <= 9
    assert [notice.what for notice in blank[-1].notices] == ["rgb lost", "ir lost"]


def test_cameras_that_run_but_do_not_fit_in_time_are_called_unpaired() -> None:
    shown, _ = live_pairs(rate(9.0, 3.0), rate(30.0, 3.0), 2.9, TimeRule(slop_ms=0.0))
    alone = [one for one in shown if isinstance(one, Alone)]
    assert {notice.what for one in alone for notice in one.notices} <= {"ir unpaired"}


def test_waiting_for_cameras_ends_when_asked_to_stop() -> None:
    stop, clock = Stop(), Clock()
    stop.set()
    assert pair_sources(Camera([], clock), Camera([], clock)).next(stop) is None


def test_a_camera_and_a_recording_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be paired"):
        pair_sources(Camera([], Clock()), ListSource([]))


def test_negative_slop_is_refused() -> None:
    with pytest.raises(InputError, match="slop"):
        pair_sources(ListSource([]), ListSource([]), TimeRule(-1.0))


@pytest.mark.parametrize("offset_s", [0.3, -0.25])
def test_an_ir_recording_that_started_later_is_paired_by_when_its_frames_were_taken(offset_s: float) -> None:
    ir = ListSource([i / 20.0 for i in range(20)])
    pairs = all_pairs(pair_sources(ir, ListSource([i / 20.0 for i in range(20)]), TimeRule(10.0, offset_s * 1000.0)))
    steps = round(offset_s * 20)
    assert [pair.rgb.index - pair.ir.index for pair in pairs] == [steps] * (20 - abs(steps))
    assert all(pair.ir.time_s == pytest.approx(pair.rgb.time_s) for pair in pairs)


@pytest.mark.parametrize("text", ["nan", "inf", "soon", ""])
def test_an_offset_is_a_finite_number(text: str) -> None:
    with pytest.raises(InputError, match=r"--ir-offset-ms is .*; expected a number of milliseconds, or auto"):
        parse_ms("--ir-offset-ms", text)
