"""The HTTP interface of `--web`, through real sockets: what is asked for comes, and what cannot be is refused."""

import io
import json
import re
import time
from collections.abc import Generator
from pathlib import Path

import av
import numpy as np
import pytest
from openapi_spec_validator import validate

from tests.web_rig import IR_HW, RGB_HW, TIMEOUT_S, Rig, decoded, wait_for_picture, web_rig
from vr.runtime.controls import Settings, as_json
from vr.runtime.geometry import matrix_to_theta
from vr.runtime.style import VIEWS
from vr.runtime.web.api import Api
from vr.runtime.web.table import operations


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Generator[Rig]:
    with web_rig(tmp_path_factory.mktemp("recordings"), pairs=2) as running:
        wait_for_picture(running)
        yield running


def test_pairs_say_what_may_be_chosen(rig: Rig) -> None:
    first, second = rig.get("/api/pairs")
    assert (first["number"], first["name"], second["number"], second["name"]) == (0, "pair0", 1, "pair1")
    assert first["models"] == ["default", "small"] and first["views"] == list(VIEWS)
    assert (first["follow"], first["celsius"], first["provider"]) == (["estimate", "hold", "hand"], True, "cpu")


def test_settings_change_and_act(rig: Rig) -> None:
    assert rig.get("/api/pairs/1/settings") == json.loads(json.dumps(as_json(Settings())))
    reply = rig.ask("PATCH", "/api/pairs/1/settings", {"alpha": 0.7, "view": "split"})
    assert (reply.status, reply.json["alpha"], reply.json["view"]) == (200, 0.7, "split")
    assert rig.pairs[1].controls.settings.style.alpha == 0.7
    assert rig.get("/api/pairs/0/settings")["alpha"] == Settings().alpha


@pytest.mark.parametrize(
    "body",
    [
        '{"alpha": 1.5}',
        '{"alpha": "much"}',
        '{"alpha": 0.5, "view": "sideways"}',
        '{"follow": "hand"}',
        '{"theta": [1, 0, 0, 0, 1]}',
        '{"theta": [1, 0, 0, 0, 1, 1e999]}',
        '{"theta": [1, 0, 0, 0, 1, NaN]}',
        '{"alpha": ' + "9" * 5000 + "}",
        '{"unknown": 1}',
        "{}",
        "[]",
        "alpha",
        "",
        "[" * 60000,
        '{"model": "/etc/passwd"}',
        '{"model": "\\ud800"}',
        '{"\\ud800": 1}',
        "\ud7ff\x00",
    ],
)
def test_settings_that_cannot_be_are_refused_whole(rig: Rig, body: str) -> None:
    before = rig.get("/api/pairs/0/settings")
    reply = rig.ask("PATCH", "/api/pairs/0/settings", body)
    assert reply.status == 400 and set(reply.json) == {"error"}
    assert rig.get("/api/pairs/0/settings") == before


def test_nudges_in_a_row_add_up(rig: Rig) -> None:
    """The second is measured from the first, even if no picture was drawn in between."""
    rig.ask("PATCH", "/api/pairs/0/settings", {"follow": "estimate", "theta": None})
    nudges = [rig.ask("POST", "/api/pairs/0/nudge", {"move_xy": [3, -2]}) for _ in range(2)]
    assert [(reply.status, reply.json["follow"]) for reply in nudges] == 2 * [(200, "hand")]
    matrix = np.array([[0.6, 0.0, 1.0 - 0.6 * 6], [0.0, 0.6, 2.0 + 0.6 * 4]])
    expected = matrix_to_theta(matrix, RGB_HW, IR_HW)
    assert np.allclose(np.array(nudges[1].json["theta"]).reshape(2, 3), expected, atol=1e-9)
    reset = rig.ask("POST", "/api/pairs/0/nudge", {"reset": True}).json
    assert (reset["follow"], reset["theta"]) == ("estimate", None)


@pytest.mark.parametrize(
    "body", [{"scale": 0}, {"scale": 1e9}, {"move_xy": [1]}, {"move_xy": ["a", 1]}, {"rotate_deg": None}, {"shift": 1}]
)
def test_a_nudge_that_cannot_be_is_refused(rig: Rig, body: dict[str, object]) -> None:
    assert rig.ask("POST", "/api/pairs/0/nudge", body).status == 400


def test_status(rig: Rig) -> None:
    status = rig.get("/api/pairs/0/status")
    assert (status["state"], status["alignment"], status["confidence"]) == ("running", "estimated", 0.9)
    assert (status["rgb_wh"], status["picture_wh"]) == ([128, 96], [128, 96])
    assert status["latency_ms"]["total"] == 12.5 and status["skew_ms"] == pytest.approx(-4.0, abs=0.1)
    assert status["counters"]["unpaired_rgb"] == 1 and status["counters"]["dropped_by_sinks"] == 2
    assert status["matrix_rgb_to_ir"] == [[0.6, 0.0, 1.0], [0.0, 0.6, 2.0]]
    assert (status["recording"], status["viewers"]) == (None, 0)


def test_history_has_lists_of_one_length(rig: Rig) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while len((history := rig.get("/api/pairs/0/history"))["time_s"]) < 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    lengths = {len(history[key]) for key in ("time_s", "fps", "latency_ms", "confidence", "skew_ms", "state")}
    assert len(lengths) == 1 and history["period_s"] == 1
    assert sorted(history["time_s"], reverse=True) == history["time_s"]
    assert 5 < history["fps"][-1] < 55 and history["state"][-1] == "estimated"


def test_snapshot_is_the_newest_picture(rig: Rig) -> None:
    reply = rig.ask("POST", "/api/pairs/0/snapshot", {})
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    assert re.fullmatch(
        r'attachment; filename="pair0-\d{8}T\d{6}Z\.png"', reply.headers["content-disposition"], re.ASCII
    )
    picture = decoded(reply.body)
    assert picture.shape == (*RGB_HW, 3) and picture.min() == picture.max()


def test_picture_once(rig: Rig) -> None:
    reply = rig.ask("GET", "/api/pairs/0/picture.jpg?width=320")
    picture = decoded(reply.body)
    assert reply.headers["content-type"] == "image/jpeg" and picture.shape == (*RGB_HW, 3)


def test_inspect(rig: Rig) -> None:
    """At (60, 40) the matrix gives (37, 26) in the infrared frame; its raw level there is 300.00 K + 37."""
    found = rig.get("/api/pairs/0/inspect?x=60&y=40")
    assert found == {"rgb": [60, 0, 7], "ir_xy": [37.0, 26.0], "ir": 37, "celsius": 63.85, "has_data": True}
    assert rig.get("/api/pairs/0/inspect?x=0&y=95")["has_data"] is True
    aside = rig.get("/api/pairs/0/inspect?x=127&y=95")
    assert aside["ir_xy"] == [77.2, 59.0] and aside["has_data"] is True


@pytest.mark.parametrize("query", ["", "?x=1", "?x=a&y=1", "?x=nan&y=1", "?x=128&y=1", "?x=1&y=-3", "?x=1e99&y=1"])
def test_inspect_refuses_what_is_no_point(rig: Rig, query: str) -> None:
    assert rig.ask("GET", f"/api/pairs/0/inspect{query}").status == 400


def test_recording_plays(rig: Rig) -> None:
    begun = rig.ask("POST", "/api/pairs/1/recording", {"on": True}).json
    assert begun["recording"]["seconds"] < 5
    time.sleep(0.7)
    identity = rig.get("/api/pairs/1/status")["recording"]["id"]
    under_way = rig.ask("GET", f"/api/recordings/{identity}")
    assert under_way.status == 200 and len(under_way.body) == int(under_way.headers["content-length"])
    ended = rig.ask("POST", "/api/pairs/1/recording", {"on": False}).json
    assert ended["recording"] is None and [file["id"] for file in ended["files"]] == [identity]
    reply = rig.ask("GET", f"/api/recordings/{identity}")
    assert (reply.headers["content-type"], len(reply.body)) == ("video/mp4", ended["files"][0]["bytes"])
    with av.open(io.BytesIO(reply.body), "r") as video:
        frames = list(video.decode(video=0))
    assert len(frames) >= 15 and (frames[0].width, frames[0].height) == (128, 96)
    assert re.fullmatch(r"pair1-\d{8}T\d{6}Z\.mp4", ended["files"][0]["name"], re.ASCII)
    assert rig.get("/api/pairs/0/recordings") == {"recording": None, "files": []}


def test_a_part_of_a_recording(rig: Rig) -> None:
    rig.ask("POST", "/api/pairs/0/recording", {"on": True})
    time.sleep(0.3)
    file = rig.ask("POST", "/api/pairs/0/recording", {"on": False}).json["files"][-1]
    whole = rig.ask("GET", f"/api/recordings/{file['id']}").body
    some = rig.ask("GET", f"/api/recordings/{file['id']}", range="bytes=10-19")
    assert (some.status, some.body) == (206, whole[10:20])
    assert some.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert rig.ask("GET", f"/api/recordings/{file['id']}", range="bytes=-7").body == whole[-7:]
    assert rig.ask("GET", f"/api/recordings/{file['id']}", range=f"bytes={len(whole)}-").status == 416


@pytest.mark.parametrize("identity", ["x", "..%2F..%2Fetc%2Fpasswd", "%00", "pair0-20260101T000000Z.mp4"])
def test_no_other_file_can_be_had(rig: Rig, identity: str) -> None:
    assert rig.ask("GET", f"/api/recordings/{identity}").status == 404


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with web_rig(tmp_path / "file" / "below") as rig:
        reply = rig.ask("POST", "/api/pairs/0/recording", {"on": True})
        assert reply.status == 409 and "below" in reply.json["error"]


def test_health(rig: Rig) -> None:
    reply = rig.ask("GET", "/healthz")
    assert (reply.status, reply.json) == (200, {"state": "running"})


def test_the_description_is_openapi_and_complete(rig: Rig) -> None:
    described = rig.get("/api")
    validate(described)
    api = Api(rig.pairs, None)  # type: ignore[arg-type]
    listed = {(one.method.lower(), re.sub(r":\w+}", "}", one.path)) for one in operations(api)}
    assert {(method, path) for path, methods in described["paths"].items() for method in methods} == listed
    assert set(described["components"]["schemas"]["Settings"]["properties"]) == set(as_json(Settings()))


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (-?[0-9.]+(?:e[+-]?\d+)?)')


def read_metrics(text: str) -> dict[tuple[str, str], float]:
    """Prometheus' text format, strictly: HELP and TYPE once before the samples of a name, counters end in _total."""
    kinds: dict[str, str] = {}
    samples: dict[tuple[str, str], float] = {}
    lines = text.split("\n")
    assert lines.pop() == ""
    helped = ""
    for line in lines:
        if line.startswith("# HELP "):
            helped = line.split(" ")[2]
            assert helped not in kinds
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == helped and kind in ("gauge", "counter") and (kind == "counter") == name.endswith("_total")
            kinds[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found is not None and found[1] == helped == list(kinds)[-1], line
            assert (found[1], found[2] or "") not in samples
            samples[found[1], found[2] or ""] = float(found[3])
    return samples


def test_metrics(rig: Rig) -> None:
    reply = rig.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = read_metrics(reply.body.decode())
    assert samples["vr_state", 'pair="pair0",state="running"'] == 1
    assert samples["vr_state", 'pair="pair0",state="failed"'] == 0
    assert samples["vr_pairing_total", 'pair="pair1",event="unpaired_rgb"'] == 1
    assert samples["vr_sink_dropped_total", 'pair="pair1"'] == 2
    before = samples["vr_frames_total", 'pair="pair0",state="estimated"']
    time.sleep(0.2)
    later = read_metrics(rig.ask("GET", "/metrics").body.decode())
    assert later["vr_frames_total", 'pair="pair0",state="estimated"'] > before > 0


def test_before_the_first_picture(tmp_path: Path) -> None:
    with web_rig(tmp_path) as rig:
        rig.feeding.clear()
        time.sleep(0.1)
        rig.pairs[0].sink.newest = None
        assert rig.ask("POST", "/api/pairs/0/snapshot", {}).status == 503
        assert rig.ask("GET", "/api/pairs/0/inspect?x=1&y=1").status == 400
        assert rig.ask("POST", "/api/pairs/0/nudge", {"move_xy": [1, 1]}).status == 400
        assert rig.get("/api/pairs/0/status")["rgb_wh"] is None
