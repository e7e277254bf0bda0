"""The matrix of faults and the long run: what they conclude from what they see."""

import itertools
import random

import pytest

from benchmarks.faults.cell import live_cell
from benchmarks.faults.file_cell import file_cell
from benchmarks.faults.kinds import BY_NAME, KINDS, TRANSPORTS
from benchmarks.faults.recorded import Played, gaps, holes
from benchmarks.faults.soak_figures import by_minute, faults_found, growth
from benchmarks.faults.verdict import verdict_of
from benchmarks.faults.witness import Seen, judge, recovered_at_s
from tests.bench.script import random_steps

GOOD_ROW = {
    **{"kind": "cut", "camera": "ir", "transport": "http", "recovery_s": [0.1, 4.0], "deaths": [], "shown": 9},
    **{"wrong": 0, "skew_ms_max": 40, "unreadable": 0, "counts_right": True, "counted": {}, "injected": 2},
    "resources_before": {"handles": 9, "threads": 8, "anonymous_mb": 100.0},
    "resources_after": {"handles": 9, "threads": 8, "anonymous_mb": 101.0},
}


def seen(at_s: float, ir_late_ms: int = 0, shown: bool = True, notices: str = "") -> Seen:
    return Seen(at_s, shown, round(at_s * 1000) - ir_late_ms, round(at_s * 1000), notices)


def test_recovery_is_the_first_of_five_right_pairs_in_a_row() -> None:
    run = [seen(k / 10, ir_late_ms=500 if k == 4 else 0, shown=k not in (10, 11)) for k in range(30)]
    assert recovered_at_s(run, 0.0, 150.0) == 0.5
    assert recovered_at_s(run, 0.7, 150.0) == 1.2
    assert recovered_at_s(run, 2.8, 150.0) is None


def test_an_old_pair_is_no_recovery() -> None:
    assert recovered_at_s([Seen(10.0 + k, True, 5_000, 5_000, "") for k in range(9)], 0.0, 150.0) is None


def test_wrong_pairs_are_those_that_are_shown_and_apart() -> None:
    run = [seen(1.0), seen(2.0, 151), seen(3.0, -151), seen(4.0, 900, shown=False), seen(5.0, 400, notices="ir frozen")]
    verdict = judge([*run, Seen(6.0, True, None, 6_000, "")], 150.0)
    assert (verdict.wrong, verdict.wrong_noticed, verdict.unreadable, verdict.shown) == (2, 1, 1, 5)
    assert verdict.skew_ms_max == 151 and verdict.notices == ["ir frozen"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"recovery_s": [0.1, None]}, "1 of 2 not recovered"),
        ({"recovery_s": [5.1, 0.2]}, "1 of 2 not recovered"),
        ({"wrong": 3}, "3 wrong pairs"),
        ({"unreadable": 2}, "2 damaged pictures"),
        ({"deaths": ["gone"]}, "run ended 1 times: gone"),
        ({"counts_right": False}, "counts"),
        ({"resources_after": {"handles": 10, "threads": 8, "anonymous_mb": 100.0}}, r"handles \+1"),
        ({"crashed": "exit code 1"}, "crashed"),
    ],
)
def test_a_cell_is_good_or_says_why_not(change: dict[str, object], reason: str | None) -> None:
    reasons = verdict_of(GOOD_ROW | change).reasons
    if reason is None:
        assert reasons == []
    else:
        assert len(reasons) == 1
        with pytest.raises(ValueError, match=reason):
            raise ValueError(reasons[0])


def test_every_kind_has_a_transport_and_something_that_must_hold() -> None:
    assert len(KINDS) >= 12 and len(BY_NAME) == len(KINDS)
    names = ["decode_errors", "changes", "stalls", "breaks", "reconnects", "late"]
    counts = dict.fromkeys(names, 0)
    for kind in KINDS:
        assert set(kind.transports) <= set(TRANSPORTS)
        assert all(expected.holds(counts, 0, 0) in (True, False) for expected in kind.expected.values())


def test_growth_compares_after_warm_up_with_the_end() -> None:
    samples = [
        {"at_s": 10.0 * k, "anonymous_mb": 50.0 if k < 6 else 100.0 + k / 10, "threads": 8, "handles": 20 + (k == 90)}
        for k in range(181)
    ]
    figures = growth(samples)
    assert (figures["memory_first_mb"], figures["memory_last_mb"]) == (102.1, 116.5), "medians of 6..36 and 150..180"
    assert figures["memory_growth_mb"] == 14.4
    assert (figures["handles_first"], figures["handles_last"], figures["handles_max"]) == (20, 20, 21)


def test_holes_of_a_recording_are_held_against_those_of_the_outputs() -> None:
    files = [Played("a", [0.0, 0.5, 1.0, 4.0], ""), Played("b", [0.0, 0.9], "")]
    lines = [{"rgb_time_s": time_s, "ir_time_s": None} for time_s in (0.0, 1.0, 3.5, 4.0)]
    assert gaps([0.0, 1.0, 2.5]) == [(1.0, 2.5)]
    found = holes(files, [*lines, {"rgb_time_s": None, "ir_time_s": 7.0}])
    assert found == {"in_files": 1, "in_files_s": 3.0, "in_outputs": 2, "in_outputs_s": 5.5, "pictures": 6}


def test_a_long_run_is_good_or_says_why_not() -> None:
    good = {
        **{"exit_code": 0, "memory_growth_mb": 2.0, "recorded_errors": []},
        **{"threads_first": 9, "threads_last": 9, "handles_first": 20, "handles_last": 19},
        **{"recorded_files": 2, "outputs_span_s": 60.0, "recorded_s": 59.0},
        "holes": {"in_files_s": 4.0, "in_outputs_s": 4.0},
    }
    assert faults_found(good) == []
    worse = {
        "exit_code": 2,
        "memory_growth_mb": 50.0,
        "threads_last": 12,
        "recorded_s": 50.0,
        "recorded_errors": ["a.mp4 has no picture"],
    }
    found = faults_found({**good, **worse, "holes": {"in_files_s": 9.0, "in_outputs_s": 4.0}})
    assert found == [
        "exit code 2",
        "memory +50 MB",
        "threads +3",
        "a.mp4 has no picture",
        "recording is 8.0 s short",
        "recording lacks 5.0 s",
    ]


def test_latency_is_by_minute() -> None:
    lines = [{"rgb_time_s": 100.0 + k, "latency_ms": {"total": float(k)}, "state": "held"} for k in range(90)]
    minutes = by_minute(lines)
    assert [(m["minute"], m["outputs"]) for m in minutes] == [(0, 60), (1, 30)]
    assert minutes[0]["p50_ms"] == pytest.approx(29.5) and minutes[0]["states"] == {"held": 60}


def test_random_scripts_are_seeded_and_come_every_10_to_30_s() -> None:
    durations_s = {"cut": 3.0, "stall": 5.0}
    steps = random_steps(random.Random(3), durations_s, ["ir", "rgb"], 600.0)
    assert steps == random_steps(random.Random(3), durations_s, ["ir", "rgb"], 600.0)
    waits_s = [b.at_s - a.at_s for a, b in itertools.pairwise(steps)]
    assert all(10.0 <= wait_s <= 30.0 for wait_s in waits_s)
    assert {step.kind for step in steps} == {"cut", "stall"} and {step.camera for step in steps} == {"ir", "rgb"}


def test_a_cell_of_recordings_is_measured() -> None:
    row = file_cell(BY_NAME["duplicate"], "rgb", 1, 134.0)
    assert verdict_of(row).reasons == [], row
    assert row["injected"] == pytest.approx(45, abs=1) and row["shown"] > 200
    assert row["recovery_s"][0] < 0.2


@pytest.mark.slow
def test_a_cell_of_cameras_is_measured() -> None:
    row = live_cell(BY_NAME["rate"], "ir", "http", 1)
    assert row["recovery_s"][0] is not None and row["shown"] > 100 and not row["deaths"]
