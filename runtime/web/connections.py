"""Connections as h11 has them, with limits in time and number that uvicorn leaves to others."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from vr.runtime.loggers import LOG

MOST_CONNECTIONS = 96
MOST_HEAD_BYTES = 32 * 1024
HEAD_S = 5.0
"""So long the first line and the headers of a request may take."""
_LINGER_S = 1.0
"""So long the rest of a body is read that nobody wants, before the connection is closed."""
_REFUSAL = "HTTP/1.1 {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


class LimitedProtocol(H11Protocol):
    """One connection. `scope["state"]["abort"]` of its requests ends it at once, whatever is still to be sent."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "abort": self._abort}, _loop)
        self.logger = _LOG
        self._deadline: asyncio.TimerHandle | None = None
        self._overdue_state: Any = None
        self.silent_since_s = 0.0
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # who sends the next picture waits until the last one has gone
        self._expect_head()
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.transport.is_closing() or self._is_refused:
            return
        super().data_received(data)
        if self._is_refused:
            return
        if self.conn.their_state is not self._overdue_state:
            self._expect_nothing()
        if self._deadline is None and self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect_head()

    def on_response_complete(self) -> None:
        """Answered; a request whose body still comes is not waited for."""
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._expect(_LINGER_S, self.transport.close)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """For what is no HTTP."""
        self.refuse("400 Bad Request", f"{msg} Expected HTTP/1.1, and a head of {MOST_HEAD_BYTES} bytes at most.")

    def _unsupported_upgrade_warning(self) -> None:
        """The request is answered as if it did not ask for another protocol."""

    def _make_room(self) -> None:
        """Whoever has said nothing for longest goes, this connection itself if all others are busy."""
        silent = [one for one in cast("set[LimitedProtocol]", self.connections) if one.is_silent]
        longest = min(silent, key=lambda one: one.silent_since_s, default=self)
        longest.refuse("503 Service Unavailable", "there are too many connections; expected some to be closed")
        self.connections.discard(longest)

    @property
    def is_silent(self) -> bool:
        """Whether no request is under way."""
        return self.conn.their_state is h11.IDLE and not (self.transport.is_closing() or self._is_refused)

    def _expect_head(self) -> None:
        self.silent_since_s = self.loop.time()
        self._expect(HEAD_S, self._too_slow)

    def _expect(self, within_s: float, otherwise: Callable[[], None]) -> None:
        """That the client gets on to another state than it is in now."""
        self._expect_nothing()
        self._overdue_state = self.conn.their_state
        self._deadline = self.loop.call_later(within_s, otherwise)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self.refuse("408 Request Timeout", f"the request took too long; expected its head within {HEAD_S:g} s")

    def refuse(self, status: str, text: str) -> None:
        """Outside of any request; what still comes is read a while, since unread bytes would undo the answer."""
        if self.transport.is_closing() or self._is_refused:
            return
        self._is_refused = True
        body = json.dumps({"error": text})
        self.transport.write(_REFUSAL.format(status, len(body), body).encode())
        self.transport.write_eof()
        self._expect(_LINGER_S, self.transport.close)

    def _abort(self) -> None:
        self.transport.abort()


_LOG: logging.Logger = LOG.getChild("web")
