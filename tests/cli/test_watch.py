"""`motorcade watch`: what a stream tells, shown; a stream that ends or refuses, named."""

import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from websockets.sync.server import Server, ServerConnection, serve

from motorcade.cli.main import main
from motorcade.cli.picture import Picture, age, shown
from motorcade.cli.watch import _table

VIN = "5YJ3E1EA7KF000001"
SNAPSHOT: dict[str, Any] = {
    "type": "snapshot",
    "vehicle": {"vin": VIN, "state": "online"},
    "last_received_time_us": 5_000_000,
    "signals": {
        "vehicle_speed": {"value": 13.25, "time_us": 4_000_000, "unit": "m/s"},
        "locked": {"value": True, "time_us": 1_000_000, "unit": None},
    },
    "commands": [
        {"id": "b", "name": "door_lock", "state": "executed"},
        {"id": "a", "name": "honk_horn", "state": "refused"},
    ],
}
CHANGE = {
    "type": "signals",
    "signals": {"vehicle_speed": {"value": 14, "time_us": 6_000_000, "unit": "m/s"}},
}
COMMAND = {
    "type": "command",
    "command": {"id": "c", "name": "door_unlock", "state": "requested", "reason": ""},
}


@contextmanager
def serving(
    tmp_path: Path, handler: Callable[[ServerConnection], None], **options: Any
) -> Iterator[Server]:
    with serve(handler, "127.0.0.1", 0, **options) as server:
        host, port = server.socket.getsockname()[:2]
        ready = {
            "pid": os.getpid(),
            "api": {"url": f"http://{host}:{port}"},
            "admin_token": "the-token",
        }
        (tmp_path / "ready.json").write_text(json.dumps(ready))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def watch(tmp_path: Path, *options: str, status: int) -> None:
    with pytest.raises(SystemExit) as end:
        main(["watch", VIN, *options, "--data", str(tmp_path)])
    assert end.value.code == status


def tell_all(connection: ServerConnection) -> None:
    assert connection.request is not None
    assert connection.request.path == f"/api/1/vehicles/{VIN}/stream"
    assert connection.request.headers["Authorization"] == "Bearer the-token"
    for message in (SNAPSHOT, CHANGE, COMMAND):
        connection.ping().wait()  # an answer to a ping, or the test ends in its time limit
        text = json.dumps(message)
        connection.send([text[:20], text[20:]])  # in two frames


def test_every_message_is_a_json_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, tell_all):
        watch(tmp_path, "--json", status=0)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [SNAPSHOT, CHANGE, COMMAND]


def test_without_a_terminal_changes_are_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path, tell_all):
        watch(tmp_path, status=0)
    assert capsys.readouterr().out.splitlines() == [
        "1.000 locked yes",
        "4.000 vehicle_speed 13.25 m/s",
        "6.000 vehicle_speed 14 m/s",
        "command c door_unlock requested",
    ]


def test_once_ends_after_the_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def tell_and_wait(connection: ServerConnection) -> None:
        connection.send(json.dumps(SNAPSHOT))
        for _ in connection:  # until the client goes
            pass

    with serving(tmp_path, tell_and_wait):
        watch(tmp_path, "--once", "--json", status=0)
    assert json.loads(capsys.readouterr().out) == SNAPSHOT


def test_a_refusal_tells_the_servers_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(connection: ServerConnection, _: object) -> Any:
        body = {"response": None, "error": "not_found", "error_description": "no such vehicle"}
        return connection.respond(HTTPStatus.NOT_FOUND, json.dumps(body))

    with serving(tmp_path, tell_all, process_request=refuse):
        watch(tmp_path, status=1)
    assert "refused: not_found: no such vehicle\n" in capsys.readouterr().err


def test_a_close_for_a_reason_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, lambda connection: connection.close(4401, "token expired (401)")):
        watch(tmp_path, status=1)
    assert "token expired" in capsys.readouterr().err


def test_a_broken_connection_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, lambda connection: connection.socket.shutdown(2)):
        watch(tmp_path, status=1)
    assert "ended the connection" in capsys.readouterr().err


def test_an_answer_that_is_no_websocket_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ready = {"pid": os.getpid(), "api": {"url": url}, "admin_token": "t"}
        (tmp_path / "ready.json").write_text(json.dumps(ready))
        thread = threading.Thread(target=_answer_nonsense, args=(listener,))
        thread.start()
        watch(tmp_path, status=1)
        thread.join()
    assert "does not speak WebSocket" in capsys.readouterr().err


def _answer_nonsense(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"220 mail.example.org ESMTP\r\n\r\n")
        connection.recv(1)  # until the client goes


def test_no_server_at_the_address_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path, tell_all):
        pass
    watch(tmp_path, status=1)
    assert "no connection" in capsys.readouterr().err


def test_the_picture_follows_the_messages() -> None:
    picture = Picture()
    for message in (SNAPSHOT, CHANGE, COMMAND, {"type": "from a later version"}):
        picture.apply(message)
    assert picture.rows(now_us=7_000_000) == [
        ("locked", "yes", "", "6 s"),
        ("vehicle_speed", "14", "m/s", "1 s"),
    ]
    assert [command["id"] for command in picture.recent_commands(2)] == ["c", "b"]


def test_a_new_snapshot_replaces_the_old_one() -> None:
    picture = Picture()
    picture.apply(SNAPSHOT)
    picture.apply(SNAPSHOT | {"signals": {}, "commands": []})
    assert picture.rows(0) == []
    assert picture.recent_commands(5) == []


def test_the_table_shows_the_picture() -> None:
    picture = Picture()
    picture.apply(SNAPSHOT)
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(_table(VIN, picture))
    text = console.export_text()
    for word in (VIN, "online", "vehicle_speed", "13.25", "door_lock executed"):
        assert word in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (48.1234567, "48.12346"),
        ("D", "D"),
    ],
)
def test_values_are_shown_for_people(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("age_us", "text"),
    [
        (-5, "0 s"),
        (1_400_000, "1 s"),
        (119_000_000, "119 s"),
        (120_000_000, "2 min"),
        (8e9, "2 h"),
        (9e11, "10 d"),
    ],
)
def test_ages_are_in_the_unit_that_fits(age_us: int, text: str) -> None:
    assert age(age_us) == text
