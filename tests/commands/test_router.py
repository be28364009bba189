"""The router's judgement, call by call, on a clock of plain numbers."""

from collections.abc import Callable
from itertools import count

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.commands.entries import US, Downlink, Entry
from motorcade.commands.errors import (
    IdempotencyMismatchError,
    RouterBusyError,
    TooManyCommandsError,
)
from motorcade.commands.port import Request
from motorcade.commands.router import CAR_SAYS, NOTICES, Router
from motorcade.commands.states import FINAL, TRANSITIONS, Event, State
from motorcade.config import CommandsConfig
from motorcade.events import VehicleToken
from motorcade.wire.command.messages import (
    Answer,
    Command,
    Hello,
    Journal,
    JournalEntry,
    Query,
    ServerTime,
)
from motorcade.wire.command.records import Down, Transition
from motorcade.wire.command.signing import verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
CAR = VehicleToken("IABCDEFGHJKLMNPRS")
OTHER_CAR = VehicleToken("OABCDEFGHJKLMNPRS")
NOW = 1_700_000_000 * US


def make_router(config: CommandsConfig | None = None) -> Router:
    numbers = count(1)
    entropy: Callable[[int], bytes] = lambda size: next(numbers).to_bytes(size, "big")  # noqa: E731
    downlink = Downlink("k1", KEY, 60)
    return Router(config or CommandsConfig(), downlink, entropy, lambda vehicle: 0)


def ask(router: Router, key: str = "", vehicle: VehicleToken = CAR, name: str = "honk_horn") -> str:
    tracked, entries = router.request(Request(vehicle, name, {}, "owner", key), NOW)
    confirm(router, entries)
    return tracked.id


def confirm(router: Router, entries: list[Entry]) -> list[State]:
    for entry in entries:
        router.confirm(entry)
    return states(entries)


def states(entries: list[Entry]) -> list[State]:
    return [State(e.payload.state) for e in entries if isinstance(e.payload, Transition)]


def down(entry: Entry) -> object:
    assert isinstance(entry.payload, Down)
    return verify(bytes(entry.payload.message), {"k1": KEY.public_key()}, entry.vehicle)


def answered(command_id: str, state: str, reason: str = "") -> Answer:
    return msgspec.convert(
        {"type": "answer", "id": command_id, "state": state, "reason": reason}, Answer
    )


def test_the_table_ends_in_final_states_and_leaves_them_never() -> None:
    assert set(TRANSITIONS) == set(State)
    for state in State:
        assert (not TRANSITIONS[state]) == (state in FINAL)


def test_a_request_becomes_a_signed_message_with_all_that_makes_it() -> None:
    router = make_router()
    request = Request(CAR, "set_charge_limit", {"percent": 80}, "owner", "k", expires_s=5)
    tracked, (entry,) = router.request(request, NOW)
    assert isinstance(entry.payload, Transition)
    message = verify(bytes(entry.payload.message), {"k1": KEY.public_key()}, CAR)
    assert isinstance(message, Command)
    assert (message.id, message.name, message.parameters) == (
        tracked.id,
        "set_charge_limit",
        {"percent": 80},
    )
    assert (message.issued_time_us, message.expires_time_us) == (NOW, NOW + 5 * US)
    assert message.counter == entry.payload.counter


def test_counters_rise_per_vehicle_and_start_above_the_ledgers() -> None:
    router = make_router()
    router._last_counter = lambda vehicle: NOW + 10  # a clock that once ran ahead
    request = Request(CAR, "honk_horn", {}, "owner")
    counters = [router.request(request, now)[0].counter for now in (NOW, NOW - US)]
    assert counters == [NOW + 11, NOW + 12]


def test_handed_over_and_executed() -> None:
    router = make_router()
    command_id = ask(router)
    assert confirm(router, router.notice(b"handed_over", CAR, command_id, NOW, NOW)) == [
        "handed_over"
    ]
    entries = router.message(answered(command_id, "executed"), CAR, NOW, NOW + 1)
    assert confirm(router, entries) == ["executed"]


def test_what_is_not_durable_is_not_told() -> None:
    router = make_router()
    command_id = ask(router)
    entries = router.message(answered(command_id, "refused", "driving"), CAR, NOW, NOW + 1)
    tracked = router.find(command_id)
    assert tracked is not None
    assert tracked.view().state == State.REQUESTED
    confirm(router, entries)
    assert (tracked.view().state, tracked.view().reason) == (State.REFUSED, "driving")


def test_news_before_the_request_is_durable_waits_for_it_and_is_told_once() -> None:
    router = make_router()
    tracked, (requested,) = router.request(Request(CAR, "honk_horn", {}, "owner"), NOW)
    (executed,) = router.message(answered(tracked.id, "executed"), CAR, NOW, NOW + 1)
    assert router.confirm(executed) is None
    assert tracked.told == 0
    assert router.confirm(requested) is tracked
    assert tracked.view().state is State.REQUESTED
    assert router.confirm(executed) is tracked
    assert tracked.settled
    assert router.confirm(executed) is None


def test_repeats_and_late_news_change_nothing() -> None:
    router = make_router()
    command_id = ask(router)
    confirm(router, router.message(answered(command_id, "executed"), CAR, NOW, NOW))
    assert router.message(answered(command_id, "executed"), CAR, NOW, NOW) == []
    assert router.notice(b"handed_over", CAR, command_id, NOW, NOW) == []
    assert router.notice(b"undelivered", CAR, command_id, NOW, NOW) == []
    assert router.contradictions == 0
    assert router.message(answered(command_id, "refused"), CAR, NOW, NOW) == []
    assert router.contradictions == 1


def test_undelivered_is_expired_unless_it_was_seen_handed_over() -> None:
    router = make_router()
    first, second = ask(router), ask(router)
    assert states(router.notice(b"undelivered", CAR, first, NOW, NOW)) == ["expired"]
    router.notice(b"handed_over", CAR, second, NOW, NOW)
    assert router.notice(b"undelivered", CAR, second, NOW, NOW) == []


def test_an_unanswered_command_is_unknown_after_the_grace_and_its_car_is_asked() -> None:
    router = make_router()
    command_id = ask(router)
    expiry_us = NOW + 30 * US
    assert router.tick(expiry_us + 2 * US - 1) == []
    transition, query = router.tick(expiry_us + 2 * US)
    assert states([transition]) == ["outcome_unknown"]
    message = down(query)
    assert isinstance(message, Query)
    assert message.ids == [command_id]
    assert router.tick(expiry_us + 3 * US) == []


@pytest.mark.parametrize(
    ("said", "state"),
    [("executed", "executed"), ("refused", "refused"), ("unknown", "expired")],
)
def test_the_journal_settles_what_was_unknown(said: str, state: str) -> None:
    router = make_router()
    command_id = ask(router)
    confirm(router, router.tick(NOW + 60 * US))
    entry = msgspec.convert({"id": command_id, "state": said}, JournalEntry)
    entries = router.message(Journal(entries=[entry]), CAR, NOW, NOW + 61 * US)
    assert confirm(router, entries) == [state]


def test_an_interrupted_command_stays_unknown() -> None:
    router = make_router()
    command_id = ask(router)
    journal = Journal(entries=[JournalEntry(id=command_id, state="started")])
    assert confirm(router, router.message(journal, CAR, NOW, NOW)) == ["outcome_unknown"]
    assert router.message(journal, CAR, NOW, NOW) == []


def test_a_command_that_is_unknown_early_is_not_dropped_at_its_expiry() -> None:
    router = make_router()
    command_id = ask(router)
    confirm(router, router.notice(b"delivery_unknown", CAR, command_id, NOW, NOW))
    assert router.tick(NOW + 60 * US) == []
    assert states(router.message(answered(command_id, "executed"), CAR, NOW, NOW)) == ["executed"]


def test_hello_gets_the_time_and_a_question_about_what_is_unknown() -> None:
    router = make_router()
    command_id = ask(router)
    later = NOW + 60 * US
    confirm(router, router.tick(later))
    time_entry, query_entry = router.message(Hello(nonce="n1"), CAR, later, later)
    time_message, query = down(time_entry), down(query_entry)
    assert isinstance(time_message, ServerTime)
    assert (time_message.nonce, time_message.server_time_us) == ("n1", later)
    assert isinstance(query, Query)
    assert query.ids == [command_id]


def test_a_question_names_all_that_is_open_and_takes_the_place_of_the_one_before() -> None:
    router = make_router()
    first = ask(router)
    confirm(router, router.tick(NOW + 60 * US))
    tracked, _ = router.request(Request(CAR, "honk_horn", {}, "owner"), NOW + 61 * US)
    _, entry = router.tick(NOW + 120 * US)
    query = down(entry)
    assert isinstance(query, Query)
    assert query.ids == [first, tracked.id]
    time_entry, query_entry = router.message(Hello(nonce="n"), CAR, NOW, NOW + 20 * US)
    slots = [each.payload.slot for each in (entry, time_entry, query_entry)]  # type: ignore[union-attr]
    assert slots == ["query-0", "time", "query-0"]


def test_an_old_hello_gets_no_time() -> None:
    router = make_router()
    assert router.message(Hello(nonce="n1"), CAR, NOW - 31 * US, NOW) == []


def test_a_flood_of_hellos_is_answered_only_so_often() -> None:
    router = make_router()
    entries = [e for _ in range(100) for e in router.message(Hello(nonce="n"), OTHER_CAR, NOW, NOW)]
    assert len(entries) == 21
    assert len(router.message(Hello(nonce="n"), OTHER_CAR, NOW + US, NOW + US)) == 1


def test_a_vehicle_speaks_of_its_own_commands_only() -> None:
    router = make_router()
    command_id = ask(router)
    assert router.message(answered(command_id, "executed"), OTHER_CAR, NOW, NOW) == []
    assert router.notice(b"undelivered", OTHER_CAR, command_id, NOW, NOW) == []


def test_one_key_is_one_command() -> None:
    router = make_router()
    first = ask(router, "key")
    assert ask(router, "key") == first
    with pytest.raises(IdempotencyMismatchError):
        ask(router, "key", name="flash_lights")
    with pytest.raises(IdempotencyMismatchError):
        ask(router, "key", vehicle=OTHER_CAR)
    other_account, entries = router.request(Request(CAR, "honk_horn", {}, "admin", "key"), NOW)
    assert other_account.id != first
    assert len(entries) == 1


def test_limits_per_vehicle_and_in_all() -> None:
    router = make_router(CommandsConfig(in_flight_per_vehicle_max=2, in_flight_max=3))
    first = ask(router)
    ask(router)
    with pytest.raises(TooManyCommandsError):
        ask(router)
    ask(router, vehicle=OTHER_CAR)
    with pytest.raises(RouterBusyError):
        ask(router, vehicle=VehicleToken("QABCDEFGHJKLMNPRS"))
    confirm(router, router.message(answered(first, "executed"), CAR, NOW, NOW))
    ask(router)


def test_a_vehicle_that_never_answers_is_refused_more_at_a_limit() -> None:
    router = make_router(CommandsConfig(unresolved_per_vehicle_max=2))
    first = ask(router)
    ask(router)
    confirm(router, router.tick(NOW + 60 * US))
    with pytest.raises(TooManyCommandsError, match="connect first"):
        ask(router)
    confirm(router, router.message(answered(first, "executed"), CAR, NOW, NOW))
    ask(router)


def test_only_what_is_final_and_durable_is_forgotten() -> None:
    router = make_router()
    first, second = ask(router), ask(router)
    entries = router.message(answered(first, "executed"), CAR, NOW, NOW)
    router.forget([first, second])
    assert router.find(first) is not None
    confirm(router, entries)
    router.forget([first, second, "never heard of"])
    assert router.find(first) is None
    assert router.find(second) is not None


def test_a_restored_router_goes_on_where_the_log_ends() -> None:
    router = make_router()
    command_id = ask(router, "key")
    confirm(router, router.notice(b"handed_over", CAR, command_id, NOW, NOW))
    tracked = router.find(command_id)
    assert tracked is not None
    again = make_router()
    again.restore(tracked.view(), tracked.counter)
    assert ask(again, "key") == command_id
    assert again.notice(b"undelivered", CAR, command_id, NOW, NOW) == []
    assert states(again.tick(NOW + 60 * US)) == ["outcome_unknown"]


def test_what_stays_unknown_is_dropped_when_the_ledger_drops_it() -> None:
    router = make_router()
    command_id = ask(router)
    confirm(router, router.tick(NOW + 60 * US))
    assert router.tick(NOW + 30 * 86_400 * US) == []
    assert router.find(command_id) is None


def test_every_event_of_the_table_is_reached_by_some_news() -> None:
    assert set(NOTICES.values()) | set(CAR_SAYS.values()) | {Event.OVERDUE} == set(Event)
