"""Pairing against a brute-force reference, its counts, and its policy for cameras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vr.runtime.errors import InputError, StreamError
from vr.runtime.pairing import Pair, Pairing, pair_sources
from vr.runtime.sources import Stamped
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


class ScriptedCamera:
    """A camera whose `newest` follows a script: frame number and time, None for no news, or an exception."""

    live = True
    fps = 30.0
    length = None

    def __init__(self, script: list[tuple[int, float] | Exception | None]) -> None:
        self.name = "scripted"
        self._script = script

    def newest(self, wait_s: float) -> Stamped | None:
        step = self._script.pop(0) if self._script else StreamError("script is over")
        if isinstance(step, Exception):
            raise step
        return None if step is None else Stamped(FRAME, step[1], step[0])

    def read(self) -> Stamped | None:
        return self.newest(0.0)

    def close(self) -> None: ...


def all_pairs(pairing: Pairing) -> list[Pair]:
    stop = Stop()
    return list(iter(lambda: pairing.next(stop), None))


def indices(pairs: list[Pair]) -> list[tuple[int, int]]:
    return [(pair.ir.index, pair.rgb.index) for pair in pairs]


def test_equal_folders_pair_by_index() -> None:
    times_s = [i / 30.0 for i in range(50)]
    pairing = pair_sources(ListSource(times_s), ListSource(times_s), slop_ms=0.0)
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
        ListSource([i / 10.0 for i in range(4)]), ListSource([i / 30.0 for i in range(10)]), slop_ms=50.0
    )
    assert [ir for ir, _ in indices(all_pairs(pairing))] == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert pairing.counts.skipped_ir == 0


def test_fast_infrared_is_skipped_and_counted() -> None:
    pairing = pair_sources(ListSource([i / 60.0 for i in range(20)]), ListSource([i / 20.0 for i in range(5)]))
    assert indices(all_pairs(pairing)) == [(0, 0), (3, 1), (6, 2), (9, 3), (12, 4)]
    assert pairing.counts.skipped_ir == 8


def test_stream_ends_when_infrared_has_ended_and_none_is_near() -> None:
    rgb = ListSource([float(i) for i in range(100)])
    pairing = pair_sources(ListSource([0.0, 1.0, 2.0]), rgb, slop_ms=10.0)
    assert indices(all_pairs(pairing)) == [(0, 0), (1, 1), (2, 2)]
    assert (pairing.counts.unpaired_rgb, rgb.read_count) == (1, 4)


def test_a_gap_in_the_infrared_leaves_colour_frames_unpaired() -> None:
    pairing = pair_sources(ListSource([0.0, 0.9]), ListSource([i / 10.0 for i in range(10)]), slop_ms=100.0)
    assert indices(all_pairs(pairing)) == [(0, 0), (0, 1), (1, 8), (1, 9)]
    assert pairing.counts.unpaired_rgb == 6


def test_empty_infrared_gives_nothing() -> None:
    assert all_pairs(pair_sources(ListSource([]), ListSource([0.0]))) == []


times = st.lists(st.integers(0, 3000), max_size=40, unique=True).map(lambda ms: [t / 1000 for t in sorted(ms)])


@settings(max_examples=200, deadline=None)
@given(ir_s=times, rgb_s=times, slop_ms=st.integers(0, 500))
def test_recordings_match_the_brute_force_reference(ir_s: list[float], rgb_s: list[float], slop_ms: int) -> None:
    pairs = all_pairs(pair_sources(ListSource(ir_s), ListSource(rgb_s), slop_ms))
    expected = []
    for index, time_s in enumerate(rgb_s):
        distances_ms = [round(abs(t - time_s) * 1000) for t in ir_s]
        if distances_ms and min(distances_ms) <= slop_ms:
            expected.append((index, min(distances_ms)))
    found = [(p.rgb.index, round(abs(p.ir.time_s - p.rgb.time_s) * 1000)) for p in pairs]
    assert found == expected


def test_cameras_take_the_nearer_of_the_two_newest_infrared_frames() -> None:
    ir = ScriptedCamera([(4, 1.00), (7, 1.10), None])
    rgb = ScriptedCamera([(20, 1.02), (21, 1.05), (25, 1.11)])
    pairing = pair_sources(ir, rgb, slop_ms=60.0)
    stop = Stop()
    pairs = [pair for _ in range(2) if (pair := pairing.next(stop)) is not None]
    assert indices(pairs) == [(4, 20), (7, 21)]
    assert pairing.counts.dropped_rgb == 0
    assert pairing.counts.skipped_ir == 4 + 2


def test_cameras_drop_what_was_overwritten_and_what_has_no_partner() -> None:
    ir = ScriptedCamera([None, (0, 1.0), None, None, (3, 2.0)])
    rgb = ScriptedCamera([(10, 1.01), None, (14, 1.5), (15, 2.01)])
    pairing = pair_sources(ir, rgb, slop_ms=100.0)
    stop = Stop()
    pairs = [pair for _ in range(2) if (pair := pairing.next(stop)) is not None]
    assert indices(pairs) == [(0, 10), (3, 15)]
    assert (pairing.counts.dropped_rgb, pairing.counts.unpaired_rgb) == (3, 1)


def test_waiting_for_cameras_ends_when_asked_to_stop() -> None:
    stop = Stop()
    stop.set()
    assert pair_sources(ScriptedCamera([]), ScriptedCamera([])).next(stop) is None


def test_a_broken_camera_is_not_hidden() -> None:
    pairing = pair_sources(ScriptedCamera([(0, 0.0)]), ScriptedCamera([(0, 0.0)]))
    with pytest.raises(StreamError, match="script is over"):
        pairing.next(Stop())


def test_a_camera_and_a_recording_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be paired"):
        pair_sources(ScriptedCamera([]), ListSource([]))


def test_negative_slop_is_refused() -> None:
    with pytest.raises(InputError, match="slop"):
        pair_sources(ListSource([]), ListSource([]), slop_ms=-1.0)


@pytest.mark.parametrize("offset_s", [0.3, -0.25])
def test_an_ir_recording_that_started_later_is_paired_by_when_its_frames_were_taken(offset_s: float) -> None:
    ir = ListSource([i / 20.0 for i in range(20)])
    pairs = all_pairs(pair_sources(ir, ListSource([i / 20.0 for i in range(20)]), 10.0, offset_s * 1000.0))
    steps = round(offset_s * 20)
    assert [pair.rgb.index - pair.ir.index for pair in pairs] == [steps] * (20 - abs(steps))
    assert all(pair.ir.time_s == pytest.approx(pair.rgb.time_s) for pair in pairs)


def test_an_offset_is_for_recordings_and_finite() -> None:
    with pytest.raises(InputError, match="--ir-offset-ms is for recordings"):
        pair_sources(ScriptedCamera([]), ScriptedCamera([]), ir_offset_ms=40.0)
    with pytest.raises(InputError, match="--ir-offset-ms is nan; expected a number"):
        pair_sources(ListSource([]), ListSource([]), ir_offset_ms=float("nan"))
