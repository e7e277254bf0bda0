"""The one table of addresses: it makes the routing and the description at `GET /api` (OpenAPI 3.1)."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vr.runtime.controls import FOLLOW, SETTINGS
from vr.runtime.option import Option
from vr.runtime.options import OPTIONS
from vr.runtime.version import package_version
from vr.runtime.web.api import WIDTHS, Api
from vr.runtime.web.files import PAGE_FILES, TYPES, page_file

Schema = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response | ASGIApp]]
_JSON = "application/json"


@dataclass(frozen=True)
class Parameter:
    """One in the path or the query. help: with the unit."""

    name: str
    where: str
    schema: Schema
    help: str
    is_required: bool = False

    def as_json(self) -> Schema:
        """As OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.is_required or self.where == "path",
            "description": self.help,
            "schema": self.schema,
        }


@dataclass(frozen=True)
class Operation:
    """One method of one address. path: as starlette has it, `{number:int}`. body, answer: schemas of JSON; kind: media
    type of the answer.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    answer: Schema | None = None
    kind: str = _JSON
    statuses: tuple[int, ...] = ()

    @property
    def parameters(self) -> list[Parameter]:
        """Those of the path, then those of the query."""
        return [*(_PATH_PARAMETERS[name] for name in re.findall(r"\{(\w+)", self.path)), *self.query]


_NUMBER: Schema = {"type": "number"}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_POINT: Schema = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_OBJECT: Schema = {"type": "object"}
_PATH_PARAMETERS = {
    "number": Parameter("number", "path", {"type": "integer", "minimum": 0}, "Number of the pair, from 0."),
    "id": Parameter("id", "path", {"type": "string"}, "As the list of recordings has it."),
}
_WIDTH = Parameter(
    "width",
    "query",
    {"type": "integer", "minimum": WIDTHS[0], "maximum": WIDTHS[1]},
    "Width of the picture, px; never wider than it is drawn.",
)
_XY = tuple(Parameter(name, "query", _NUMBER, "Pixel of the RGB frame.", is_required=True) for name in ("x", "y"))
_NUDGE: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "move_xy": {**_POINT, "description": "Pixels of the RGB frame."},
        "rotate_deg": {**_NUMBER, "description": "Positive turns x towards y."},
        "scale": {**_NUMBER, "exclusiveMinimum": 0, "description": "More than 1 enlarges."},
        "about_xy": {**_POINT, "description": "What turning and scaling leave where it is; default: the middle."},
        "reset": {"type": "boolean", "description": "true: back to what the network finds."},
    },
}
_SWITCH: Schema = {
    "type": "object",
    "required": ["on"],
    "additionalProperties": False,
    "properties": {"on": {"type": "boolean"}},
}


def operations(api: Api) -> list[Operation]:
    """All of them."""
    pair, recorded = "/api/pairs/{number:int}", {"$ref": "#/components/schemas/Recordings"}
    settings, status = {"$ref": "#/components/schemas/Settings"}, {"$ref": "#/components/schemas/Status"}
    listed = {"type": "array", "items": _OBJECT}
    jpeg, png = "image/jpeg", "image/png"
    found: list[Operation] = [
        *(
            Operation("GET", path, "The page, or a part of it.", page_file, kind=TYPES[Path(name).suffix])
            for path, name in PAGE_FILES.items()
        ),
        Operation("GET", "/healthz", "The worst state of all pairs.", api.health, answer=_OBJECT, statuses=(503,)),
        Operation("GET", "/metrics", "Figures for Prometheus.", api.metrics, kind="text/plain"),
        Operation("GET", "/api/pairs", "All pairs, and what may be chosen.", api.list_pairs, answer=listed),
        Operation("GET", f"{pair}/settings", "What holds now.", api.settings, answer=settings),
        Operation("PATCH", f"{pair}/settings", "Change some.", api.change, body=settings, answer=settings),
        Operation("POST", f"{pair}/nudge", "Move the infrared picture.", api.nudge, body=_NUDGE, answer=settings),
        Operation("GET", f"{pair}/status", "How it is right now.", api.status, answer=status),
        Operation("GET", f"{pair}/history", "The last five minutes, once a second.", api.history, answer=_OBJECT),
        Operation("GET", "/api/events", "Status and settings as they come.", api.events, kind="text/event-stream"),
        Operation(
            "GET",
            "/stream/{number:int}.mjpg",
            "Pictures, the newest each time.",
            api.stream,
            (_WIDTH,),
            kind="multipart/x-mixed-replace",
            statuses=(503,),
        ),
        Operation("GET", f"{pair}/picture.jpg", "The newest.", api.picture, (_WIDTH,), kind=jpeg, statuses=(503,)),
        Operation("POST", f"{pair}/snapshot", "The newest picture.", api.snapshot, kind=png, statuses=(503,)),
        Operation(
            "POST", f"{pair}/recording", "Switch it.", api.record, body=_SWITCH, answer=recorded, statuses=(409,)
        ),
        Operation("GET", f"{pair}/recordings", "The files of the pair.", api.recordings, answer=recorded),
        Operation("GET", "/api/recordings/{id}", "One file.", api.recorded_file, kind="video/mp4", statuses=(416,)),
        Operation("GET", f"{pair}/inspect", "What lies under a point.", api.inspect, _XY, answer=_OBJECT),
    ]
    return found


def routes(listed: list[Operation]) -> list[Route]:
    """The routing, with `GET /api` itself."""
    described = openapi(listed)

    async def describe(_request: Request) -> Response:
        return JSONResponse(described)

    by_path: dict[str, dict[str, Handler]] = {"/api": {"GET": describe}}
    for operation in listed:
        by_path.setdefault(operation.path, {})[operation.method] = operation.handler
    return [Route(path, _by_method(handlers), methods=list(handlers)) for path, handlers in by_path.items()]


def _by_method(handlers: dict[str, Handler]) -> Any:
    async def handle(request: Request) -> Response | ASGIApp:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


def openapi(listed: list[Operation]) -> Schema:
    """OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""
    paths: dict[str, Schema] = {}
    for operation in listed:
        path = re.sub(r":\w+\}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation_json(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "vr-live", "version": package_version(), "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


_ABOUT = (
    "Pairs of cameras are numbered from 0. Writes need Content-Type: application/json and, from a browser, the page's "
    "own origin; a token, where one is set, comes as Authorization: Bearer TOKEN or as the page's cookie."
)


def _operation_json(operation: Operation) -> Schema:
    schema = operation.answer if operation.answer is not None else {"type": "string"}
    refused = {
        "description": "What was wrong, and what was expected.",
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    described: Schema = {
        "summary": operation.summary,
        "operationId": operation.handler.__name__ if operation.handler is not page_file else f"page{operation.path}",
        "responses": {
            "200": {"description": operation.summary, "content": {operation.kind: {"schema": schema}}},
            **{str(status): refused for status in operation.statuses},
            "4XX": refused,
        },
    }
    if operation.parameters:
        described["parameters"] = [parameter.as_json() for parameter in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": operation.body}}}
    return described


def _schemas() -> Schema:
    by_name = {"estimated", "held", "refused"}
    recording: Schema = {
        "type": ["object", "null"],
        "properties": {"id": {"type": "string"}, "seconds": _NUMBER},
    }
    file = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "seconds": _MAYBE_NUMBER,
            "bytes": {"type": "integer"},
        },
    }
    return {
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        "Settings": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: _setting_schema(key) for key in SETTINGS},
        },
        "Status": {
            "type": "object",
            "properties": {
                "state": {"type": "string"},
                "alignment": {"type": "string", "enum": sorted(by_name)},
                "confidence": _MAYBE_NUMBER,
                "fps": _NUMBER,
                "frames": {"type": "integer"},
                "latency_ms": {"type": "object", "additionalProperties": _MAYBE_NUMBER},
                "skew_ms": _MAYBE_NUMBER,
                "recording": recording,
            },
        },
        "Recordings": {
            "type": "object",
            "properties": {"recording": recording, "files": {"type": "array", "items": file}},
        },
    }


def _setting_schema(key: str) -> Schema:
    if key == "follow":
        return {"type": "string", "enum": list(FOLLOW)}
    if key == "theta":
        return {
            "type": ["array", "null"],
            "items": _NUMBER,
            "minItems": 6,
            "maxItems": 9,
            "description": "Six numbers of an affine, or nine of a homography, normalised, row by row.",
        }
    if key in ("model", "mode"):
        return {"type": "string" if key == "model" else ["string", "null"], "description": OPTIONS[key].help}
    return _option_schema(OPTIONS[key])


def _option_schema(option: Option) -> Schema:
    schema: Schema = {"type": {float: "number", int: "integer"}.get(option.kind, "string"), "description": option.help}
    bounds = {"minimum": option.low, "maximum": option.high, "enum": list(option.choices) or None}
    return schema | {name: value for name, value in bounds.items() if value is not None}
