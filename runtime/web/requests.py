"""Reading what a request asks for."""

import asyncio
import json
import math
from typing import Any, NoReturn, cast

from starlette.requests import ClientDisconnect, Request

from vr.runtime.web.refusals import Refusal

MOST_BODY_BYTES = 64 * 1024
BODY_S = 5.0
_MOST_DIGITS = 15


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body. Raises Refusal: 413 for one that is too large, 408 for one that takes too long, 400
    for what is none.
    """
    try:
        async with asyncio.timeout(BODY_S):
            body = await _read_body(request)
    except TimeoutError:
        raise Refusal(
            408, f"the body took too long; expected it within {BODY_S:g} s", {"Connection": "close"}
        ) from None
    try:
        found = json.loads(body, parse_constant=_no_number, parse_int=_whole_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error!s:.120}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no JSON object; expected {...}")
    return cast(dict[str, Any], found)


async def _read_body(request: Request) -> bytes:
    too_large = Refusal(413, f"the body is too large; expected {MOST_BODY_BYTES} bytes at most")
    if int(request.headers.get("content-length", "0")) > MOST_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise too_large
    except ClientDisconnect:
        raise Refusal(400, "the request broke off") from None
    return bytes(body)


def number_of(request: Request, key: str, low: float, high: float) -> float | None:
    """A number of the query, None if it is not there. Raises Refusal."""
    text = request.query_params.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise Refusal(400, f"{key} is {text!r:.80}; expected a number from {low:g} to {high:g}")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is too large")
    return value
