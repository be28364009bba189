"""Each limit of the door as a peer meets it: the reason it is told, and that others go on."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from motorcade.config import Config
from motorcade.gateway.mqtt.permissions import GUEST
from motorcade.wire.mqtt.publish import Puback
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from tests.gateway.mqtt.guests import LEVELS, Guests
from tests.gateway.mqtt.harness import PASSWORD, TOKEN, RunningDoor
from tests.gateway.mqtt.wire_client import Client

V3, V5 = LEVELS
BOTH = pytest.mark.parametrize("level", LEVELS, ids=["3.1.1", "5"])


@contextmanager
def limited(directory: Path, *settings: str) -> Iterator[Guests]:
    config = Config().with_overrides([f"mqtt.{setting}" for setting in settings])
    with RunningDoor(directory, config, guest=GUEST) as door, ExitStack() as stack:
        yield Guests(door, stack)


def refusal(guests: Guests, level: ProtocolLevel, client_id: str) -> Reason:
    client = guests.stranger(level)
    answer: Reason = client.connect("", client_id, None).reason
    if answer is not Reason.SUCCESS:
        assert client.receive() is None
    return answer


def works(client: Client, topic: str) -> bool:
    client.publish(topic)
    return bool(client.expect(Puback).reason is Reason.SUCCESS)


@BOTH
def test_a_full_server_says_busy_and_lets_clients_take_over(
    tmp_path: Path, level: ProtocolLevel
) -> None:
    with limited(tmp_path, "connections_max=2") as guests:
        first = guests.client(level, "first")
        guests.client(level, "second")
        busy = Reason.SERVER_BUSY if level is V5 else Reason.SERVER_UNAVAILABLE
        assert refusal(guests, level, "third") is busy
        assert works(first, guests.topic)
        assert refusal(guests, level, "second") is Reason.SUCCESS
        first.disconnect()
        while refusal(guests, level, "fourth") is busy:
            pass


@BOTH
def test_an_account_has_so_many_sessions(tmp_path: Path, level: ProtocolLevel) -> None:
    with limited(tmp_path, "sessions_per_account_max=2") as guests:
        guests.client(level, "first")
        lasting = {"session_expiry_s": 60} if level is V5 else {}
        guests.client(level, "second", clean_start=False, **lasting).disconnect()
        over = Reason.QUOTA_EXCEEDED if level is V5 else Reason.SERVER_UNAVAILABLE
        assert refusal(guests, level, "third") is over
        with Client(guests.door.port, level) as car:
            assert car.connect().reason is Reason.SUCCESS  # another account


@BOTH
def test_who_connects_too_often_is_told(tmp_path: Path, level: ProtocolLevel) -> None:
    settings = ("connects_per_client_burst=3", "connects_per_client_per_s=0.001")
    with limited(tmp_path, *settings) as guests:
        over = Reason.CONNECTION_RATE_EXCEEDED if level is V5 else Reason.SERVER_UNAVAILABLE
        assert [refusal(guests, level, "often") for _ in range(4)] == [Reason.SUCCESS] * 3 + [over]
        assert refusal(guests, level, "calm") is Reason.SUCCESS


def login(door: RunningDoor, level: ProtocolLevel, password: str, address: str) -> Reason:
    with Client(door.port, level, address=address) as client:
        answer: Reason = client.connect(password=password.encode()).reason
        if answer is not Reason.SUCCESS:
            assert client.receive() is None  # closed
        return answer


@BOTH
@pytest.mark.parametrize("whose", ["address", "account"])
def test_passwords_cannot_be_guessed_at_speed(
    tmp_path: Path, level: ProtocolLevel, whose: str
) -> None:
    settings = (
        f"mqtt.failed_logins_per_{whose}_burst=3",
        f"mqtt.failed_logins_per_{whose}_per_s=0.5",
    )
    wrong = Reason.BAD_USER_NAME_OR_PASSWORD if level is V5 else Reason.NOT_AUTHORIZED
    over = Reason.QUOTA_EXCEEDED if level is V5 else Reason.SERVER_UNAVAILABLE
    with RunningDoor(tmp_path, Config().with_overrides(list(settings))) as door:
        guesser, car = "127.0.0.2", "127.0.0.3"
        if whose == "account":
            assert login(door, level, PASSWORD, guesser) is Reason.SUCCESS  # costs nothing
        guesses = [login(door, level, f"guess {number}", guesser) for number in range(5)]
        assert guesses[:3] == [wrong] * 3
        assert guesses[-1] is over
        assert login(door, level, PASSWORD, guesser) is over  # no answer for a guess that is right
        assert login(door, level, PASSWORD, car) is Reason.SUCCESS
        assert login(door, level, "a slip", car) is wrong
        assert door.door.counts.refusals.counts["failed_logins"] >= 2
        time.sleep(2.5)
        assert login(door, level, PASSWORD, guesser) is Reason.SUCCESS


def test_whoever_comes_by_a_wrong_password_to_an_open_broker_is_a_guest(tmp_path: Path) -> None:
    settings = ("failed_logins_per_address_burst=1", "failed_logins_per_address_per_s=0.001")
    with limited(tmp_path, *settings) as guests:
        for _ in range(3):
            assert login(guests.door, V5, "whatever", "127.0.0.1") is Reason.SUCCESS


@BOTH
@pytest.mark.parametrize("who", ["operator", "vehicle"])
def test_who_publishes_too_fast_is_sent_away(
    tmp_path: Path, level: ProtocolLevel, who: str
) -> None:
    with limited(tmp_path, "publishes_per_s=1", "publishes_burst=50") as guests:
        calm = guests.client(level)
        if who == "vehicle":
            fast = guests.stranger(level)
            fast.connect()
        else:
            fast = guests.client(level)
        topic = f"v/{TOKEN}/telemetry"
        for _ in range(100):
            fast.publish(topic, packet_id=None)
        assert fast.closed_with() is (Reason.MESSAGE_RATE_TOO_HIGH if level is V5 else None)
        assert works(calm, guests.topic)
        assert guests.door.door.counts.refusals.counts["message_rate_too_high"] == 1


@BOTH
def test_all_sessions_together_have_so_many_subscriptions(
    tmp_path: Path, level: ProtocolLevel
) -> None:
    with limited(tmp_path, "subscriptions_max=3") as guests:
        first, second = guests.client(level), guests.client(level)
        granted = Reason.GRANTED_QOS_1
        over = Reason.QUOTA_EXCEEDED if level is V5 else Reason.UNSPECIFIED_ERROR
        assert first.subscribe("a", "b") == (granted, granted)
        assert second.subscribe("a", "b") == (granted, over)
        assert second.subscribe("a") == (granted,)  # one that it has
        first.disconnect()
        while second.subscribe("c") == (over,):
            pass
        assert second.subscribe("d", "e") == (granted, over)


@BOTH
def test_topics_have_so_many_levels_and_bytes(tmp_path: Path, level: ProtocolLevel) -> None:
    with limited(tmp_path, "topic_levels_max=3", "topic_bytes_max=20") as guests:
        calm, client = guests.client(level), guests.client(level)
        over = Reason.TOPIC_FILTER_INVALID if level is V5 else Reason.UNSPECIFIED_ERROR
        assert client.subscribe("a/b/c", "a/b/c/d", "a" * 21) == (Reason.GRANTED_QOS_1, over, over)
        for topic in ("a/b/c/d", "a" * 21):
            bad = guests.client(level)
            bad.publish(topic)
            if level is V5:
                assert bad.expect(Puback).reason is Reason.TOPIC_NAME_INVALID
            else:
                assert bad.receive() is None
        assert works(calm, "a/b/c")
