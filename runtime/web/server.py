"""The server: a thread of its own with its own event loop, beside the pairs that it serves."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.routing import Router

from vr.runtime.controls import Settings
from vr.runtime.loggers import LOG
from vr.runtime.web.api import Api
from vr.runtime.web.connections import MOST_HEAD_BYTES, LimitedProtocol
from vr.runtime.web.guard import Guard
from vr.runtime.web.history import PERIOD_S
from vr.runtime.web.listening import Listening
from vr.runtime.web.pair import WebPair
from vr.runtime.web.priority import step_back
from vr.runtime.web.table import operations, routes

_THREADS = 3
_STOP_LOOK_S = 0.05
_LAST_WORDS_S = 0.2
"""So long open streams have to end by themselves."""
_KEEP_ALIVE_S = 15
_JOIN_S = 3.0


class WebServer:
    """Serves some pairs until `stopping` says so or `close` is called."""

    def __init__(self, pairs: Sequence[WebPair], listening: Listening, stopping: Callable[[], bool]) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "web", initializer=step_back)
        self._api = Api(pairs, self._pool)
        self._listening, self._stopping, self._is_closed = listening, stopping, False
        guarded = Guard(Router(routes(operations(self._api)), redirect_slashes=False), listening)
        self._server = uvicorn.Server(_config(guarded))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)

    def start(self) -> None:
        """Begins to serve."""
        for pair in self._api.pairs:
            pair.controls.listen(self._on_change)
        self._thread.start()

    def close(self) -> None:
        """Ends what is open, within a second."""
        self._is_closed = True
        self._thread.join(_JOIN_S)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            LOG.exception("the web server has failed; the run goes on without it")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._server.serve([self._listening.socket]))
        sampling = asyncio.create_task(self._sample())
        while not (self._is_closed or self._stopping() or serving.done()):
            await asyncio.sleep(_STOP_LOOK_S)
        sampling.cancel()
        self._api.viewers.close()
        self._api.listeners.close()
        self._server.should_exit = True
        await asyncio.wait({serving}, timeout=_LAST_WORDS_S)
        for connection in list(self._server.server_state.connections):
            if connection.transport is not None:  # pyright: ignore[reportUnnecessaryComparison]
                connection.transport.abort()
        await serving

    async def _sample(self) -> None:
        while True:
            for history in self._api.histories:
                history.sample()
            await asyncio.sleep(PERIOD_S)

    def _on_change(self, _settings: Settings) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._api.listeners.wake)


def _config(app: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )
