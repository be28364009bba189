"""What is answered: the same bytes as the framework would have written."""

from litestar import Litestar, Response, get
from litestar.testing import TestClient

from motorcade.api.envelope import Made, ok
from motorcade.api.shapes import CommandResult, Envelope


@get("/made")
async def made() -> Response[Envelope[CommandResult]]:
    return ok(CommandResult(result=True, reason="ä"), x_command_id="12", retry_after="3")


@get("/framework")
async def framework() -> Response[Envelope[CommandResult]]:
    headers = {"x-command-id": "12", "retry-after": "3"}
    answer = Envelope(CommandResult(result=True, reason="ä"))
    return Response(answer, status_code=200, headers=headers)


@get("/bare")
async def bare() -> Response[bytes]:
    return Made(b"{}")


def test_an_answer_is_what_the_framework_would_have_made() -> None:
    with TestClient(Litestar([made, framework])) as client:
        ours, theirs = client.get("/made"), client.get("/framework")
    assert ours.content == theirs.content
    assert ours.status_code == theirs.status_code == 200
    assert ours.headers.multi_items() == theirs.headers.multi_items()


def test_a_body_that_is_made_already_goes_as_it_is() -> None:
    with TestClient(Litestar([bare])) as client:
        answer = client.get("/bare")
    assert answer.content == b"{}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == "2"
