"""`motorcade send`, against a counter that answers as the API's page says."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer

from motorcade.cli.main import main
from motorcade.cli.send import read_parameters

VIN = "5YJ3E1EA7KF000001"
ID = "c0ffee"


def command(state: str, reason: str = "") -> dict[str, Any]:
    steps = [("requested", 1_000), ("handed_over", 2_500), (state, 9_000)]
    return {
        "id": ID,
        "name": "door_unlock",
        "parameters": {},
        "state": state,
        "final": True,
        "reason": reason,
        "timeline": [{"state": name, "time_us": at, "reason": ""} for name, at in steps],
    }


class Counter:
    """What the API answers next, and what it was asked."""

    def __init__(self) -> None:
        self.post: tuple[int, dict[str, Any], str] = (200, {"response": {}}, ID)
        self.get: tuple[int, dict[str, Any]] = (200, {"response": command("executed")})
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    counter = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(size))
            counter.asked.append(("POST", self.path, dict(self.headers), body))
            self._answer(*counter.post)

        def do_GET(self) -> None:
            counter.asked.append(("GET", self.path, dict(self.headers), None))
            self._answer(*counter.get, "")

        def _answer(self, status: int, body: dict[str, Any], command_id: str) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if command_id:
                self.send_header("x-command-id", command_id)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready = {
        "pid": os.getpid(),
        "api": {"url": f"http://127.0.0.1:{server.server_port}"},
        "admin_token": "the-token",
    }
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield counter
    server.shutdown()
    thread.join()
    server.server_close()


def send(tmp_path: Path, *words: str, status: int) -> None:
    with pytest.raises(SystemExit) as end:
        main(["send", VIN, *words, "--data", str(tmp_path)])
    assert end.value.code == status


def test_an_executed_command_is_told_with_its_timeline(
    counter: Counter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["door_unlock", "percent=80", "--idempotency-key", "k1", "--expires", "7"]
    send(tmp_path, *words, status=0)
    (method, path, headers, body), (_, timeline_path, _, _) = counter.asked
    assert (method, path) == ("POST", f"/api/1/vehicles/{VIN}/command/door_unlock")
    assert body == {"percent": 80}
    assert headers["Authorization"] == "Bearer the-token"
    assert (headers["Idempotency-Key"], headers["X-Command-Expires-S"]) == ("k1", "7")
    assert timeline_path == f"/api/1/vehicles/{VIN}/commands/{ID}"
    out = capsys.readouterr().out
    assert out.startswith("door_unlock executed\n")
    assert "+8.0 ms" in out


@pytest.mark.parametrize(
    ("state", "http_status", "status"),
    [
        ("executed", 200, 0),
        ("refused", 200, 3),
        ("expired", 408, 3),
        ("outcome_unknown", 408, 4),
        ("handed_over", 408, 4),
    ],
)
def test_the_exit_status_is_the_commands_state(
    counter: Counter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    state: str,
    http_status: int,
    status: int,
) -> None:
    counter.post = (http_status, {}, ID)
    counter.get = (200, {"response": command(state, "driving")})
    send(tmp_path, "door_unlock", "--json", status=status)
    assert json.loads(capsys.readouterr().out) == command(state, "driving")


@pytest.mark.parametrize(
    ("http_status", "body", "told"),
    [
        (404, {"error": "not_found", "error_description": "no such vehicle"}, "no such vehicle"),
        (400, {"error": "invalid_command"}, "invalid_command"),
        (401, {}, "HTTP status 401"),
    ],
)
def test_a_command_that_was_not_taken_says_why(
    counter: Counter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    http_status: int,
    body: dict[str, Any],
    told: str,
) -> None:
    counter.post = (http_status, body, "")
    send(tmp_path, "door_unlock", status=1)
    assert told in capsys.readouterr().err


def test_a_lost_timeline_still_names_the_command(
    counter: Counter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counter.get = (503, {"error": "service unavailable"})
    send(tmp_path, "door_unlock", status=1)
    assert ID in capsys.readouterr().err


def test_names_cannot_leave_their_place_in_the_path(counter: Counter, tmp_path: Path) -> None:
    counter.post = (400, {}, "")
    send(tmp_path, "../../x?y=1", status=1)
    assert counter.asked[0][1] == f"/api/1/vehicles/{VIN}/command/..%2F..%2Fx%3Fy%3D1"


def test_without_a_server_it_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(tmp_path, "door_unlock", status=1)
    assert "motorcade up" in capsys.readouterr().err


def test_parameters_are_json_where_they_can_be() -> None:
    words = ["percent=80", "on=true", "which_trunk=rear", "lat=1.5", "text=a=b", "pin='1'", "x="]
    assert read_parameters(words) == {
        "percent": 80,
        "on": True,
        "which_trunk": "rear",
        "lat": 1.5,
        "text": "a=b",
        "pin": "'1'",
        "x": "",
    }
    for word in ("percent", "=80"):
        with pytest.raises(typer.BadParameter):
            read_parameters([word])
