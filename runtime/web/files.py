"""Sending files: those of the page, and recordings."""

import asyncio
import re
from concurrent.futures import Executor
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vr.runtime.web.refusals import Refusal
from vr.runtime.web.streams import deliver, finish

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LOGIN_PAGE = PAGE / "login.html"
PAGE_FILES = {"/": "index.html"} | {
    f"/{path.name}": path.name for path in sorted(PAGE.glob("*.*")) if path.suffix in TYPES and path.suffix != ".html"
}
"""Address to name, listed once: nothing else of the disk can be asked for."""
OPEN_FILES = ("/theme.css", "/style.css", "/theme.js", "/login.js", "/icon.svg")
"""Those that the page which asks for the token needs; they say nothing of the pairs."""
_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


async def page_file(request: Request) -> Response:
    """One of the fixed names."""
    path = PAGE / PAGE_FILES[request.url.path]
    try:
        data = path.read_bytes()
    except OSError:
        raise Refusal(404, f"{path.name} is not part of this installation") from None
    return Response(data, media_type=TYPES[path.suffix], headers={"Cache-Control": "no-cache"})


class Download:
    """An ASGI answer: a file as long as it is now, or the range of it that is asked for (RFC 9110, 14)."""

    def __init__(self, path: Path, media_type: str, pool: Executor) -> None:
        self._path, self._type, self._pool = path, media_type, pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Raises Refusal."""
        loop = asyncio.get_running_loop()
        try:
            size = self._path.stat().st_size
            file = await loop.run_in_executor(self._pool, self._path.open, "rb")
        except OSError:
            raise Refusal(404, f"{self._path.name} is not there any more") from None
        with file:
            first, end, status = _asked_range(Request(scope), size)
            await send({"type": "http.response.start", "status": status, "headers": self._headers(first, end, size)})
            file.seek(first)
            while first < end and scope["method"] != "HEAD":
                chunk = await loop.run_in_executor(self._pool, file.read, min(_CHUNK_BYTES, end - first))
                if not chunk:
                    raise OSError(f"{self._path} was cut short")
                await deliver(send, chunk)
                first += len(chunk)
            await finish(send)

    def _headers(self, first: int, end: int, size: int) -> list[tuple[bytes, bytes]]:
        headers = {
            "Content-Type": self._type,
            "Content-Length": str(end - first),
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{self._path.name}"',
        }
        if (first, end) != (0, size):
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _asked_range(request: Request, size: int) -> tuple[int, int, int]:
    """First byte, the one after the last, and the status; all of the file where no single range is asked for. Raises
    Refusal.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found[0] == "bytes=-":
        return 0, size, 200
    if found[1] == "":
        first, end = max(0, size - int(found[2])), size
    else:
        first, end = int(found[1]), min(size, int(found[2] or size) + 1)
    if first >= end:
        raise Refusal(416, f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"})
    return first, end, 206
