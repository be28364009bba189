"""The OpenAPI document: complete, with examples, and nothing in it that is not so."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.api.document import example_of
from motorcade.api.document_table import DESCRIBED
from motorcade.api.rights import PAGE_ADDRESSES, PAGE_FILES, RIGHTS, Token
from motorcade.state.port import SignalValue, VehicleState
from tests.api.standins import TOKENS, VINS, Platform, bearer, running

PAGES = (
    "/account",
    "/developer",
    "/user/",
    "/_ak/",
    "/oauth2/v3/authorize",
)  # for people, not programs
METHODS = {"get", "post", "delete"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("commands.response_s_max=0.2",)
    with running(tmp_path_factory.mktemp("document"), *settings) as platform:
        told = {"latitude": 52.5, "longitude": 13.4}
        signals = {name: SignalValue(value, 5, "") for name, value in told.items()}
        platform.live.states[TOKENS[0]] = VehicleState(signals, True, 5)
        yield platform


@pytest.fixture(scope="module")
def document(platform: Platform) -> dict[str, Any]:
    answer = httpx.get(f"{platform.url}/schema/openapi.json")
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    return dict(answer.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_every_route_for_programs_is_in_it(document: dict[str, Any]) -> None:
    named = {(method, path) for method, path, _ in operations(document)}
    wanted = {
        key
        for key, row in RIGHTS.items()
        if row.method != "WS"
        and not row.path.startswith((*PAGES, "/schema"))
        and row.path not in (*PAGE_ADDRESSES, *PAGE_FILES)
    }
    assert named == wanted
    assert DESCRIBED.keys() <= wanted


def test_every_answer_has_an_example(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert operation["description"], path
        for code, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                assert "example" in media or not kind.startswith("application/json"), (method, path)
            assert code == "401" or answer.get("content") or path == "/status", (path, code)
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in media or "examples" in media, path


def test_guarded_routes_want_a_token_and_say_which(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        row = RIGHTS[method, path]
        guarded = row.token not in (Token.NONE, Token.SESSION)
        assert ("security" in operation) == guarded, path
        if guarded:
            assert {"401", "403"} <= operation["responses"].keys()
            assert ("421" in operation["responses"]) != row.everywhere
            assert all(scope in operation["description"] for scope in row.scopes)
        described = DESCRIBED.get((method, path))
        limited = row.pace is not None or (described is not None and 429 in described.answers)
        assert ("429" in operation["responses"]) == limited


def test_every_example_of_a_body_gets_an_answer_that_is_documented(
    document: dict[str, Any], platform: Platform
) -> None:
    for method, path, operation in operations(document):
        if not path.startswith("/api/1/"):
            continue
        given = {"tag": VINS[0], "name": "set_charge_limit"}
        url = re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], "1"), path)  # noqa: B023
        for media in operation.get("requestBody", {}).get("content", {}).values():
            bodies = [row["value"] for row in media.get("examples", {}).values()]
            for body in bodies or [media["example"]]:
                answer = httpx.request(method, platform.url + url, json=body, headers=bearer())
                assert str(answer.status_code) in operation["responses"], (path, answer.text)


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "object", "properties": {"vin": {"type": "string"}}}, {"vin": VINS[0]}),
        ({"type": ["null", "integer"]}, 1),
        ({"oneOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"type": "array", "items": {"type": "number"}}, [1.5]),
        ({"enum": ["a", "b"]}, "a"),
        ({"$ref": "#/components/schemas/A"}, 1),
        ({"$ref": "#/components/schemas/Loop"}, None),
    ],
)
def test_an_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    schemas = {"A": {"type": "integer"}, "Loop": {"$ref": "#/components/schemas/Loop"}}
    assert example_of(schema, schemas) == example


def test_nothing_is_loaded_from_elsewhere(platform: Platform) -> None:
    assert "<script" not in httpx.get(f"{platform.url}/schema").text
    assert httpx.get(f"{platform.url}/schema/swagger").status_code == 404
