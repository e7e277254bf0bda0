"""What `--web` does with requests that mean no good: every one gets 4xx, or the connection is closed."""

import http.client
import socket
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.web_rig import Reply, Rig, wait_for_picture, web_rig
from vr.runtime.web import connections, requests
from vr.runtime.web.connections import MOST_CONNECTIONS
from vr.runtime.web.guard import WRONG_TOKEN_DELAY_S

TOKEN = "a-token-of-twenty-six-chars"
SETTINGS = "/api/pairs/0/settings"
JSON = "application/json"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Generator[Rig]:
    with web_rig(tmp_path_factory.mktemp("recordings")) as running:
        wait_for_picture(running)
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[Rig]:
    with web_rig(tmp_path_factory.mktemp("recordings"), TOKEN) as running:
        yield running


def next_status(connection: socket.socket) -> int:
    """Of the next answer, which is read as a whole."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        response.read()
        return response.status


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    "path",
    [
        "/api/pairs/1/status",
        "/api/pairs/-1/status",
        "/api/pairs/00x/status",
        "/api/pairs/" + "9" * 400 + "/status",
        "/stream/7.mjpg",
        "/stream/0.avi",
        "/index.html",
        "/page/app.js",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/app.js/../../server.py",
        "/app.js%00",
        "//app.js",
        "/API",
        "/api/",
        "/api/recordings/",
        "/docs",
    ],
)
def test_unknown_paths(rig: Rig, path: str) -> None:
    reply = rig.ask("GET", path)
    assert reply.status == 404 and set(reply.json) == {"error"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SETTINGS),
        ("DELETE", SETTINGS),
        ("PUT", "/"),
        ("GET", "/api/pairs/0/nudge"),
        ("GET", "/api/pairs/0/snapshot"),
        ("PATCH", "/api/pairs/0/recording"),
        ("OPTIONS", SETTINGS),
        ("TRACE", "/"),
        ("BREW", "/"),
    ],
)
def test_wrong_methods(rig: Rig, method: str, path: str) -> None:
    assert rig.ask(method, path, {} if method in ("POST", "PUT", "PATCH", "DELETE") else None).status == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": ""}, 415),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"origin": "http://[half"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({"host": "10.0.0.1:8080"}, 421),
        ({"host": ""}, 421),
        ({"host": "[::1"}, 200),
        ({"host": "LOCALHOST:1"}, 200),
        ({"host": "127.0.0.1"}, 200),
    ],
)
def test_writes_of_others(rig: Rig, headers: dict[str, str], status: int) -> None:
    before = rig.pairs[0].controls.settings
    reply = rig.ask("PATCH", SETTINGS, {"alpha": before.alpha}, **headers)
    assert reply.status == status


def test_reads_of_other_sites(rig: Rig) -> None:
    """A page elsewhere may not even take up a stream; a link to the page itself works."""
    assert rig.ask("GET", "/stream/0.mjpg", sec_fetch_site="cross-site").status == 403
    assert rig.ask("GET", "/", sec_fetch_site="cross-site").status in (200, 404)
    assert rig.ask("GET", "/healthz", sec_fetch_site="same-origin").status == 200


def test_a_write_from_the_page_itself(rig: Rig) -> None:
    own = f"127.0.0.1:{rig.port}"
    reply = rig.ask("PATCH", SETTINGS, {"alpha": 0.4}, host=own, origin=f"http://{own}", sec_fetch_site="same-origin")
    assert reply.status == 200


def test_a_name_of_a_proxy(tmp_path: Path) -> None:
    with web_rig(tmp_path, name="cameras.example.org") as rig:
        proxied = {"host": "cameras.example.org", "origin": "https://cameras.example.org"}
        assert rig.ask("PATCH", SETTINGS, {"alpha": 0.4}, **proxied).status == 200
        assert rig.ask("PATCH", SETTINGS, {"alpha": 0.4}, **{**proxied, "origin": "https://evil.example"}).status == 403


@pytest.mark.parametrize("path", ["/", "/api", "/healthz", "/api/pairs", "/nothing", "/api/recordings/x"])
def test_headers_of_every_answer(rig: Rig, path: str) -> None:
    headers = rig.ask("GET", path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:;")
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers["referrer-policy"] == "no-referrer" and headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers and not any(name.startswith("access-control") for name in headers)
    assert path == "/" or headers["cache-control"] == "no-store"


def body_of(size: int) -> bytes:
    return b'{"alpha": 0.5' + b" " * (size - 14) + b"}"


def test_large_bodies(rig: Rig) -> None:
    assert rig.ask("PATCH", SETTINGS, body_of(65536).decode()).status == 200
    assert rig.ask("PATCH", SETTINGS, body_of(65537).decode()).status == 413
    head = f"PATCH {SETTINGS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n".encode()
    promised = rig.raw(head + b"Content-Length: 99999999999999\r\n\r\n{")
    assert status_of(promised) == 413
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    assert status_of(rig.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk)) == 413


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET /?" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 40000 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            415,
        ),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 421),
    ],
)
def test_heads_that_are_wrong(rig: Rig, head: bytes, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    assert (
        status_of(rig.raw(head.replace(b"Host: localhost\r\n", b"Host: localhost\r\nConnection: close\r\n"))) == status
    )


def test_a_head_that_never_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    start_s = time.monotonic()
    assert status_of(rig.raw(b"GET / HTTP/1.1\r\nHost: local")) == 408
    assert 0.3 < time.monotonic() - start_s < 1.5


def test_a_head_of_one_byte_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    start_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", rig.port), 5) as slow, pytest.raises(OSError):
        for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 100:
            slow.sendall(bytes([byte]))
            time.sleep(0.05)
    assert time.monotonic() - start_s < 2.0


def test_a_body_that_never_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_S", 0.4)
    head = f"PATCH {SETTINGS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nContent-Length: 50\r\n\r\n"
    assert status_of(rig.raw(head.encode() + b'{"alpha"')) == 408


def test_a_body_that_nobody_wants_does_not_keep_the_connection(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LINGER_S", 0.3)
    start_s = time.monotonic()
    answer = rig.raw(
        b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\na"
    )
    assert status_of(answer) in (404, 415) and time.monotonic() - start_s < 2.0


def test_a_body_that_nobody_wants_and_that_trickles_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LINGER_S", 0.3)
    start_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", rig.port), 5) as slow:
        slow.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n")
        with pytest.raises(OSError):
            while time.monotonic() - start_s < 3.0:
                slow.sendall(b"a")
                time.sleep(0.05)
    assert time.monotonic() - start_s < 2.0


def test_a_connection_goes_on_after_a_body_that_nobody_wanted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LINGER_S", 0.3)
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", rig.port), 5) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        assert next_status(connection) == 415
        connection.sendall(b"a" * 9 + ask)
        assert next_status(connection) == 200
        time.sleep(0.4)
        connection.sendall(ask)
        assert next_status(connection) == 200


def test_a_second_head_that_never_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    with socket.create_connection(("127.0.0.1", rig.port), 5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert next_status(connection) == 200
        connection.sendall(b"GET /healthz HTT")
        assert next_status(connection) == 408


def test_a_chunk_that_is_none(rig: Rig) -> None:
    head = f"PATCH {SETTINGS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status_of(rig.raw(head.encode() + b"zz\r\n")) == 400
    assert rig.ask("GET", "/healthz").status == 200


def test_silent_connections_make_room_for_others(rig: Rig) -> None:
    silent = [socket.create_connection(("127.0.0.1", rig.port), 5) for _ in range(MOST_CONNECTIONS + 20)]
    try:
        assert rig.ask("GET", "/healthz").status == 200
        assert sum(one.recv(12) == b"HTTP/1.1 503" for one in silent[:15]) == 15
    finally:
        for one in silent:
            one.close()


def test_upgrades_are_not_followed(rig: Rig) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with socket.create_connection(("127.0.0.1", rig.port), 5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + upgrade)
        assert status_of(connection.recv(1000)) == 200


class TestToken:
    """Where a token is set, nothing is shown without it."""

    @staticmethod
    def ask(rig: Rig, path: str, method: str = "GET", **headers: str) -> Reply:
        return rig.ask(method, path, {} if method == "POST" else None, **{"authorization": "", **headers})

    @pytest.mark.parametrize(
        "path", ["/", "/app.js", "/api", "/healthz", "/metrics", "/api/pairs", "/stream/0.mjpg", "/api/events", "/x"]
    )
    def test_nothing_without_it(self, locked: Rig, path: str) -> None:
        reply = self.ask(locked, path)
        assert reply.status == 401 and reply.headers["www-authenticate"] == "Bearer"
        assert TOKEN.encode() not in reply.body

    @pytest.mark.parametrize("bearer", ["Bearer ", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"])
    def test_a_wrong_one(self, locked: Rig, bearer: str) -> None:
        start_s = time.monotonic()
        assert self.ask(locked, "/api/pairs", authorization=bearer).status == 401
        assert time.monotonic() - start_s >= WRONG_TOKEN_DELAY_S

    def test_the_right_one(self, locked: Rig) -> None:
        assert self.ask(locked, "/api/pairs", authorization=f"Bearer {TOKEN}").status == 200
        assert self.ask(locked, "/api/pairs", cookie=f"vr_token_{locked.port}={TOKEN}").status == 200
        assert self.ask(locked, "/api/pairs", cookie=f"vr_token_1={TOKEN}").status == 401

    def test_the_address_with_it_sets_a_cookie_and_leaves_no_token_behind(self, locked: Rig) -> None:
        reply = self.ask(locked, f"/?token={TOKEN}")
        assert (reply.status, reply.headers["location"]) == (303, "/")
        name, _, attributes = reply.headers["set-cookie"].partition("=")
        assert name == f"vr_token_{locked.port}" and attributes.startswith(TOKEN)
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in attributes.split(";")}

    @pytest.mark.parametrize("query", ["?token=", "?token=x", "?token=%00", f"?token={TOKEN}%20", "?TOKEN=x"])
    def test_a_wrong_address(self, locked: Rig, query: str) -> None:
        reply = self.ask(locked, f"/{query}")
        assert reply.status == 401 and b'name="token"' in reply.body and "set-cookie" not in reply.headers

    def test_a_token_in_other_addresses_is_none(self, locked: Rig) -> None:
        assert self.ask(locked, f"/api/pairs?token={TOKEN}").status == 401

    def test_guessing_holds_up_nobody(self, locked: Rig) -> None:
        guesses = []
        for _ in range(20):
            guess = socket.create_connection(("127.0.0.1", locked.port), 5)
            guess.sendall(b"GET /api/pairs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer guess\r\n\r\n")
            guesses.append(guess)
        start_s = time.monotonic()
        assert locked.ask("GET", "/api/pairs").status == 200
        assert time.monotonic() - start_s < WRONG_TOKEN_DELAY_S
        for guess in guesses:
            guess.close()
