"""Our refusals as gRPC statuses: one table from HTTP's, with HTTP's texts.

Source: gRPC, "Status codes and their use"; google/rpc/error_details.proto for when to try again.
"""

from collections.abc import Callable
from typing import Any, Final

from grpc import StatusCode

from motorcade.api.errors import LOGIN_REQUIRED, OFFLINE, TOKEN_EXPIRED, ApiError, unauthorized
from motorcade.api.feed import End
from motorcade.wire.rpc.proto import retry_details

CODES: Final = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,  # but OFFLINE: see `code_of`
    409: StatusCode.ABORTED,
    412: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.RESOURCE_EXHAUSTED,  # as gRPC itself says of messages over its limit
    421: StatusCode.FAILED_PRECONDITION,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    500: StatusCode.INTERNAL,
    503: StatusCode.UNAVAILABLE,
    507: StatusCode.RESOURCE_EXHAUSTED,
}
NO_TOKEN: Final = "bearer token missing, or none of ours"  # HTTP's 401 of it has an empty body
DETAILS_KEY: Final = "grpc-status-details-bin"

Trailer = tuple[tuple[str, str | bytes], ...]


def code_of(error: ApiError) -> StatusCode:
    """The status of a refusal."""
    if error.status == 408 and error.error == OFFLINE:
        return StatusCode.FAILED_PRECONDITION  # the same call fails again until it is woken
    return CODES.get(error.status, StatusCode.UNKNOWN)


def text_of(error: ApiError) -> str:
    """HTTP's `error`, and its description where there is one."""
    if error.status == 401 and not error.error:
        return NO_TOKEN
    return ": ".join(filter(None, (error.error, error.description)))


def trailer_of(error: ApiError, txid: str) -> Trailer:
    """What goes with the status: the transaction, the command, when to try again."""
    trailer: list[tuple[str, str | bytes]] = [("x-txid", txid)]
    if error.command_id:
        trailer.append(("x-command-id", error.command_id))
    retry = error.headers.get("Retry-After")
    if retry is not None:
        code: Any = code_of(error).value  # (number, word)
        trailer.append(("retry-after", retry))
        trailer.append((DETAILS_KEY, retry_details(code[0], text_of(error), int(retry))))
    return tuple(trailer)


def end_of(end: End) -> ApiError:
    """What a call is told whose stream the server ends."""
    ends: dict[End, Callable[[], ApiError]] = {
        End.STOPPING: stopping,
        End.REVOKED: lambda: unauthorized(LOGIN_REQUIRED),
        End.EXPIRED: lambda: unauthorized(TOKEN_EXPIRED),
        End.TAKEN: lambda: ApiError(409, End.TAKEN.value),
    }
    return ends[end]()


def stopping(command_id: str = "") -> ApiError:
    """503: this process drains."""
    return ApiError(503, "service unavailable", End.STOPPING.value, command_id=command_id)
