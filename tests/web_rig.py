"""A real server on a real socket before pairs that a test feeds, and a client that hides nothing."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls, Settings
from vr.runtime.pairing.base import PairingCounts
from vr.runtime.sinks import Output
from vr.runtime.sources.base import Stamped
from vr.runtime.status import Status
from vr.runtime.storage import StorageOptions
from vr.runtime.thermal.hot_spot import Celsius
from vr.runtime.web.listening import Listening, Place, open_socket
from vr.runtime.web.newest import WebSink
from vr.runtime.web.pair import WebPair
from vr.runtime.web.recording import RecordingSwitch
from vr.runtime.web.server import WebServer

RGB_HW, IR_HW = (96, 128), (60, 80)
MATRIX = np.array([[0.6, 0.0, 1.0], [0.0, 0.6, 2.0]])
TIMEOUT_S = 20


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Rig:
    """port: where it serves. pairs: what it serves. feeding: whether outputs come, 50 per second."""

    port: int
    pairs: list[WebPair]
    token: str | None = None
    feeding: threading.Event = field(default_factory=threading.Event)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """One request; a body that is no text is sent as JSON. `_` in names of headers is -."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        if self.token is not None:
            sent.setdefault("authorization", f"Bearer {self.token}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.json

    def raw(self, data: bytes, rest_s: float = TIMEOUT_S) -> bytes:
        """Sends bytes as they are and reads to the end."""
        with socket.create_connection(("127.0.0.1", self.port), rest_s) as connection:
            connection.sendall(data)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received

    def open_stream(self, path: str) -> http.client.HTTPResponse:
        """An answer that goes on; its connection is closed with it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
        connection.request("GET", path, headers={**headers, "connection": "close"})
        return connection.getresponse()


def make_output(index: int, alignment: bool = True) -> Output:
    """A picture whose grey level is its number; raw infrared in hundredths of a kelvin, 300.00 + column."""
    time_s = time.monotonic()
    raw = np.broadcast_to(30000 + 100 * np.arange(IR_HW[1], dtype=np.uint16), IR_HW).astype(np.uint16)
    ir8 = np.broadcast_to(np.arange(IR_HW[1], dtype=np.uint8), IR_HW).astype(np.uint8)
    rgb = np.zeros((*RGB_HW, 3), np.uint8)
    rgb[..., 0], rgb[..., 2] = 7, np.arange(RGB_HW[1])
    found = Alignment("estimated", 0.9, MATRIX, None, RGB_HW, ir8) if alignment else None
    picture = np.full((*RGB_HW, 3), index % 200, np.uint8)
    stamped = Stamped(ir8, time_s - 0.004, index, raw=raw), Stamped(rgb, time_s, index)
    return Output(index, time_s, *stamped, found, {"draw": 1.0, "total": 12.5}, picture)


def make_pair(folder: Path, number: int = 0, name: str = "") -> WebPair:
    switch = RecordingSwitch(folder, name or "vr-live", StorageOptions(keep_free_mb=0.0))
    sink, counts = WebSink(switch), PairingCounts(paired=5, unpaired_rgb=1)
    sink.start(30.0)
    return WebPair(
        number,
        name,
        Controls(Settings(), ("default", "small")),
        Status(name),
        sink,
        provider=lambda: "cpu",
        counts=lambda: counts,
        dropped=lambda: 2,
        offset_ms=lambda: 0.0,
        switching=lambda: None,
        celsius=Celsius(0.01, -273.15),
    )


@contextmanager
def web_rig(folder: Path, token: str | None = None, pairs: int = 1, **listening: Any) -> Generator[Rig]:
    """Serves pairs at a free port of 127.0.0.1 during the block."""
    opened = open_socket(Place("127.0.0.1", 0))
    port = opened.getsockname()[1]
    made = [make_pair(folder, number, f"pair{number}" if pairs > 1 else "") for number in range(pairs)]
    rig, stop = Rig(port, made, token), threading.Event()
    server = WebServer(
        made, replace(Listening(opened, "127.0.0.1", port, "localhost", token), **listening), stop.is_set
    )
    server.start()
    rig.feeding.set()
    feeder = threading.Thread(target=_feed, args=(rig, stop), daemon=True)
    feeder.start()
    try:
        yield rig
    finally:
        stop.set()
        feeder.join()
        for pair in made:
            pair.sink.close(complete=True)
        server.close()


def _feed(rig: Rig, stop: threading.Event) -> None:
    index = 0
    while not stop.wait(0.02):
        if rig.feeding.is_set():
            for pair in rig.pairs:
                output = make_output(index)
                pair.status.output(output)
                pair.sink.write(output)
            index += 1


def wait_for_picture(rig: Rig) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while rig.pairs[0].sink.newest is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def parts(response: http.client.HTTPResponse) -> Iterator[NDArray[np.uint8]]:
    """The pictures of multipart/x-mixed-replace, read strictly (RFC 2046, 5.1)."""
    kind, _, boundary = response.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/x-mixed-replace"
    delimiter = f"--{boundary}\r\n".encode()
    assert response.readline() == delimiter
    while True:
        headers: dict[str, str] = {}
        while (line := response.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().rstrip("\r\n").partition(": ")
            headers[name.lower()] = value
        if not headers:
            return
        assert headers["content-type"] == "image/jpeg"
        data = response.read(int(headers["content-length"]))
        assert response.read(2) == b"\r\n"
        assert response.readline() == delimiter
        yield decoded(data)


def decoded(data: bytes) -> NDArray[np.uint8]:
    """JPEG or PNG as (H, W, 3) BGR."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8)
