"""Streams of `--web`: pictures and events as they come, to fast and slow viewers, until the run ends."""

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.web_rig import RGB_HW, TIMEOUT_S, Rig, decoded, make_output, make_pair, parts, wait_for_picture, web_rig
from vr.runtime.web import streams
from vr.runtime.web.api import MOST_LISTENERS, MOST_VIEWERS
from vr.runtime.web.encoding import Viewer

CLOSE_LIMIT_S = 1.0


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    with web_rig(tmp_path) as running:
        wait_for_picture(running)
        yield running


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Of text/event-stream, as the HTML standard reads it (9.2.6), for events of two lines."""
    assert response.headers["content-type"].startswith("text/event-stream")
    while True:
        lines = [response.readline().decode() for _ in range(3)]
        if lines[0] == "":
            return
        assert lines[0].startswith("event: ") and lines[1].startswith("data: ") and lines[2] == "\n"
        yield lines[0][7:-1], json.loads(lines[1][6:])


def viewers(rig: Rig) -> int:
    return rig.get("/api/pairs/0/status")["viewers"]


def wait_for_viewers(rig: Rig, count: int) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while viewers(rig) != count:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_pictures_come_and_change(rig: Rig) -> None:
    with rig.open_stream("/stream/0.mjpg") as response:
        pictures = list(itertools.islice(parts(response), 10))
        assert viewers(rig) == 1
    assert all(picture.shape == (*RGB_HW, 3) for picture in pictures)
    levels = [round(float(picture.mean())) for picture in pictures]
    assert all(after - before in (1, 2, 3, 4) or after < before for before, after in itertools.pairwise(levels))
    wait_for_viewers(rig, 0)


def test_no_picture_comes_twice_and_none_is_encoded_for_nobody(rig: Rig) -> None:
    encoder = rig.pairs[0].sink.encoder
    time.sleep(0.2)
    assert encoder.encoded == 0
    with rig.open_stream("/stream/0.mjpg") as response:
        pictures = parts(response)
        next(pictures)
        rig.feeding.clear()
        time.sleep(0.3)
        before = encoder.encoded
        time.sleep(0.3)
        assert encoder.encoded == before


def test_viewers_of_one_width_share_an_encoding(tmp_path: Path) -> None:
    taken: list[tuple[str, int, bytes]] = []
    pair = make_pair(tmp_path)
    encoder = pair.sink.encoder
    everybody = [
        Viewer(width, lambda index, jpeg, name=name: taken.append((name, index, jpeg)))
        for name, width in (("a", None), ("b", 4096), ("c", 64))
    ]
    for viewer in everybody:
        encoder.add(viewer)
        encoder.ask(viewer)
    pair.sink.write(make_output(3))
    deadline_s = time.monotonic() + TIMEOUT_S
    while len(taken) < 3:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    encoder.close()
    jpegs = {name: jpeg for name, _, jpeg in taken}
    assert encoder.encoded == 2 and jpegs["a"] is jpegs["b"] and len(jpegs["c"]) < len(jpegs["a"])


@pytest.mark.parametrize("query", ["?width=319", "?width=4097", "?width=wide", "?width=-1", "?width=nan"])
def test_a_width_that_cannot_be_is_refused(rig: Rig, query: str) -> None:
    assert rig.ask("GET", f"/stream/0.mjpg{query}").status == 400


def test_a_slow_viewer_gets_fewer_and_newer_pictures_and_the_fast_one_all(rig: Rig) -> None:
    with rig.open_stream("/stream/0.mjpg") as fast, rig.open_stream("/stream/0.mjpg?width=320") as slow:
        counts = {"fast": 0}
        stop = threading.Event()

        def read_fast() -> None:
            for _ in parts(fast):
                counts["fast"] += 1
                if stop.is_set():
                    return

        reader = threading.Thread(target=read_fast)
        reader.start()
        slow_pictures = parts(slow)
        for _ in range(3):
            next(slow_pictures)
            time.sleep(0.3)
        stop.set()
        reader.join()
    assert counts["fast"] >= 15


def test_a_slow_viewer_sees_no_old_pictures(rig: Rig) -> None:
    """It reads 100 kB per second of pictures of some 40 kB, whose corner tells when they were made."""
    rig.feeding.clear()
    start_s, stop = time.monotonic(), threading.Event()
    noise = np.random.default_rng(0).integers(0, 256, (160, 320, 3), np.uint8)

    def feed() -> None:
        for index in itertools.count(1000):
            picture = noise.copy()
            picture[:64, :64] = int(50 * (time.monotonic() - start_s))
            rig.pairs[0].sink.write(replace(make_output(index), picture=picture))
            if stop.wait(0.03):
                return

    feeder = threading.Thread(target=feed)
    feeder.start()
    data = b""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", rig.port))
        slow.sendall(b"GET /stream/0.mjpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        while (now_s := time.monotonic() - start_s) < 2.8:
            data += slow.recv(2000)
            time.sleep(0.02)
    stop.set()
    feeder.join()
    whole = data.split(b"\r\n--picture\r\n")[-2].partition(b"\r\n\r\n")[2]
    made_s = float(decoded(whole)[8:56, 8:56].mean()) / 50
    assert now_s - made_s < 1.6


def test_a_viewer_that_takes_nothing_is_dropped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures are large noise, so that the buffers of both systems are full soon."""
    monkeypatch.setattr(streams, "DRAIN_S", 0.3)
    rig.feeding.clear()
    noise = np.random.default_rng(0).integers(0, 256, (1000, 2000, 3), np.uint8)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", rig.port))
        deaf.sendall(b"GET /stream/0.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for_viewers(rig, 1)
        deadline_s = time.monotonic() + TIMEOUT_S
        for index in itertools.count(1000):
            output = make_output(index)
            rig.pairs[0].sink.write(replace(output, picture=noise))
            if viewers(rig) == 0:
                break
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
    assert rig.ask("GET", "/healthz").status == 200


def test_more_viewers_than_allowed_are_refused(rig: Rig) -> None:
    opened = [rig.open_stream("/stream/0.mjpg") for _ in range(MOST_VIEWERS)]
    try:
        reply = rig.ask("GET", "/stream/0.mjpg")
        assert reply.status == 503 and str(MOST_VIEWERS) in reply.json["error"]
    finally:
        for response in opened:
            response.close()
    wait_for_viewers(rig, 0)
    with rig.open_stream("/stream/0.mjpg") as response:
        assert response.status == 200


def test_events_tell_status_and_settings(rig: Rig) -> None:
    with rig.open_stream("/api/events") as response:
        told = events(response)
        first, second = next(told), next(told)
        assert (first[0], first[1][0]["view"]) == ("settings", "overlay")
        assert (second[0], second[1][0]["state"]) == ("status", "running")
        start_s = time.monotonic()
        assert next(told)[0] == "status" and 0.3 < time.monotonic() - start_s < 2.0
        start_s = time.monotonic()
        rig.ask("PATCH", "/api/pairs/0/settings", {"view": "split"})
        name, settings = next(told)
        assert (name, settings[0]["view"]) == ("settings", "split") and time.monotonic() - start_s < 0.4


def test_more_listeners_than_allowed_are_refused(rig: Rig) -> None:
    opened = [rig.open_stream("/api/events") for _ in range(MOST_LISTENERS)]
    try:
        assert rig.ask("GET", "/api/events").status == 503
    finally:
        for response in opened:
            response.close()


def test_the_end_of_the_run_ends_streams(tmp_path: Path) -> None:
    with web_rig(tmp_path) as rig:
        wait_for_picture(rig)
        pictures, told = rig.open_stream("/stream/0.mjpg"), rig.open_stream("/api/events")
        next(parts(pictures))
        next(events(told))
        start_s = time.monotonic()
    assert time.monotonic() - start_s < CLOSE_LIMIT_S
    with pictures, told:
        pictures.read()
        told.read()
    with pytest.raises(ConnectionRefusedError):
        rig.ask("GET", "/healthz")


def test_head_of_a_stream_ends(rig: Rig) -> None:
    reply = rig.ask("HEAD", "/stream/0.mjpg")
    assert (reply.status, reply.body) == (200, b"")


def test_writing_never_waits(tmp_path: Path) -> None:
    """Neither for a viewer that is served nor for a recording."""
    pair = make_pair(tmp_path)
    pair.sink.recording.switch_on()
    stuck = threading.Event()

    def take(_index: int, _jpeg: bytes) -> None:
        stuck.wait(TIMEOUT_S)

    viewer = Viewer(None, take)
    pair.sink.encoder.add(viewer)
    pair.sink.encoder.ask(viewer)
    outputs = [make_output(index) for index in range(200)]
    start_s = time.monotonic()
    for output in outputs:
        pair.sink.write(output)
    took_s = time.monotonic() - start_s
    stuck.set()
    pair.sink.close(complete=True)
    assert took_s < 0.5
