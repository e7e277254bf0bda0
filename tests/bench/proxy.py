"""A TCP proxy that spoils what the server sends: `python -m tests.bench.proxy PORT [--rtsp]`. Standard library only.

Works for any protocol over one TCP connection; with `--rtsp` it also knows RTP packets, for `clock`. Its buffers are
small, so that a stall holds back little, as a camera's own buffers do.
"""

import argparse
import contextlib
import socket
import threading
import time

from tests.bench.control import FaultBoard, announce, hurry, obey
from tests.bench.interleaved import Interleaved, is_rtp, with_later_clock
from tests.bench.mangle import KINDS as BYTE_KINDS
from tests.bench.mangle import Mangler

CLOCK_JUMPS_S = (3600.0, -10.0)
"""Taken in turn; at its end each fault jumps back."""
_CHUNK, _BUFFER = 4096, 16384
_POLL_S = 0.02


class Proxy:
    """Listens on a port of its own, one that stays the same over cuts."""

    def __init__(self, target_port: int, is_rtsp: bool) -> None:
        self._target_port, self._is_rtsp = target_port, is_rtsp
        self.board = FaultBoard()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = _listen(0)
        self.port = int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Accepts for ever; while `cut` lasts, connections are refused."""
        while True:
            if (cut := self.board.active("cut")) is not None:
                self._listener.close()
                cut.injected += self._cut_all()
                time.sleep(max(0.0, cut.end_s - time.monotonic()))
                self._listener = _listen(self.port)
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _cut_all(self) -> int:
        """How many connections were open."""
        with self._lock:
            open_now, self._open = self._open, set()
        for one in open_now:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(open_now) // 2

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket()
        for one in (client, server):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        client.setblocking(True)
        with client, server:
            with contextlib.suppress(OSError):
                server.connect(("127.0.0.1", self._target_port))
                with self._lock:
                    self._open |= {client, server}
                threading.Thread(target=_copy, args=(client, server), daemon=True).start()
                self._spoil(server, client)
            with self._lock:
                self._open -= {client, server}
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _spoil(self, server: socket.socket, client: socket.socket) -> None:
        mangler, packets = Mangler(self.board), Interleaved()
        while data := server.recv(_CHUNK):
            if self._is_rtsp:
                data = b"".join(self._on_time(unit) for unit in packets.units(data))
            client.sendall(mangler.spoil(data))

    def _on_time(self, unit: bytes) -> bytes:
        fault = self.board.active("clock")
        if fault is None or not is_rtp(unit):
            return unit
        fault.injected += 1
        return with_later_clock(unit, CLOCK_JUMPS_S[self.board.number(fault) % len(CLOCK_JUMPS_S)])


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    listener.settimeout(_POLL_S)
    return listener


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def main() -> None:
    """Parses, serves, obeys."""
    parser = argparse.ArgumentParser(description="A proxy that spoils a camera's stream.")
    parser.add_argument("port", type=int, help="of the camera, on 127.0.0.1")
    parser.add_argument("--rtsp", action="store_true", help="the camera speaks RTSP with RTP interleaved")
    args = parser.parse_args()
    hurry()
    proxy = Proxy(args.port, args.rtsp)
    threading.Thread(target=proxy.serve, daemon=True).start()
    announce(port=proxy.port)
    obey(proxy.board, (*BYTE_KINDS, *(("clock",) if args.rtsp else ())))


if __name__ == "__main__":
    main()
