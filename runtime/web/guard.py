"""What every request has to pass before anything answers it, and the headers that every answer gets."""

import asyncio
import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vr.runtime.errors import VrError
from vr.runtime.loggers import LOG
from vr.runtime.web.files import LOGIN_PAGE, OPEN_FILES
from vr.runtime.web.listening import Listening
from vr.runtime.web.refusals import Refusal, ViewerTooSlow

MOST_ADDRESS_BYTES, MOST_HEADER_BYTES = 2048, 16 * 1024
WRONG_TOKEN_DELAY_S = 0.3
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_HEADERS = {
    b"content-security-policy": b"default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    b"base-uri 'none'; form-action 'self'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self._app, self._listening = app, listening
        self._cookie = f"vr_token_{listening.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        scope["app"] = self  # so that the router raises what it does not know, instead of answering it
        try:
            response = await self._checked(Request(scope))
            if response is None:
                await self._app(scope, receive, answer.send)
            else:
                await response(scope, receive, answer.send)
        except ViewerTooSlow:
            await _give_up(scope)
        except Exception as error:
            if answer.has_started:
                LOG.warning("web: an answer broke off: %r", error)
                await _give_up(scope)
            else:
                await _refusal(error).response()(scope, receive, answer.send)

    async def _checked(self, request: Request) -> Response | None:
        """None if the request may go on, else the answer. Raises Refusal."""
        _check_form(request)
        self._check_host(request)
        if request.headers.get("sec-fetch-site") == "cross-site" and request.url.path != "/":
            raise Refusal(403, "the request comes from another site; expected one from this page")
        if (answer := await self._check_token(request)) is not None:
            return answer
        if request.method in _WRITES:
            self._check_write(request)
        return None

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if not self._listening.accepts_host(_host_name(host)):
            raise Refusal(
                421, f"this is not {host!r:.80}; expected the address that vr-live has printed, or --web-name"
            )

    async def _check_token(self, request: Request) -> Response | None:
        token, is_page = self._listening.token, request.url.path == "/" and request.method == "GET"
        given = parse_qs(request.url.query, keep_blank_values=True).get("token") if is_page else None
        if given is not None and (token is None or _is_same(given[0], token)):
            return self._with_cookie(token)
        if token is None or request.url.path in OPEN_FILES or self._has_token(request, token):
            return None
        await asyncio.sleep(WRONG_TOKEN_DELAY_S)
        challenge = {"WWW-Authenticate": "Bearer"}
        if is_page:
            return HTMLResponse(LOGIN_PAGE.read_bytes(), 401, challenge)
        raise Refusal(
            401, "the token is missing or wrong; expected Authorization: Bearer TOKEN, or its cookie", challenge
        )

    def _has_token(self, request: Request, token: str) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _is_same(bearer.strip(), token)
        return _is_same(request.cookies.get(self._cookie, ""), token)

    def _with_cookie(self, token: str | None) -> Response:
        """To the same page without the token in its address."""
        response = RedirectResponse("/", 303)
        if token is not None:
            response.set_cookie(self._cookie, token, httponly=True, samesite="strict")
        return response

    def _check_write(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if origin is not None and not self._is_own(origin, request.headers.get("host", "")):
            raise Refusal(403, f"the request comes from {origin!r:.80}; expected one from this page")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, f"the content type is {kind!r:.80}; expected application/json")

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = self._listening.name
            return parts.netloc.lower() == host.lower() or (name is not None and parts.hostname == name)
        except ValueError:
            return False


class _Answer:
    """Adds the headers to the answer, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_started = send, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            own = {name.lower() for name, _ in message.get("headers", [])}
            extra = [(name, value) for name, value in _HEADERS.items() if name not in own]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        expected = "expected one of the addresses that GET /api lists" if error.status_code == 404 else "see GET /api"
        return Refusal(error.status_code, f"{error.detail}; {expected}", error.headers)
    if isinstance(error, VrError):
        return Refusal(400, str(error))
    LOG.error("web: a request failed", exc_info=error)
    return Refusal(500, "the server made a mistake; its log says which")


async def _give_up(scope: Scope) -> None:
    scope["state"]["abort"]()
    await asyncio.sleep(0)  # the connection learns of its end


def _check_form(request: Request) -> None:
    if request.scope["http_version"] not in ("1.0", "1.1"):
        raise Refusal(400, "the version of HTTP is unknown; expected 1.1")
    if len(request.scope["raw_path"]) + len(request.scope["query_string"]) > MOST_ADDRESS_BYTES:
        raise Refusal(414, f"the address is too long; expected {MOST_ADDRESS_BYTES} bytes at most")
    if sum(len(name) + len(value) for name, value in request.scope["headers"]) > MOST_HEADER_BYTES:
        raise Refusal(431, f"the headers are too long; expected {MOST_HEADER_BYTES} bytes at most")


def _host_name(host: str) -> str:
    """Without its port."""
    return host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_same(given: str, token: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())
