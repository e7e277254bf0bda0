"""Recordings at their own speed, and again from the beginning."""

import time
from pathlib import Path

import pytest

from tests.live_command import vr_live, write_images
from tests.pipeline_parts import Pairs
from vr.runtime.pairing import LoopedPairing, PacedPairing, Pair
from vr.runtime.stopping import Stop


def test_pairs_come_at_the_speed_at_which_they_were_taken() -> None:
    pairing, start_s = PacedPairing(Pairs(10)), time.monotonic()
    while pairing.next(Stop()) is not None:
        pass
    assert 9 / 30 <= time.monotonic() - start_s < 9 / 30 + 0.5


def test_who_is_late_does_not_hurry_afterwards() -> None:
    now_s = [0.0]
    pairing = PacedPairing(Pairs(5), clock=lambda: now_s[0])
    pairing.next(Stop())
    now_s[0] = 100.0
    pairing.next(Stop())
    stop = Stop()
    stop.set()
    start_s = time.monotonic()
    assert pairing.next(stop) is None and time.monotonic() - start_s < 1.0


def test_a_loop_goes_on_where_the_recording_ends() -> None:
    pairing, stop = LoopedPairing(Pairs(4), lambda: Pairs(4)), Stop()
    pairs = [pairing.next(stop) for _ in range(10)]
    assert all(isinstance(pair, Pair) for pair in pairs)
    times_s = [pair.rgb.time_s for pair in pairs if isinstance(pair, Pair)]
    assert times_s == pytest.approx([index / 30 for index in range(10)])
    assert [pair.rgb.index for pair in pairs if isinstance(pair, Pair)] == list(range(10))
    stop.set()
    assert pairing.next(stop) is None


def test_nothing_is_repeated_of_an_empty_recording() -> None:
    assert LoopedPairing(Pairs(0), lambda: Pairs(0)).next(Stop()) is None


def test_a_looped_run_counts_all_rounds(tmp_path: Path) -> None:
    ir, rgb = (write_images(tmp_path / role, 5, (60, 80)) for role in ("ir", "rgb"))
    ended = vr_live("--ir", ir, "--rgb", rgb, "--loop", "--frames", 12, "--no-window", "--model", "small")
    assert ended.code == 0, ended.err
    assert "12 in" in ended.out
