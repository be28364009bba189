"""What goes wrong on a page, told to the person before it, on a page."""

from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from motorcade.api.pages.render import page
from motorcade.identity.errors import SecretsError
from motorcade.registry.errors import NotFoundError, RegistryUnavailableError

_log = structlog.get_logger()
_Request = Request[Any, Any, Any]


class PageError(Exception):
    """Answered with a page that says what, and what to do."""

    def __init__(self, status: int, heading: str, text: str, advice: str) -> None:
        super().__init__(text)
        self.status = status
        self.heading = heading
        self.text = text
        self.advice = advice


class ForeignFormError(PageError):
    """A form that no page of ours sent, or an old one."""

    def __init__(self, text: str) -> None:
        advice = "Nothing was changed. Go back, load the page anew and try again."
        super().__init__(403, "This form was not taken", text, advice)


def _told(_: _Request, error: PageError) -> Response[str]:
    return page(
        "problem",
        status=error.status,
        heading=error.heading,
        problem=error.text,
        advice=error.advice,
    )


def _gone(request: _Request, _: NotFoundError) -> Response[str]:
    """The registry's own words are for the command line."""
    text = "What you asked for is not there, perhaps no longer."
    return _told(request, PageError(404, "Not there", text, "Load your page anew."))


def _unavailable(request: _Request, error: Exception) -> Response[str]:
    _log.warning("page_unavailable", path=request.url.path, error=str(error))
    text = "This server cannot read its accounts just now."
    return _told(request, PageError(503, "Please try again", text, "Wait a moment, then reload."))


def _refused(request: _Request, error: HTTPException) -> Response[str]:
    """The framework's: a body over the limit, parameters that cannot be read."""
    text = "What the browser sent cannot be read."
    return _told(request, PageError(error.status_code, "This cannot be read", text, "Go back."))


def _fault(request: _Request, error: Exception) -> Response[str]:
    """Our fault: logged in full, told in general."""
    _log.error("page_fault", path=request.url.path, exc_info=error)
    text = "This server made a mistake, which is noted in its log."
    return _told(request, PageError(500, "Something went wrong", text, "Please try again."))


PROBLEMS: Final[ExceptionHandlersMap] = {
    PageError: _told,
    NotFoundError: _gone,
    RegistryUnavailableError: _unavailable,
    SecretsError: _unavailable,
    HTTPException: _refused,
    Exception: _fault,
}
"""For every page: what its code raises and does not catch."""
