"""The threads of a live run: order, bounds, who waits for whom, and what an error does."""

import threading

import pytest

from tests.pipeline_parts import ListSink, Pairs, ShiftAligner
from vr.runtime.controls import Controls
from vr.runtime.errors import OutputError
from vr.runtime.estimation import EveryNth
from vr.runtime.handover import Handover
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import RIGS
from vr.runtime.sinks import Output, Sink
from vr.runtime.stopping import Stop


def build(
    pairs: Pairs,
    sinks: list[Sink],
    live: bool,
    aligner: ShiftAligner | None = None,
    stop: Stop | None = None,
    frames: int | None = None,
    seen: list[Output] | None = None,
) -> Pipeline:
    watch = (lambda _output: None) if seen is None else seen.append
    estimation = EveryNth(aligner or ShiftAligner(), 1, RIGS["fixed"])
    return Pipeline(pairs, estimation, sinks, stop or Stop(), watch, live=live, controls=Controls(), frames=frames)


def run(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.join()


def no_threads_left() -> bool:
    names = {thread.name.split()[0] for thread in threading.enumerate()}
    return not names & {"read", "align", "draw", "output", "estimate"}


def test_every_frame_of_a_recording_reaches_every_sink_in_order() -> None:
    pictures, numbers, seen = ListSink(), ListSink(wants_picture=False), []
    run(build(Pairs(40), [pictures, numbers], live=False, seen=seen))
    for outputs in (pictures.outputs, numbers.outputs, seen):
        assert [output.index for output in outputs] == list(range(40))
        assert [output.rgb.index for output in outputs if output.rgb is not None] == list(range(40))
    assert pictures.outputs[7].picture is numbers.outputs[7].picture is not None
    assert {"read", "estimate", "draw", "total"} == set(pictures.outputs[0].latency_ms)
    assert no_threads_left()


def test_no_picture_is_drawn_that_nobody_wants() -> None:
    numbers = ListSink(wants_picture=False)
    run(build(Pairs(3), [numbers], live=False))
    assert [output.picture for output in numbers.outputs] == [None] * 3


def test_the_next_pair_is_read_while_the_last_one_is_aligned() -> None:
    gate, third_read = threading.Event(), threading.Event()
    pairs = Pairs(5, before=lambda index: third_read.set() if index == 2 else None)
    pipeline = build(pairs, [ListSink()], live=False, aligner=ShiftAligner(gate))
    pipeline.start()
    assert third_read.wait(20), "though not even the first one is aligned"
    gate.set()
    pipeline.join()


def test_what_waits_between_the_stages_is_bounded() -> None:
    gate, written = threading.Event(), threading.Event()

    def hold(_index: int) -> None:
        written.set()
        assert gate.wait(20)

    pairs, sink = Pairs(200), ListSink(before=hold)
    pipeline = build(pairs, [sink], live=False)
    pipeline.start()
    assert written.wait(20)
    threading.Event().wait(0.2)
    assert pairs.given <= 12
    gate.set()
    pipeline.join()
    assert len(sink.outputs) == 200


def test_a_slow_sink_delays_neither_cameras_nor_the_other_sinks() -> None:
    gate = threading.Event()
    slow, fast, light = ListSink(before=lambda _index: gate.wait(20)), ListSink(), ListSink(wants_picture=False)
    pairs = Pairs(100, before=lambda _index: threading.Event().wait(0.002))
    pipeline = build(pairs, [slow, fast, light], live=True)
    pipeline.start()
    while len(light.outputs) < 100:
        threading.Event().wait(0.01)
    assert pairs.given == 100 and slow.outputs == [], "all frames went by while the slow one had its first"
    gate.set()
    pipeline.join()
    indices = [output.index for output in slow.outputs]
    assert indices == sorted(indices) and indices[-1] == 99, "it goes on with the newest"
    assert len(fast.outputs) + len(slow.outputs) + pipeline.dropped_by_sinks == 200


def test_only_so_many_frames() -> None:
    pairs, sink = Pairs(), ListSink()
    run(build(pairs, [sink], live=False, frames=5))
    assert len(sink.outputs) == 5 == pairs.given


def test_stop_lets_out_what_is_under_way() -> None:
    stop, sink = Stop(), ListSink()
    pairs = Pairs(before=lambda index: stop.set() if index == 9 else None)
    run(build(pairs, [sink], live=False, stop=stop))
    assert len(sink.outputs) == 10 and no_threads_left()


@pytest.mark.parametrize("live", [False, True])
def test_an_error_of_a_sink_ends_the_run_and_is_raised(live: bool) -> None:
    def fail(index: int) -> None:
        if index >= 3:
            raise OutputError("the disk is full")

    other = ListSink()
    pipeline = build(Pairs(), [ListSink(before=fail), other], live)
    with pytest.raises(OutputError, match="the disk is full"):
        run(pipeline)
    indices = [output.index for output in other.outputs]
    assert indices[:3] == [0, 1, 2] or live
    assert no_threads_left()


def test_an_error_while_reading_keeps_what_was_read_before() -> None:
    def fail(index: int) -> None:
        if index == 6:
            raise OutputError("cannot read frame 6")

    sink = ListSink()
    with pytest.raises(OutputError, match="frame 6"):
        run(build(Pairs(before=fail), [sink], live=False))
    assert len(sink.outputs) == 6


def test_an_error_of_the_aligner_ends_the_run() -> None:
    with pytest.raises(ValueError, match="the aligner broke"):
        run(build(Pairs(), [ListSink()], live=False, aligner=ShiftAligner(fails_at=4)))
    assert no_threads_left()


def test_a_handover_that_drops_keeps_the_newest() -> None:
    handover = Handover[int](2, drops=True)
    for number in range(5):
        assert handover.put(number)
    handover.end()
    assert list(handover) == [3, 4] and handover.dropped == 3


def test_nothing_can_be_handed_over_to_nobody() -> None:
    handover = Handover[int](1)
    assert handover.put(1)
    waiting = threading.Thread(target=lambda: results.append(handover.put(2)))
    results: list[bool] = []
    waiting.start()
    handover.abandon()
    waiting.join(20)
    assert results == [False] and list(handover) == []
