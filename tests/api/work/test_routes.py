"""The work queue over HTTP, by role: who sees which items, and who works them."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.events import RecordBatch
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.wire.command.messages import Answer, Command
from tests.api.standins import ALL_SCOPES, TOKENS, Platform, bearer
from tests.api.window.fleet import fleet, tell
from tests.state.records import signals

SETTINGS = ("work.look_s=0", "work.settle_s=0", "work.undo_s=10", "work.fold_cars_min=2")


def refuses(command: Command) -> Answer:
    return Answer(id=command.id, state="refused", time_us=1, counter=command.counter, reason="cold")


def tell_long_ago(platform: Platform, live: EmbeddedLiveState, token: Any, age_s: int) -> None:
    """A car drove, and was not heard since."""
    record = signals(token, 0, gear="D")
    then_us = platform.clock.now_us() - age_s * 1_000_000
    body = json.dumps({"time_us": then_us, "signals": {"gear": "D"}}).encode()
    members = {name: getattr(record, name) for name in record.__struct_fields__}
    times = {"received_time_us": then_us, "event_time_us": then_us}
    live.apply(RecordBatch.of([type(record)(**members | {"payload": body} | times)]), "gateway")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Car 0 is alive, and refused a command; cars 1 and 2 went silent together. `oscar` operates,
    `vera` views, `nadia` drives car 1."""
    with fleet(tmp_path_factory.mktemp("work"), *SETTINGS) as (platform, live):
        assert platform.counter.work is not None
        platform.counter.work.state = live
        people, sharing = platform.registry.people, platform.registry.sharing
        for subject, role in (("oscar", "operator"), ("vera", "viewer"), ("nadia", "")):
            name = subject.capitalize()
            people.add_person(f"{subject}@example.org", name, "correct donkey", subject)
            people.set_role(subject, role)
        invitation = sharing.invite(1_001, "owner")
        sharing.redeem(invitation.code, "nadia")
        tell(platform, live, TOKENS[0], gear="P")
        for token in TOKENS[1:]:
            tell_long_ago(platform, live, token, 400)
        platform.gateway.script = refuses
        url = f"{platform.url}/api/1/vehicles/1000/command/honk_horn"
        assert httpx.post(url, headers=bearer()).json()["response"]["result"] is False
        time.sleep(platform.config.commands.ledger_commit_s + 0.3)
        yield platform


def queue(platform: Platform, subject: str, query: str = "") -> dict[str, Any]:
    sign = platform.tokens.page(subject, *ALL_SCOPES)
    answer = httpx.get(f"{platform.url}/api/2/work{query}", headers=sign)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["response"]
    return told


def do(platform: Platform, item: str, action: str, subject: str = "oscar", **body: Any) -> Any:
    sign = platform.tokens.page(subject, *ALL_SCOPES)
    url = f"{platform.url}/api/2/work/{item}/{action}"
    return httpx.post(url, headers=sign, json=body)


def ids(platform: Platform, subject: str = "oscar", query: str = "") -> dict[str, str]:
    return {item["kind"]: item["id"] for item in queue(platform, subject, query)["items"]}


def test_roles_see_all_and_others_what_is_theirs(platform: Platform) -> None:
    for subject in ("oscar", "vera"):
        silent, command = queue(platform, subject)["items"]
        assert (silent["title"], silent["count"]) == ("2 cars silent together", 2)
        assert (silent["detail"], silent["vehicle"]) == ("Car 1, Car 2", None)
        assert command["title"] == "Honk horn failed: cold"
        assert command["vehicle"] == {"id": "1000", "name": "Car 0"}
    (own,) = queue(platform, "nadia")["items"]
    assert (own["title"], own["count"]) == ("Gone silent", 1)
    assert own["vehicle"]["name"] == "Car 1"
    assert "Car 2" not in str(own)
    assert queue(platform, "nobody")["items"] == []
    assert queue(platform, "nobody")["last_closed"] is None


def test_one_item_tells_its_cause_and_evidence(platform: Platform) -> None:
    sign = platform.tokens.page("nadia", *ALL_SCOPES)
    for kind, subject, what in (
        ("command", "oscar", ["honk_horn requested", "honk_horn handed_over", "honk_horn refused"]),
        ("silent", "oscar", ["heard last", "heard last"]),
        ("silent", "nadia", ["heard last"]),
    ):
        sign = platform.tokens.page(subject, *ALL_SCOPES)
        url = f"{platform.url}/api/2/work/{ids(platform)[kind]}"
        told = httpx.get(url, headers=sign).json()["response"]
        assert [one["what"] for one in told["evidence"]] == what
        assert told["cause"]
    url = f"{platform.url}/api/2/work/{ids(platform)['command']}"
    for absent in (url, f"{platform.url}/api/2/work/1"):
        assert httpx.get(absent, headers=sign).status_code == 404  # nadia's is another car


@pytest.mark.parametrize("subject", ["vera", "nadia", "nobody"])
def test_only_operators_work_the_queue(platform: Platform, subject: str) -> None:
    item = ids(platform)["silent"]
    answer = do(platform, item, "acknowledge", subject)
    assert answer.status_code == 403
    assert "operator" in answer.json()["error_description"]
    assert queue(platform, "oscar")["items"][0]["acknowledged_by"] is None


def test_an_item_is_worked_and_others_read_who_did_what(platform: Platform) -> None:
    item = ids(platform)["silent"]
    assert do(platform, item, "acknowledge").json()["response"]["acknowledged_by"] == "Oscar"
    assert do(platform, item, "assign").json()["response"]["assigned_to"] == "Oscar"
    assert do(platform, item, "assign", to="owner").status_code == 400  # has no role here
    told = do(platform, item, "comment", text=" Car 2 is in a tunnel ").json()["response"]
    assert [(note["who"], note["what"], note["text"]) for note in told["log"]] == [
        ("Oscar", "acknowledged", ""),
        ("Oscar", "assigned", "Oscar"),
        ("Oscar", "commented", "Car 2 is in a tunnel"),
    ]
    assert queue(platform, "vera")["items"][0]["log"] == told["log"]
    assert queue(platform, "nadia")["items"][0]["log"] == []  # it is of others' cars too
    for _ in range(3):
        assert do(platform, item, "undo").status_code == 200
    deeds = httpx.get(
        f"{platform.url}/api/2/audit", headers=platform.tokens.page("owner", "openid")
    )
    told = [(row["who"], row["what"], row["text"]) for row in deeds.json()["response"]]
    assert told[:4] == [
        *[("Oscar", "undid", "2 cars silent together")] * 3,
        ("Oscar", "commented", "2 cars silent together"),
    ]
    assert queue(platform, "vera")["items"][0]["log"] == []
    assert do(platform, item, "undo").status_code == 422


def test_a_snoozed_item_is_among_those_that_are_not_open(platform: Platform) -> None:
    item = ids(platform)["command"]
    assert do(platform, item, "snooze", for_s=60).status_code == 200
    assert set(ids(platform)) == {"silent"}
    assert ids(platform, query="?open=false") == {"command": item}
    do(platform, item, "undo")
    assert set(ids(platform)) == {"silent", "command"}


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("snooze", {}, 400),
        ("snooze", {"for_s": 0}, 400),
        ("snooze", {"for_s": True}, 400),
        ("snooze", {"for_s": 1e9}, 400),
        ("comment", {"text": "  "}, 400),
        ("comment", {"text": "é" * 1_001}, 400),
        ("comment", {"text": 5}, 400),
        ("assign", {"to": "nadia"}, 400),
        ("delete", {}, 404),
    ],
)
def test_what_cannot_be_done_is_refused(
    platform: Platform, action: str, body: dict[str, Any], status: int
) -> None:
    answer = do(platform, ids(platform)["silent"], action, **body)
    assert answer.status_code == status, answer.text
    assert httpx.get(f"{platform.url}/api/2/work?open=x", headers=bearer()).status_code == 400


def test_a_command_that_was_made_good_closes_its_item(platform: Platform) -> None:
    item = ids(platform)["command"]
    do(platform, item, "acknowledge")
    platform.gateway.script = lambda command: Answer(
        id=command.id, state="executed", time_us=1, counter=command.counter
    )
    httpx.post(f"{platform.url}/api/1/vehicles/1000/command/honk_horn", headers=bearer())
    deadline = time.monotonic() + 10
    while "command" in ids(platform):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert queue(platform, "vera")["last_closed"]["who"] == "Oscar"
    assert ids(platform, query="?open=false") == {"command": item}
    sign = platform.tokens.page("vera", *ALL_SCOPES)
    told = httpx.get(f"{platform.url}/api/2/work/{item}", headers=sign).json()["response"]
    assert (told["closed_us"] > 0, told["evidence"]) == (True, [])
    assert do(platform, item, "comment", text="x").status_code == 404
