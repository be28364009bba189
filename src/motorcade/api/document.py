"""The OpenAPI document: Litestar's, drawn from the types, with what our tables know added. No IO.

Answers that follow from rights and limits come from `rights.py`, queries and bodies from
`document_table.py`, and every example of an answer is made from its own schema.
"""

import copy
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

from motorcade.api.document_table import (
    DESCRIBED,
    PATH_PARAMETERS,
    SAMPLES,
    Described,
)
from motorcade.api.rights import RIGHTS, Right, Token
from motorcade.commands.table import COMMANDS

BEARER: Final = "bearer"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
ERROR: Final = {"$ref": "#/components/schemas/ErrorBody"}
_DEPTH_MAX: Final = 8
_ERROR_BODY: Final = {
    "type": "object",
    "description": "Every answer that is no success, but 401 without a body and 412.",
    "properties": {
        "response": {"type": "null"},
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "txid": {"type": "string"},
        "messages": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "command_id": {"type": "string"},
    },
    "required": ["response", "error", "error_description", "txid"],
}
_EVENT: Final = 'event: signals\ndata: {"type":"signals","signals":{}}\n\n'
_BARE: Final = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
TEXTS: Final[dict[int, str]] = {
    400: "invalid_field",
    403: "Unauthorized missing scopes vehicle_device_data",
    404: "not_found",
    406: "not_acceptable",
    408: "vehicle unavailable: vehicle is offline or asleep",
    412: "Account ID must be registered in the current region URL, please see ...",
    413: "request body too large",
    421: "user out of region, use base URL: https://HOST, see ...",
    422: "too many drivers",
    424: "Public key download failed",
    429: "Retry in 12 seconds",
    503: "service unavailable",
    507: "insufficient storage",
}
"""What stands in `error`, as an example of each."""


class Document(JsonRenderPlugin):
    """Serves the document; built at the first request for it."""

    def __init__(self) -> None:
        super().__init__()
        self._content: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._content is None:
            self._content = msgspec.json.encode(complete(openapi_schema))
        return self._content


def complete(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The document, from what Litestar drew."""
    document: dict[str, Any] = copy.deepcopy(dict(drawn))
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["ErrorBody"] = _ERROR_BODY
    document["components"]["securitySchemes"] = {
        BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            row = RIGHTS[method.upper(), path]
            described = DESCRIBED.get((method.upper(), path), Described())
            _operation(operation, row, described, schemas)
    return document


def _operation(
    operation: dict[str, Any], row: Right, described: Described, schemas: Mapping[str, Any]
) -> None:
    if row.token not in (Token.NONE, Token.SESSION):
        operation["security"] = [{BEARER: []}]
        operation["description"] = "\n\n".join((operation.get("description", ""), _rights(row)))
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["schema"] = _path_parameter(parameter["name"])
    for name, schema in described.query.items():
        parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    if described.body is not None:
        operation["requestBody"] = _body(described, row)
    responses = operation["responses"]
    responses.pop("400", None)  # Litestar's shape, not ours
    if described.plain:
        shown = {"schema": {"type": "object"}}
        responses["200"] = {"description": "OK", "content": {JSON: shown}}
    if described.events:
        told = {"schema": {"type": "string"}, "example": _EVENT}
        responses["200"] = {"description": "OK", "content": {"text/event-stream": told}}
    if described.file:
        shown = {"schema": {"type": "string", "format": "binary"}}
        responses["200"] = {"description": "OK", "content": {described.file: shown}}
    for code in sorted(_answers(row, described)):
        responses[str(code)] = _refusal(code, oauth=described.form)
        if described.plain and code == 503:  # a check says which it is
            responses["503"] = {**responses["200"], "description": "Service Unavailable"}
    for media in responses.get("200", {}).get("content", {}).values():
        media["example"] = example_of(media["schema"], schemas)


def _rights(row: Right) -> str:
    scopes = " or ".join(row.scopes) or "any"
    role = f" Role: {row.role}, or more." if row.role else ""
    note = f" {row.note}." if row.note else ""
    return f"Token: {row.token.value}. Scopes: {scopes}.{role}{note}"


def _path_parameter(name: str) -> Mapping[str, Any]:
    if name == "name":
        return {"type": "string", "enum": sorted(COMMANDS), "example": "set_charge_limit"}
    return PATH_PARAMETERS.get(name, {"type": "string", "example": "1"})


def _body(described: Described, row: Right) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": described.body}
    if row.path.endswith("/command/{name}"):
        media["examples"] = {
            "set_charge_limit": {"value": {"percent": 80}},
            "set_temps": {"value": {"driver_temp": 21.5, "passenger_temp": 21.5}},
            "door_lock": {"value": {}},
        }
    elif described.body_example is not None:
        media["example"] = described.body_example
    return {
        "required": described.body_required,
        "content": {FORM if described.form else JSON: media},
    }


def _answers(row: Right, described: Described) -> set[int]:
    """The codes that this route may answer with, beside 200."""
    codes = set(described.answers)
    if row.token not in (Token.NONE, Token.SESSION):
        codes |= {401, 403}
        codes |= set() if row.everywhere else {412, 421}
    if "{" in row.path:
        codes.add(404)
    if described.query or "{" in row.path:
        codes.add(400)
    if row.pace is not None:
        codes.add(429)
    if described.form:
        codes.add(413)
    elif described.body is not None or row.method in ("POST", "DELETE"):
        codes |= {400, 406, 413}
    return codes


def _refusal(code: int, *, oauth: bool) -> dict[str, Any]:
    said = HTTPStatus(code).phrase
    if oauth:
        told = {"error": "invalid_request", "error_description": "grant_type is missing"}
        return {"description": said, "content": {JSON: {"schema": _BARE, "example": told}}}
    if code == 401:  # with or without a body, as Tesla's
        return {"description": f"{said}: no token, or one that is over or revoked"}
    schema = _BARE if code == 412 else ERROR
    example: dict[str, Any] = {"error": TEXTS[code]}
    if code != 412:
        example |= {"response": None, "error_description": "", "txid": "5f0c3a6e1d2b4c7f"}
    answer: dict[str, Any] = {
        "description": said,
        "content": {JSON: {"schema": schema, "example": example}},
    }
    if code == 429:
        names = ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
        answer["headers"] = {name: {"schema": {"type": "integer"}} for name in names}
    if code == 421:
        answer["headers"] = {"Alt-Svc": {"schema": {"type": "string"}}}
    return answer


def example_of(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "", depth: int = 0
) -> Any:
    """A value that fits a schema, the same at each call."""
    if depth > _DEPTH_MAX:
        return None
    if "$ref" in schema:
        target = schemas[schema["$ref"].rpartition("/")[2]]
        return example_of(target, schemas, name, depth + 1)
    for choice in ("oneOf", "anyOf", "allOf"):
        if choice in schema:
            return example_of(schema[choice][0], schemas, name, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    return _of_kind(schema, schemas, name, depth)


def _of_kind(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next(one for one in kinds if one != "null")
    if kind == "object":
        rows = schema.get("properties", {}).items()
        return {member: example_of(row, schemas, member, depth + 1) for member, row in rows}
    if kind == "array":
        return [example_of(schema["items"], schemas, name, depth + 1)] if "items" in schema else []
    if kind == "string":
        sample = SAMPLES.get(name, "")
        return sample if isinstance(sample, str) else ""
    return {"integer": 1, "number": 1.5, "boolean": True}.get(kind)
