"""The state of a run, its status file, and what `vr-health` makes of it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline_parts import make_pair
from vr.runtime.errors import OutputError, StreamError
from vr.runtime.health import check
from vr.runtime.notices import Notice
from vr.runtime.sinks import Output
from vr.runtime.sources.base import CameraStatus, Stamped
from vr.runtime.status import STALL_S, PairStatus, RunState, Status, overall
from vr.runtime.supervision import Supervisor


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def output(index: int = 0, total_ms: float = 20.0, notices: tuple[Notice, ...] = ()) -> Output:
    pair = make_pair(index)
    return Output(index, pair.rgb.time_s, pair.ir, pair.rgb, None, {"total": total_ms}, None, notices)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def state(status: Status) -> RunState:
    return status.snapshot().state


def test_rate_and_latency_are_those_of_the_last_seconds(clock: Clock) -> None:
    status = Status("gate", clock)
    latencies_ms = np.random.default_rng(1).uniform(5, 50, 200)
    for index, ms in enumerate(latencies_ms):
        clock.now_s += 0.1
        status.output(output(index, ms))
    now = status.snapshot()
    assert now.fps == pytest.approx(10.0, rel=0.02) and now.frames == 200 and now.states == {"refused": 200}
    assert now.latency_p50_ms == pytest.approx(np.percentile(latencies_ms[-101:], 50), rel=0.05)
    assert now.latency_p95_ms == pytest.approx(np.percentile(latencies_ms[-101:], 95), rel=0.05)
    clock.now_s += 60.0
    later = status.snapshot()
    assert (later.fps, later.latency_p50_ms, later.since_output_s) == (0.0, None, pytest.approx(60.0))


class Camera:
    """What a camera says of itself, as the test sets it."""

    name, live, fps, length = "camera", True, 30.0, None

    def __init__(self) -> None:
        self.status = CameraStatus("running", 0.02, {"frames": 7})

    def lose(self, age_s: float = 3.0) -> None:
        self.status = CameraStatus("lost", age_s, {"frames": 7, "reconnects": 2})

    def recent(self) -> list[Stamped]:
        return []

    def wait_newer(self, index: int, wait_s: float) -> bool:
        return False

    def keep(self, seconds: float) -> None:
        """Nothing to keep."""

    def read(self) -> Stamped | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


def test_a_run_without_outputs_is_stalled(clock: Clock) -> None:
    status = Status(clock=clock)
    assert state(status) == "starting" and not status.is_ready
    clock.now_s += 600.0
    assert state(status) == "starting", "a model may take minutes"
    status.opened({"ir": Camera(), "rgb": Camera()})
    assert state(status) == "starting" and status.is_ready, "its cameras are looked after"
    clock.now_s += STALL_S + 1
    assert state(status) == "stalled"
    status.output(output())
    assert state(status) == "running" and status.is_ready
    clock.now_s += STALL_S + 1
    assert state(status) == "stalled"


def test_a_lost_camera_or_a_notice_is_degraded_and_two_lost_ones_are_waited_for(clock: Clock) -> None:
    status, ir, rgb = Status(clock=clock), Camera(), Camera()
    status.opened({"ir": ir, "rgb": rgb})
    status.output(output())
    assert state(status) == "running"
    ir.lose(age_s=5.0)
    now = status.snapshot()
    assert now.state == "degraded" and now.cameras["ir"].age_s == 5 and now.cameras["ir"].counts["reconnects"] == 2
    rgb.lose()
    assert state(status) == "waiting"
    clock.now_s += STALL_S + 1
    assert state(status) == "stalled", "lost cameras are no excuse: empty pictures come then"
    ir, rgb = Camera(), Camera()
    status.opened({"ir": ir, "rgb": rgb})
    status.output(output(notices=(Notice("disk full", 3.0),)))
    assert state(status) == "degraded" and status.snapshot().notices == ("disk full",)


def test_the_first_end_counts(clock: Clock) -> None:
    status = Status(clock=clock)
    status.end(StreamError("camera gone"))
    status.end()
    now = status.snapshot()
    assert (now.state, now.error) == ("failed", "camera gone")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["running", "running"], "running"),
        (["running", "waiting"], "waiting"),
        (["waiting", "stalled", "running"], "stalled"),
        (["running", "ended"], "running"),
        (["running", "failed"], "degraded"),
        (["stalled", "failed"], "stalled"),
        (["ended", "failed"], "failed"),
        (["ended"], "ended"),
    ],
)
def test_the_worst_pair_counts(states: list[RunState], expected: RunState) -> None:
    pairs = [PairStatus("", one, 0.0, 0, {}, None, None, None, {}, ()) for one in states]
    assert overall(pairs) == expected


def test_the_file_says_how_every_pair_is(tmp_path: Path, clock: Clock) -> None:
    gate, yard, ir = Status("gate", clock), Status("yard", clock), Camera()
    ir.lose()
    gate.opened({"ir": ir, "rgb": Camera()})
    for index in range(3):
        clock.now_s += 0.1
        gate.output(output(index))
    supervisor = Supervisor([gate, yard], tmp_path / "status.json", clock=clock)
    supervisor.look()
    document: dict[str, Any] = json.loads((tmp_path / "status.json").read_text())
    assert (document["state"], document["pid"]) == ("degraded", os.getpid())
    assert abs(document["unix_s"] - time.time()) < 5
    one, two = document["pairs"]
    assert (one["name"], one["state"], one["frames"], one["latency_p50_ms"]) == ("gate", "degraded", 3, 20.0)
    assert one["cameras"]["ir"] == {"state": "lost", "age_s": 3.0, "counts": {"frames": 7, "reconnects": 2}}
    assert (two["state"], two["since_output_s"], two["latency_p95_ms"]) == ("starting", None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        Supervisor([Status()], tmp_path / "nowhere" / "status.json")


def health(path: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "vr.runtime.health", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.count("\n") == 1
    return done.returncode, done.stdout.rstrip()


def test_health_is_an_exit_code(tmp_path: Path) -> None:
    status, path = Status(), tmp_path / "status.json"
    supervisor = Supervisor([status], path)
    supervisor.look()
    assert health(path) == (1, "degraded: starting")
    status.output(output())
    supervisor.look()
    assert health(path) == (0, "healthy: running")
    ir = Camera()
    ir.lose()
    status.opened({"ir": ir, "rgb": Camera()})
    supervisor.look()
    assert health(path) == (1, "degraded: degraded; ir lost")
    supervisor.end(StreamError("camera gone"))
    assert health(path) == (2, "dead: failed; ir lost, camera gone")


def test_an_old_file_a_missing_one_and_a_foreign_one_are_dead(tmp_path: Path) -> None:
    status, path = Status(), tmp_path / "status.json"
    status.output(output())
    Supervisor([status], path).look()
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "unix_s": time.time() - 30}))
    code, text = check(path)
    assert code == 2 and "written 30 s ago, and was running then" in text
    assert health(path, "--max-age", "60")[0] == 0
    assert check(tmp_path / "none.json")[0] == 2
    for text in ("", "[]", '{"state": "running"}', "\x00\xff"):
        path.write_text(text)
        assert check(path) == (2, f"dead: {path} is no status file of vr-live")
