"""A server that speaks the little of the Hugging Face Hub that downloading one file needs."""

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Files = dict[tuple[str, str], bytes]
"""Contents by (revision, file) of the one repository."""


@contextmanager
def hub_server(repository: str, files: Files, claimed_bytes: int | None = None) -> Generator[tuple[str, list[str]]]:
    """Yields its address, and the requests that it gets. claimed_bytes: the size that it says files have."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            seen.append(f"{self.command} {self.path}")
            name, _, rest = self.path.lstrip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            fault = "" if name == repository else "RepoNotFound"
            if not fault and unquote(revision) not in {one for one, _ in files}:
                fault = "RevisionNotFound"
            data = files.get((unquote(revision), unquote(file)))
            if fault or data is None:
                self._send(404, {"X-Error-Code": fault or "EntryNotFound", "Content-Length": "0"})
                return
            size = len(data) if claimed_bytes is None else claimed_bytes
            headers = {
                "X-Repo-Commit": COMMIT,
                "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
                "Content-Length": str(size),
            }
            self._send(200, headers)
            if with_body:
                self.wfile.write(data)

        def _send(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
