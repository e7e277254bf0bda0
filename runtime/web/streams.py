"""Answers that go on: pictures (MJPEG) and events (SSE)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from vr.runtime.web.encoding import PictureEncoder, Viewer
from vr.runtime.web.refusals import Refusal, ViewerTooSlow

DRAIN_S = 10.0
"""A viewer that takes nothing for so long is dropped."""
EVENT_PERIOD_S = 0.5
_BOUNDARY = "picture"


@dataclass(eq=False)
class Watch:
    """One open stream. news: there may be something to send. is_over: it is to end."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    def end(self) -> None:
        """Ends it."""
        self.is_over = True
        self.news.set()

    async def until_gone(self, receive: Receive) -> None:
        """Ends it once the viewer has left."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end()


class Streams:
    """All open streams of one kind, at most `limit`. Used in the event loop alone."""

    def __init__(self, what: str, limit: int) -> None:
        self._what, self._limit = what, limit
        self._open: set[Watch] = set()
        self._is_closed = False

    @asynccontextmanager
    async def opened(self, receive: Receive) -> AsyncGenerator[Watch]:
        """One more during the block. Raises Refusal if there are too many."""
        if self._is_closed or len(self._open) >= self._limit:
            raise Refusal(503, f"there are {len(self._open)} {self._what} open; expected at most {self._limit}")
        watch = Watch()
        self._open.add(watch)
        gone = asyncio.create_task(watch.until_gone(receive))
        try:
            yield watch
        finally:
            self._open.discard(watch)
            gone.cancel()

    def wake(self) -> None:
        """There is news for all."""
        for watch in self._open:
            watch.news.set()

    def close(self) -> None:
        """Ends all, and lets none begin."""
        self._is_closed = True
        for watch in self._open:
            watch.end()


class PictureStream:
    """An ASGI answer: the newest picture whenever the viewer has taken the last one (multipart/x-mixed-replace)."""

    def __init__(self, streams: Streams, encoder: PictureEncoder, width: int | None) -> None:
        self._streams, self._encoder, self._width = streams, encoder, width
        self._jpeg: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        loop = asyncio.get_running_loop()
        async with self._streams.opened(receive) as watch:

            def arrived(jpeg: bytes) -> None:
                self._jpeg = jpeg
                watch.news.set()

            def take(_index: int, jpeg: bytes) -> None:
                with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                    loop.call_soon_threadsafe(arrived, jpeg)

            viewer = Viewer(self._width, take)
            self._encoder.add(viewer)
            try:
                await _start(send, f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                if scope["method"] != "HEAD":
                    await self._send_pictures(watch, viewer, send)
                await finish(send)
            finally:
                self._encoder.remove(viewer)

    async def _send_pictures(self, watch: Watch, viewer: Viewer, send: Send) -> None:
        await deliver(send, f"--{_BOUNDARY}\r\n".encode())
        while not watch.is_over:
            await deliver(send, b"")  # waits until the last one is on its way
            self._encoder.ask(viewer)
            while self._jpeg is None and not watch.is_over:
                await watch.news.wait()
                watch.news.clear()
            jpeg, self._jpeg = self._jpeg, None
            if jpeg is not None:
                # The boundary after it: browsers show a part once they have seen its end.
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                await deliver(send, head + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode())


class EventStream:
    """An ASGI answer: the status every half second, and settings and status at once when settings have changed."""

    def __init__(self, streams: Streams, status: Callable[[], Any], settings: Callable[[], Any]) -> None:
        """status, settings: as JSON has them."""
        self._streams, self._status, self._settings = streams, status, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with self._streams.opened(receive) as watch:
            await _start(send, "text/event-stream; charset=utf-8")
            if scope["method"] != "HEAD":
                await self._send_events(watch, send)
            await finish(send)

    async def _send_events(self, watch: Watch, send: Send) -> None:
        sent = ""
        while not watch.is_over:
            settings = json.dumps(self._settings())
            changed = f"event: settings\ndata: {settings}\n\n" if settings != sent else ""
            sent = settings
            await deliver(send, f"{changed}event: status\ndata: {json.dumps(self._status())}\n\n".encode())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.news.wait(), EVENT_PERIOD_S)
            watch.news.clear()


async def _start(send: Send, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def deliver(send: Send, body: bytes) -> None:
    """Sends a part of an answer once there is room. Raises ViewerTooSlow."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})
    except TimeoutError:
        raise ViewerTooSlow from None


async def finish(send: Send) -> None:
    """Ends an answer."""
    await send({"type": "http.response.body", "body": b"", "more_body": False})
