"""Those on the other side of `benchmarks.web`, in a process of their own: `python -m benchmarks.web_clients`.

`view PORT COUNT` reads video streams as fast as they come until they end and prints what it got; `attack PORT TOKEN
COUNT` sends requests that mean no good and prints how they were answered.
"""

import json
import random
import socket
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

SETTINGS = "/api/pairs/0/settings"
ATTACKERS = 16
_TIMEOUT_S, _PATIENCE_S = 15.0, 60.0
_SLOW_STEP_S = 0.25


def view(port: int, count: int) -> dict[str, float | int]:
    """Until the streams end: pictures per second of each (mean over streams), and kB per picture."""
    with ThreadPoolExecutor(count) as pool:
        seen = list(pool.map(lambda _: _read(port), range(count)))
    pictures, sizes = sum(one[0] for one in seen), sum(one[1] for one in seen)
    rates = [one[0] / one[2] for one in seen]
    return {
        "viewer_fps": round(sum(rates) / count, 1),
        "kb_per_picture": round(sizes / max(pictures, 1) / 1000, 1),
    }


def _read(port: int) -> tuple[int, int, float]:
    """Pictures, bytes, and seconds from the first to the last picture."""
    pictures = size = 0
    first_s = last_s = 0.0
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as stream:
        stream.sendall(b"GET /stream/0.mjpg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while data := stream.recv(1 << 18):
            arrived = data.count(b"Content-Type: image/jpeg")
            if arrived:
                last_s = time.monotonic()
                first_s = first_s or last_s
            pictures, size = pictures + arrived, size + len(data)
    return pictures, size, max(last_s - first_s, 1e-3)


def _request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def hostile(token: str, number: int) -> tuple[str, list[bytes]]:
    """The kind of a request, and its bytes in the pieces in which they are sent, `_SLOW_STEP_S` apart."""
    draw = random.Random(number)
    good = {"Host": "localhost", "Authorization": f"Bearer {token}", "Connection": "close"}
    write = {**good, "Content-Type": "application/json", "Content-Length": "14"}
    body = b'{"alpha": 0.5}'
    noise = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 400)))
    up = draw.choice(["..", "%2e%2e", "%252e%252e", "..%5c"])
    kinds: list[tuple[str, list[bytes]]] = [
        ("path", [_request("GET", f"/{'/'.join([up] * draw.randrange(1, 9))}/etc/passwd", good)]),
        ("path", [_request("GET", f"/api/recordings/{up}{draw.randrange(10**9)}", good)]),
        ("path", [_request("GET", f"/api/pairs/{draw.randrange(1, 10**9)}/status", good)]),
        ("long path", [_request("GET", "/" + "a" * draw.randrange(3000, 60000), good)]),
        ("headers", [_request("GET", "/", {**good, "X": "a" * draw.randrange(17000, 100000)})]),
        ("method", [_request(draw.choice(["DELETE", "PUT", "TRACE", "X" * 40, "POST"]), SETTINGS, write, body)]),
        ("size", [_request("PATCH", SETTINGS, {**write, "Content-Length": str(draw.randrange(10**5, 10**12))}, body)]),
        ("size", [_request("PATCH", SETTINGS, {**write, "Content-Length": "200000"}, b" " * 200000)]),
        ("json", [_request("PATCH", SETTINGS, write, draw.choice([b"[" * 14, b'{"alpha": 1e9}', b'{"view": null}']))]),
        ("type", [_request("PATCH", SETTINGS, {**write, "Content-Type": "text/plain"}, body)]),
        ("token", [_request("GET", "/stream/0.mjpg", {**good, "Authorization": f"Bearer {draw.random()}"})]),
        ("token", [_request("GET", f"/?token={draw.random()}", {"Host": "localhost", "Connection": "close"})]),
        ("origin", [_request("PATCH", SETTINGS, {**write, "Origin": f"http://{draw.random()}.example"}, body)]),
        ("site", [_request("GET", "/stream/0.mjpg", {**good, "Sec-Fetch-Site": "cross-site"})]),
        ("host", [_request("GET", "/api/pairs", {**good, "Host": f"{draw.random()}.example"})]),
        ("noise", [noise + b"\r\n\r\n"]),
    ]
    if number % 25 == 0:
        start = _request("PATCH", SETTINGS, {**write, "Content-Length": "60"})
        return "slow body", [start, *([b" "] * 40)]
    if number % 25 == 1:
        return "slow head", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", *([b"a"] * 40)]
    return kinds[number % len(kinds)]


def answer(port: int, pieces: list[bytes]) -> str:
    """The status; `closed` if the connection was closed without one."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
        try:
            for number, piece in enumerate(pieces):
                time.sleep(_SLOW_STEP_S if number else 0.0)
                connection.sendall(piece)
            received = connection.recv(1000)
        except TimeoutError:
            return "none"
        except OSError:
            # What was answered before the connection was closed may still be there.
            try:
                received = connection.recv(1000)
            except OSError:
                return "closed"
    return received.split(b" ")[1].decode() if received.startswith(b"HTTP/1.1 ") else "closed"


def attack(port: int, token: str, count: int) -> dict[str, dict[str, int]]:
    """How requests were answered, by kind."""

    def one(number: int) -> tuple[str, str]:
        kind, pieces = hostile(token, number)
        return kind, answer(port, pieces)

    with ThreadPoolExecutor(ATTACKERS) as pool:
        counted = Counter(pool.map(one, range(count)))
    kinds = sorted({kind for kind, _ in counted})
    return {kind: {status: n for (of, status), n in sorted(counted.items()) if of == kind} for kind in kinds}


def main() -> None:
    """Command line."""
    role, port, *rest = sys.argv[1:]
    if role == "view":
        print(json.dumps(view(int(port), int(rest[0]))))
    else:
        print(json.dumps(attack(int(port), rest[0], int(rest[1]))))


if __name__ == "__main__":
    main()
