"""The benchmark of `--web`: its hostile requests against a real server, and its arithmetic."""

from pathlib import Path

import pytest

from benchmarks import web_clients
from benchmarks.web import refused_share, summary
from tests.web_rig import wait_for_picture, web_rig
from vr.runtime.web import connections, guard, requests

TOKEN = "a-token-of-twenty-six-chars"


def test_every_hostile_request_is_refused_and_the_pair_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(requests, "BODY_S", 0.5)
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.02)
    monkeypatch.setattr(web_clients, "_SLOW_STEP_S", 0.05)
    with web_rig(tmp_path, TOKEN) as rig:
        wait_for_picture(rig)
        before, frames = rig.pairs[0].controls.settings, rig.pairs[0].status.snapshot().frames
        answers = web_clients.attack(rig.port, TOKEN, 150)
        assert rig.pairs[0].controls.settings == before and rig.pairs[0].status.snapshot().frames > frames
        assert rig.ask("GET", "/healthz").status == 200
    assert sum(count for of_kind in answers.values() for count in of_kind.values()) == 150
    assert refused_share(answers) == 1.0, answers
    assert set(answers["token"]) == {"401"} and set(answers["slow body"]) == {"408"}


def test_what_is_not_refused_counts() -> None:
    assert refused_share({"path": {"404": 2, "200": 1}, "noise": {"closed": 1}}) == 0.75


def test_the_summary_is_of_medians_against_the_run_without_a_page() -> None:
    fps = {None: [30.0, 28.0, 30.0], 0: [30.0, 30.0, 10.0], 1: [29.0, 29.0, 30.0], 3: [27.0, 30.0, 27.0]}
    rows = [
        {"feed": feed, "viewers": viewers, "fps": one, "latency_median_ms": 1.0}
        for feed in ("cameras", "recording")
        for viewers, several in fps.items()
        for one in several
    ]
    lost = {row["viewers"]: row["fps_lost_percent"] for row in summary(rows) if row["feed"] == "cameras"}
    assert lost == {None: 0.0, 0: 0.0, 1: 3.33, 3: 10.0}
