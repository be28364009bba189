"""The shapes around every answer: `{"response": ...}`, errors, and the transaction id.

Every HTTP answer carries `x-txid`; an error repeats it in its body, so a user's complaint finds the
server's log line.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.serialization import default_serializer
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import UNSET, Struct, UnsetType

from motorcade.api.errors import ApiError
from motorcade.api.rates import Allowance
from motorcade.api.shapes import Envelope
from motorcade.counts import Tally

TXID: Final = "motorcade_txid"  # key in the scope's state
RATE_HEADERS: Final = "motorcade_rate"  # as above; there once the request was counted
Connection = ASGIConnection[Any, Any, Any, Any]
_Shape = TypeVar("_Shape")
_JSON: Final = msgspec.json.Encoder(enc_hook=default_serializer)
_log = structlog.get_logger()


class ErrorBody(Struct, kw_only=True):
    """The body of an answer that is no success."""

    response: None = None
    error: str
    error_description: str = ""
    txid: str
    messages: dict[str, list[str]] | UnsetType = UNSET  # 422: by field
    command_id: str | UnsetType = UNSET  # 408: how it ended can be read later


ANSWER_STARTS: Final = ("http.response.start", "websocket.http.response.start")


class WithTxid:
    """ASGI middleware: draws the transaction id, puts it into the answer's header, counts it."""

    def __init__(self, app: ASGIApp, entropy: Callable[[int], bytes], requests: Tally) -> None:
        self._app = app
        self._requests = requests
        self._entropy = entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        txid = self._entropy(16).hex()
        scope.setdefault("state", {})[TXID] = txid
        header = (b"x-txid", txid.encode())

        async def send_with_txid(message: Message) -> None:
            if message["type"] in ANSWER_STARTS:
                self._requests.add(str(message["status"]))
                more = (header, *scope["state"].get(RATE_HEADERS, ()))
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self._app(scope, receive, send_with_txid)


class Made(Response[_Shape]):
    """200 with a JSON body that is made already. The framework's own costs as much as a route."""

    __slots__ = ("_body", "_headers")

    def __init__(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        # Not the base's: what it would set, only its `to_asgi_response` reads.
        self._body = body
        self._headers = [
            *((name.encode("latin-1"), value.encode("latin-1")) for name, value in _of(headers)),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        """Itself: cookies, background tasks and encoders are others' to have."""
        return self._send

    async def _send(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def _of(headers: Mapping[str, str] | None) -> Iterable[tuple[str, str]]:
    return headers.items() if headers else ()


def ok(response: _Shape, **headers: str) -> Response[Envelope[_Shape]]:
    """200 with `{"response": response}`; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Made(_JSON.encode(Envelope(response)), named)


def refusal(request: Connection, error: ApiError) -> Response[bytes]:
    """The answer to a refusal of ours."""
    content = b""
    if error.bare:
        content = _JSON.encode({"error": error.error})
    elif error.error:
        content = _JSON.encode(
            ErrorBody(
                error=error.error,
                error_description=error.description,
                txid=txid_of(request),
                messages=UNSET if error.messages is None else dict(error.messages),
                command_id=error.command_id or UNSET,
            )
        )
    headers = dict(error.headers)
    if "RateLimit-Limit" in headers:  # another limit than the app's, and a nearer one
        request.scope["state"].pop(RATE_HEADERS, None)
    if error.command_id:
        headers["x-command-id"] = error.command_id
    return Response(content, status_code=error.status, media_type=MediaType.JSON, headers=headers)


_FRAMEWORK: Final[dict[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request body too large",
}


def framework_refusal(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The answer where the framework refused: unknown paths, methods, bodies over the limit."""
    word = _FRAMEWORK.get(error.status_code, "invalid_request")
    headers = {name: str(value) for name, value in (error.headers or {}).items()}
    return refusal(request, ApiError(error.status_code, word, headers=headers))


def unavailable(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The registry or the file of keys cannot be read just now: logged, told in general."""
    _log.warning("api_unavailable", path=_path(request), txid=txid_of(request), error=str(error))
    return refusal(request, ApiError(503, "service unavailable", "please try again"))


def server_fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Our fault: logged in full, told in general."""
    _log.error("api_fault", path=_path(request), txid=txid_of(request), exc_info=error)
    return refusal(request, ApiError(500, "internal server error"))


def _path(request: Request[Any, Any, Any]) -> str:
    """As logs may have it: without the token of a shared link."""
    path = request.url.path
    return "/s/..." if path.startswith("/s/") else path


def note_allowance(request: Connection, allowance: Allowance) -> None:
    """Have this request's answer say, good or bad, what is left of the app's allowance."""
    if allowance.limit:
        request.scope["state"][RATE_HEADERS] = (
            (b"ratelimit-limit", b"%d" % allowance.limit),
            (b"ratelimit-remaining", b"%d" % allowance.remaining),
            (b"ratelimit-reset", b"%d" % allowance.reset_s),
        )


def txid_of(request: Connection) -> str:
    """The transaction id of a request."""
    return str(request.scope["state"].get(TXID, ""))
