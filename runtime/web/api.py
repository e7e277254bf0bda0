"""What the addresses of the interface answer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from vr.runtime.controls import SETTINGS
from vr.runtime.errors import OutputError
from vr.runtime.status import overall
from vr.runtime.web.encoding import to_jpeg, to_png
from vr.runtime.web.files import Download
from vr.runtime.web.history import History
from vr.runtime.web.inspection import inspect
from vr.runtime.web.metrics import CONTENT_TYPE, metrics_text
from vr.runtime.web.pair import WebPair
from vr.runtime.web.refusals import Refusal
from vr.runtime.web.requests import number_of, read_object
from vr.runtime.web.streams import EventStream, PictureStream, Streams

WIDTHS = 320, 4096
MOST_VIEWERS, MOST_LISTENERS = 16, 32
HEALTHY = ("running", "degraded", "starting")
_FAR_PX = 1e6
Result = TypeVar("Result")


class Api:
    """The handlers, each from a request to an answer. What takes time is done by the threads of `pool`."""

    def __init__(self, pairs: Sequence[WebPair], pool: Executor) -> None:
        self.pairs, self._pool = pairs, pool
        self.histories = [History(pair) for pair in pairs]
        self.viewers, self.listeners = Streams("video streams", MOST_VIEWERS), Streams("event streams", MOST_LISTENERS)

    async def list_pairs(self, _request: Request) -> Response:
        """All pairs, and what may be chosen for them."""
        return JSONResponse([pair.describe() for pair in self.pairs])

    async def health(self, _request: Request) -> Response:
        """The worst state; 503 unless pictures come, or are about to."""
        state = overall([pair.status.snapshot() for pair in self.pairs])
        return JSONResponse({"state": state}, 200 if state in HEALTHY else 503)

    async def metrics(self, _request: Request) -> Response:
        """For Prometheus."""
        return PlainTextResponse(metrics_text(self.pairs), headers={"Content-Type": CONTENT_TYPE})

    async def settings(self, request: Request) -> Response:
        """What holds now."""
        return JSONResponse(self._pair(request).settings())

    async def change(self, request: Request) -> Response:
        """Some settings, all or none."""
        pair, values = self._pair(request), await read_object(request)
        if not values:
            raise Refusal(400, f"there is nothing to change; expected some of {', '.join(SETTINGS)}")
        return JSONResponse(await self._in_thread(lambda: pair.change(values)))

    async def nudge(self, request: Request) -> Response:
        """Moves the infrared picture."""
        pair, asked = self._pair(request), await read_object(request)
        return JSONResponse(await self._in_thread(lambda: pair.nudge(asked)))

    async def status(self, request: Request) -> Response:
        """How it is right now."""
        return JSONResponse(self._pair(request).status_json())

    async def history(self, request: Request) -> Response:
        """The last five minutes."""
        return JSONResponse(self.histories[self._pair(request).number].as_json())

    async def events(self, _request: Request) -> ASGIApp:
        """Status and settings of all pairs as they come."""
        return EventStream(
            self.listeners,
            lambda: [pair.status_json() for pair in self.pairs],
            lambda: [pair.settings() for pair in self.pairs],
        )

    async def stream(self, request: Request) -> ASGIApp:
        """Pictures one after the other."""
        width = number_of(request, "width", *WIDTHS)
        return PictureStream(self.viewers, self._pair(request).sink.encoder, None if width is None else int(width))

    async def picture(self, request: Request) -> Response:
        """The newest picture as JPEG."""
        width = number_of(request, "width", *WIDTHS)
        picture = self._newest_picture(self._pair(request))
        data = await self._in_thread(lambda: to_jpeg(picture, None if width is None else int(width)))
        return Response(data, media_type="image/jpeg")

    async def snapshot(self, request: Request) -> Response:
        """The newest picture as PNG, to be kept by who asks."""
        pair = self._pair(request)
        picture = self._newest_picture(pair)
        name = f"{pair.sink.recording.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.png"
        data = await self._in_thread(lambda: to_png(picture))
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type="image/png", headers=headers)

    async def record(self, request: Request) -> Response:
        """Begins or ends a recording."""
        pair, asked = self._pair(request), await read_object(request)
        if set(asked) != {"on"} or not isinstance(asked["on"], bool):
            raise Refusal(400, 'the body does not fit; expected {"on": true} or {"on": false}')
        switch = pair.sink.recording.switch_on if asked["on"] else pair.sink.recording.switch_off
        try:
            await self._in_thread(switch)
        except OutputError as error:
            raise Refusal(409, str(error)) from None
        return JSONResponse(await self._in_thread(pair.recordings_json))

    async def recordings(self, request: Request) -> Response:
        """The recording under way, and all files of the pair."""
        return JSONResponse(await self._in_thread(self._pair(request).recordings_json))

    async def recorded_file(self, request: Request) -> ASGIApp:
        """One file, by the id that the list gave it."""
        identity = request.path_params["id"]
        for pair in self.pairs:
            file = await self._in_thread(lambda pair=pair: pair.sink.recording.find(identity))
            if file is not None:
                return Download(file.path, "video/mp4", self._pool)
        raise Refusal(404, f"there is no recording {identity!r:.40}; expected an id of the list of recordings")

    async def inspect(self, request: Request) -> Response:
        """What lies under a point."""
        pair = self._pair(request)
        x, y = (number_of(request, key, -_FAR_PX, _FAR_PX) for key in ("x", "y"))
        if x is None or y is None:
            raise Refusal(400, "x or y is missing; expected both, in pixels of the RGB frame")
        return JSONResponse(await self._in_thread(lambda: inspect(pair.sink.newest, x, y, pair.celsius)))

    def _pair(self, request: Request) -> WebPair:
        number: int = request.path_params["number"]
        if number >= len(self.pairs):
            raise Refusal(404, f"there is no pair {number!s:.20}; expected 0 to {len(self.pairs) - 1}")
        return self.pairs[number]

    def _newest_picture(self, pair: WebPair) -> Any:
        newest = pair.sink.newest
        if newest is None or newest.picture is None:
            raise Refusal(503, "there is no picture yet; try again in a moment", {"Retry-After": "1"})
        return newest.picture

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
