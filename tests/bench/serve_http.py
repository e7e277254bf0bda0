"""MJPEG over HTTP (multipart/x-mixed-replace); any number of clients, again and again."""

import contextlib
import queue
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.bench.encoders import Encoded

BOUNDARY = "frame"
_WAITING = 4
_SEND_BUFFER = 16384
_WAIT_S = 0.5


class HttpTransport:
    """`send` gives a picture to every client; one that is slow loses pictures, as with a real camera."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: set[queue.Queue[bytes]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stream.mjpg"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def send(self, picture: Encoded) -> None:
        """See `Transport`."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(queue.Full):
                client.put_nowait(picture.data)

    def _serve(self, write: "BaseHTTPRequestHandler") -> None:
        waiting: queue.Queue[bytes] = queue.Queue(_WAITING)
        with self._lock:
            self._clients.add(waiting)
        try:
            while True:
                data = waiting.get()
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                write.wfile.write(head.encode() + data + b"\r\n")
        except OSError:
            return
        finally:
            with self._lock:
                self._clients.discard(waiting)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        transport = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                transport._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        return Handler
