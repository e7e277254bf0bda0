"""`--estimate-every`: when the network is asked, and what is shown in between."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.pipeline_parts import HW, MATRIX, ShiftAligner, make_pair
from vr.runtime.aligner import Aligner
from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError
from vr.runtime.estimation import FRESH_S, Estimation, EveryNth, InBackground, estimation_for, parse_every
from vr.runtime.geometry import theta_to_matrix
from vr.runtime.pairing import Pair
from vr.runtime.rigs import RIGS
from vr.runtime.sim import Simulator
from vr.runtime.sources.base import Stamped
from vr.runtime.warp import Warper

FIXED = RIGS["fixed"]


def asking(estimation: Estimation) -> Callable[[Pair], Alignment]:
    def ask(pair: Pair) -> Alignment:
        asked = estimation.ask(pair)
        alignment = estimation.answer(asked)
        estimation.drawn(asked)
        return alignment

    return ask


def test_every_third_pair_is_estimated_and_the_others_are_carried() -> None:
    aligner = ShiftAligner()
    estimation = asking(EveryNth(aligner, 3, FIXED))
    alignments = [estimation(make_pair(index)) for index in range(7)]
    assert aligner.asked == [0.0, pytest.approx(3 / 30), pytest.approx(6 / 30)]
    assert [round(one.age_s * 30) for one in alignments] == [0, 1, 2, 0, 1, 2, 0]
    assert {one.state for one in alignments} == {"estimated"}
    for index, one in enumerate(alignments):
        assert one.matrix_rgb_to_ir is not None and (one.matrix_rgb_to_ir == MATRIX).all()
        assert (one.ir == index).all(), "each picture shows its own infrared frame"
    assert "estimate" in alignments[3].timings_ms and alignments[4].timings_ms == {}


def test_a_carried_transform_is_held_when_it_is_old_and_refused_when_the_rig_forgets() -> None:
    estimation = asking(EveryNth(ShiftAligner(), 1000, FIXED))
    times_s = [0.0, FRESH_S, FRESH_S + 0.01, FIXED.hold_s, FIXED.hold_s + 0.01]
    alignments = [estimation(make_pair(index, time_s)) for index, time_s in enumerate(times_s)]
    assert [one.state for one in alignments] == ["estimated", "estimated", "held", "held", "refused"]
    assert alignments[-1].matrix_rgb_to_ir is None and alignments[-1].moved is None
    assert alignments[-2].age_s == pytest.approx(FIXED.hold_s)


def test_a_refused_estimate_is_not_shown_later_either() -> None:
    refused = Alignment("refused", 0.2, None, None, HW, make_pair(0).ir.frame)
    assert asking(EveryNth(lambda *_args, **_kwargs: refused, 2, FIXED))(make_pair(0)) is refused
    carried = refused.carried_to(make_pair(1).ir.frame, HW, "refused", 0.1)
    assert carried.state == "refused" and carried.confidence == 0.2 and np.isnan(carried.source_map_xy()).all()


def test_a_transform_is_carried_to_frames_of_another_size() -> None:
    theta = np.array([[0.9, 0.05, 0.1], [-0.04, 1.1, -0.2]])
    matrix = theta_to_matrix(theta, HW, HW)
    one = Alignment("estimated", 0.9, matrix, None, HW, np.zeros(HW, np.uint8))
    larger = one.carried_to(np.zeros((30, 50), np.uint8), (96, 120), "estimated", 0.1)
    assert larger.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(larger.matrix_rgb_to_ir, theta_to_matrix(theta, (96, 120), (30, 50)), atol=1e-9)
    moved = larger.moved
    assert moved is not None and moved.shape == (96, 120, 3)


def test_a_carried_flow_keeps_its_source_map() -> None:
    flow = np.random.default_rng(0).normal(0, 2, (2, 24, 32)).astype(np.float32)
    one = Alignment("estimated", None, None, flow, HW, np.zeros(HW, np.uint8))
    later = one.carried_to(np.ones(HW, np.uint8), HW, "estimated", 0.1)
    assert later.source_map_xy() is one.source_map_xy()


def test_a_warper_serves_flows_that_draw_alike() -> None:
    flow = np.zeros((2, 24, 32), np.float32)
    warper = Warper(HW, HW, flow=flow)
    assert warper.draws_like(flow + 0.007, HW, HW), "2 IR pixels per cell: 0.014 px"
    assert not warper.draws_like(flow + 0.009, HW, HW)
    assert not warper.draws_like(flow, (96, 128), HW)
    assert not Warper(HW, HW, MATRIX).draws_like(flow, HW, HW)


def test_the_picture_does_not_wait_for_the_network_of_a_live_pair() -> None:
    asked, gate = threading.Event(), threading.Event()
    aligner = ShiftAligner(gate, asked)
    estimation = InBackground(aligner, 1, FIXED, waits=False)
    assert asking(estimation)(make_pair(0)).state == "refused"
    assert asked.wait(20)
    assert [asking(estimation)(make_pair(index)).state for index in range(1, 5)] == ["refused"] * 4
    gate.set()
    while len(aligner.asked) < 2:
        threading.Event().wait(0.005)
    estimation.close()
    assert aligner.asked == [0.0, pytest.approx(4 / 30)], "the first pair, then the newest; none of those in between"


def test_a_live_picture_takes_the_newest_estimate() -> None:
    aligner = ShiftAligner()
    estimation = InBackground(aligner, 1, FIXED, waits=False)
    index = 0
    while (one := asking(estimation)(make_pair(index, 0.001 * index))).state == "refused":
        index += 1
        assert index < 10_000_000
    assert one.matrix_rgb_to_ir is not None and (one.matrix_rgb_to_ir == MATRIX).all()
    assert one.age_s >= 0.0 and (one.ir == index % 256).all()
    estimation.close()


def test_a_recording_waits_where_nothing_fresh_is_there() -> None:
    aligner = ShiftAligner()
    estimation = InBackground(aligner, 1, FIXED, waits=True)
    alignments = [asking(estimation)(make_pair(index, 10.0 * index)) for index in range(5)]
    threading.Event().wait(0.05)  # a pair that was asked for twice would be estimated now
    estimation.close()
    assert [one.state for one in alignments] == ["estimated"] * 5
    assert aligner.asked == [0.0, 10.0, 20.0, 30.0, 40.0], "10 s apart: every pair had to be estimated"


def test_what_breaks_in_the_background_reaches_the_caller() -> None:
    estimation = InBackground(ShiftAligner(fails_at=1), 1, FIXED, waits=True)
    assert asking(estimation)(make_pair(0)).state == "estimated"
    with pytest.raises(ValueError, match="the aligner broke"):
        asking(estimation)(make_pair(1, 10.0))
    estimation.close()


def test_which_way_is_chosen() -> None:
    aligner = ShiftAligner()
    for every, live, kind in [(1, True, EveryNth), (1, False, EveryNth), (4, False, EveryNth), (4, True, InBackground)]:
        chosen = estimation_for(aligner, every, FIXED, live)
        assert isinstance(chosen, kind)
        chosen.close()
    automatic = estimation_for(aligner, None, FIXED, live=False)
    assert isinstance(automatic, InBackground)
    automatic.close()


@pytest.mark.parametrize("text", ["0", "-1", "often", "1.5", ""])
def test_a_wrong_interval_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="auto, or every how many pairs"):
        parse_every(text)
    assert parse_every("auto") is None and parse_every("12") == 12


def test_looking_ahead_in_many_threads_changes_nothing() -> None:
    """The same numbers, and the pairs are looked at by several threads while none is answered yet."""
    simulator = Simulator(seed=3, rgb_hw=(240, 320), ir_hw=(240, 320))
    frames = [simulator.frames(index) for index in range(8)]
    pairs = [Pair(Stamped(ir, n / 30, n), Stamped(rgb, n / 30, n)) for n, (ir, rgb) in enumerate(frames)]
    one_by_one = EveryNth(Aligner.load("small", "cpu", 1), 2, FIXED)
    ahead = EveryNth(Aligner.load("small", "cpu", 1), 2, FIXED, workers=3)
    expected = [one_by_one.answer(one_by_one.ask(pair)) for pair in pairs]
    asked = [ahead.ask(pair) for pair in pairs]
    assert [one.ahead is not None for one in asked] == [True, False] * 4
    found = [ahead.answer(one) for one in asked]
    ahead.close()
    for one, two in zip(expected, found, strict=True):
        assert one.matrix_rgb_to_ir is not None and two.matrix_rgb_to_ir is not None
        np.testing.assert_array_equal(one.matrix_rgb_to_ir, two.matrix_rgb_to_ir)
        assert (one.state, one.confidence) == (two.state, two.confidence) and two.ir is not None
