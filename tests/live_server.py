"""A camera on the network: a real HTTP server on 127.0.0.1 that streams JPEG frames."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from numpy.typing import NDArray

BOUNDARY = "frame"


@contextmanager
def mjpeg_camera(
    picture: Callable[[int], NDArray[np.uint8]],
    fps: float = 30.0,
    frames: int | None = None,
    logins: list[str] | None = None,
) -> Generator[str]:
    """The URL of a stream of `picture(index)` at `fps`; after `frames` the connection ends.

    logins: where given, a client without a user name and password is turned away, and theirs are added to the list.
    """
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if logins is not None:
                login = self.headers.get("Authorization")
                if login is None:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                logins.append(login)
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            start, index = time.monotonic(), 0
            while not closing.is_set() and index != frames:
                if not self._send(picture(index)):
                    return
                index += 1
                closing.wait(max(0.0, start + index / fps - time.monotonic()))

        def _send(self, frame: NDArray[np.uint8]) -> bool:
            data = cv2.imencode(".jpg", frame)[1].tobytes()
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return False
            return True

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="mjpeg server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/stream.mjpg"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
