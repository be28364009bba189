"""paho-mqtt, aiomqtt and Mosquitto's tools, unmodified, against the whole platform: what they send
comes out of `motorcade export`, commands reach them, and what they may not do is refused."""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence

import aiomqtt
import pytest

from tests.interop.clients import (
    SESSION_S,
    Paho,
    Way,
    aiomqtt_client,
    aiomqtt_sends,
    mosquitto,
    mosquitto_sends,
    paho_sends,
    resuming,
    run,
)
from tests.interop.town import MESSAGES, S_MAX, Message, Town, Vehicle, answer_of, check

WAYS = [Way(*each) for each in itertools.product(("311", "5"), ("tcp", "tls", "certificate"))]
Sends = Callable[[Town, Way, Vehicle, Sequence[Message]], None]
NOT_AUTHORIZED, BAD_PASSWORD, BAD_CLIENT_ID = 0x87, 0x86, 0x85
REFUSED_311 = 0x80


BOTH = pytest.mark.parametrize("way", [Way("311", "tcp"), Way("5", "tcp")], ids=["311", "5"])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.version}-{way.link}")
@pytest.mark.parametrize("sends", [mosquitto_sends, paho_sends, aiomqtt_sends])
def test_every_byte_comes_out_of_export(town: Town, sends: Sends, way: Way) -> None:
    vehicle = town.vehicle()
    sends(town, way, vehicle, MESSAGES)
    check(town.stored(vehicle, len(MESSAGES)), vehicle, with_types=way.v5)


def test_what_is_sent_twice_is_stored_once(town: Town) -> None:
    vehicle = town.vehicle()
    for way in (Way("5", "tcp"), Way("311", "tls")):  # by properties, then by topic levels
        paho_sends(town, way, vehicle, MESSAGES)
    check(town.stored(vehicle, len(MESSAGES)), vehicle, with_types=True)


def test_other_topics_are_kept_apart(town: Town) -> None:
    vehicle = town.vehicle()
    with Paho(town, Way("5", "tcp"), vehicle["mqtt"]) as car:
        for topic in ("diagnostics", "ota_feedback", "energy", "media"):
            topic_name = f"{vehicle['mqtt']['publish_topic_prefix']}/{topic}"
            assert not car.publish(topic_name, topic.encode()).is_failure
    assert len(town.stored(vehicle, 1, "energy")) == 1
    assert town.stored(vehicle, 0, "telemetry") == []


# --- sessions and commands -----------------------------------------------------------------------


def paho_answers(town: Town, way: Way, vehicle: Vehicle, *, present: bool) -> str:
    with Paho(town, way, vehicle["mqtt"], vehicle=vehicle, resume=True) as car:
        assert car.present is present
        if not present:
            car.subscribe(vehicle["mqtt"]["command_topic"])
        command = town.command(vehicle, "honk_horn") if not present else None
        car.wait(lambda: bool(car.messages))
        assert [(m.topic, m.qos) for m in car.messages] == [(vehicle["mqtt"]["command_topic"], 1)]
        answers = f"{vehicle['mqtt']['publish_topic_prefix']}/command_answers"
        car.publish(answers, answer_of(bytes(car.messages[0].payload)))
        if command is not None:
            assert command.result(S_MAX).body == {"response": {"result": True, "reason": ""}}
        return str(json.loads(car.messages[0].payload)["id"])


def aiomqtt_answers(town: Town, way: Way, vehicle: Vehicle, *, present: bool) -> str:
    async def talk() -> str:
        async with aiomqtt_client(town, way, vehicle["mqtt"], vehicle, **resuming(way)) as car:
            if not present:
                await car.subscribe(vehicle["mqtt"]["command_topic"], qos=1)
            command = town.command(vehicle, "honk_horn") if not present else None
            async with asyncio.timeout(S_MAX):
                message = await anext(aiter(car.messages))
            payload = bytes(message.payload)
            answers = f"{vehicle['mqtt']['publish_topic_prefix']}/command_answers"
            await car.publish(answers, answer_of(payload), qos=1)
            if command is not None:
                answer = await asyncio.wait_for(asyncio.wrap_future(command), S_MAX)
                assert answer.body == {"response": {"result": True, "reason": ""}}
            return str(json.loads(payload)["id"])

    return asyncio.run(talk())


def mosquitto_answers(town: Town, way: Way, vehicle: Vehicle, *, present: bool) -> str:
    listen = ["-t", vehicle["mqtt"]["command_topic"], "-q", "1", "-c"]
    listen += ["-x", str(SESSION_S)] if way.v5 else []
    if not present:  # subscribes, and leaves a session behind
        run(mosquitto("mosquitto_sub", town, way, vehicle, *listen, "-E"))
    command = town.command(vehicle, "honk_horn") if not present else None
    heard = run(mosquitto("mosquitto_sub", town, way, vehicle, *listen, "-C", "1", "-N"))
    answers = f"{vehicle['mqtt']['publish_topic_prefix']}/command_answers"
    words = ["-t", answers, "-q", "1", "-s"]
    run(mosquitto("mosquitto_pub", town, way, vehicle, *words), answer_of(heard))
    if command is not None:
        assert command.result(S_MAX).body == {"response": {"result": True, "reason": ""}}
    return str(json.loads(heard)["id"])


Answers = Callable[..., str]


@pytest.mark.parametrize("way", [Way("311", "tcp"), Way("5", "tls")], ids=["311", "5-tls"])
@pytest.mark.parametrize("answers", [paho_answers, aiomqtt_answers, mosquitto_answers])
def test_a_command_is_executed_and_one_waits_for_the_session(
    town: Town, answers: Answers, way: Way
) -> None:
    vehicle = town.vehicle()
    answers(town, way, vehicle, present=False)
    waiting = town.command(vehicle, "flash_lights")
    while not (commands := town.ask("GET", f"/{vehicle['vin']}/commands").body["response"])[1:]:
        pass
    assert commands[0]["state"] == "requested"
    answered = answers(town, way, vehicle, present=True)
    assert waiting.result(S_MAX).body == {"response": {"result": True, "reason": ""}}
    (command, _) = town.ask("GET", f"/{vehicle['vin']}/commands").body["response"]
    assert command["id"] == answered
    states = [step["state"] for step in command["timeline"]]
    assert states == ["requested", "handed_over", "executed"]


# --- operators -----------------------------------------------------------------------------------


def test_operators_hear_by_wildcards_all_but_what_is_denied(town: Town) -> None:
    vehicle, other = town.vehicle(), town.vehicle()
    prefix = vehicle["mqtt"]["publish_topic_prefix"]
    denied = ("v/+/diagnostics/#", "secret/+", "v/+/connectivity")  # the last: our own notices
    account = town.operator("listener", *denied)
    way = Way("5", "tls")

    async def hear(topic_filter: str, count: int, ready: asyncio.Event) -> list[tuple[str, bytes]]:
        heard = []
        async with aiomqtt_client(town, way, account, vehicle) as people:
            await people.subscribe(topic_filter, qos=1)
            ready.set()
            async with asyncio.timeout(S_MAX):
                async for message in people.messages:
                    heard.append((str(message.topic), bytes(message.payload)))
                    if len(heard) == count:
                        return heard
        raise AssertionError

    async def talk() -> list[list[tuple[str, bytes]]]:
        filters = [("#", 4), (f"{prefix}/+", 2), ("v/+/energy", 2), ("town/+/news", 1)]
        ready = [asyncio.Event() for _ in filters]
        hearing = [
            asyncio.create_task(hear(*each, event))
            for each, event in zip(filters, ready, strict=True)
        ]
        for event in ready:
            await asyncio.wait_for(event.wait(), S_MAX)
        async with aiomqtt_client(town, way, vehicle["mqtt"], vehicle) as car:
            await car.publish(f"{prefix}/telemetry", b"1", qos=1)
            await car.publish(f"{prefix}/diagnostics", b"hidden", qos=1)
            await car.publish(f"{prefix}/energy", b"2", qos=1)
        async with aiomqtt_client(town, way, other["mqtt"], vehicle) as car:
            await car.publish(f"{other['mqtt']['publish_topic_prefix']}/energy", b"3", qos=1)
        async with aiomqtt_client(town, Way("311", "tcp"), account, vehicle) as people:
            await people.publish("secret/plan", b"hidden", qos=1)
            await people.publish("town/square/news", b"4", qos=1)
        return list(await asyncio.gather(*hearing))

    first, second = (f"{prefix}/telemetry", b"1"), (f"{prefix}/energy", b"2")
    third = (f"{other['mqtt']['publish_topic_prefix']}/energy", b"3")
    news = ("town/square/news", b"4")
    assert asyncio.run(talk()) == [
        [first, second, third, news],
        [first, second],
        [second, third],
        [news],
    ]


@BOTH
def test_an_operator_reaches_a_vehicle_and_not_what_is_denied(town: Town, way: Way) -> None:
    vehicle = town.vehicle()
    account = town.operator(f"writer-{way.version}", "v/+/commands")
    topic = f"{vehicle['mqtt']['publish_topic_prefix']}/notes"
    with (
        Paho(town, way, vehicle["mqtt"]) as car,
        Paho(town, way, account | {"client_id": "any"}) as people,
        Paho(town, way, account | {"client_id": "another"}) as more,
    ):
        assert not car.subscribe(topic)[0].is_failure
        assert not people.publish(topic, b"hello").is_failure
        assert not more.publish(topic, b"again").is_failure
        car.wait(lambda: len(car.messages) == 2)
        assert [m.payload for m in car.messages] == [b"hello", b"again"]
        (refused,) = people.subscribe(vehicle["mqtt"]["command_topic"])
        assert refused.value == (NOT_AUTHORIZED if way.v5 else REFUSED_311)
        assert not people.subscribe("v/#")[0].is_failure


# --- what is refused -----------------------------------------------------------------------------


@BOTH
def test_a_vehicle_stays_inside_its_own_topics(town: Town, way: Way) -> None:
    vehicle, other = town.vehicle(), town.vehicle()
    prefix = vehicle["mqtt"]["publish_topic_prefix"]
    foreign = other["mqtt"]["publish_topic_prefix"]
    with Paho(town, way, vehicle["mqtt"]) as car:
        for topic_filter in ("#", "v/#", "v/+/commands", f"{foreign}/#", "town/news"):
            (refused,) = car.subscribe(topic_filter)
            assert refused.value == (NOT_AUTHORIZED if way.v5 else REFUSED_311), topic_filter
        assert not car.subscribe(f"{prefix}/#")[0].is_failure
    for topic in (
        f"{foreign}/telemetry",
        f"{prefix}/commands",
        f"{prefix}/mqtt",
        f"{prefix}/connectivity",
        f"{prefix}/nonsense",
        "town/news",
    ):
        with Paho(town, way, vehicle["mqtt"]) as car:
            reason = car.publish(topic, b"forbidden")
            if way.v5:
                assert reason.value == NOT_AUTHORIZED, topic
                assert not car.lost
            else:  # 3.1.1 has no code for it: the connection is closed [MQTT-3.3.5-2]
                assert reason is None, topic
    assert town.stored(other, 0) == []


@BOTH
def test_strangers_are_refused(town: Town, way: Way) -> None:
    vehicle, other = town.vehicle(), town.vehicle()
    mine, theirs = vehicle["mqtt"], other["mqtt"]
    for account, reason in (
        (mine | {"password": theirs["password"]}, BAD_PASSWORD),
        (mine | {"username": "nobody"}, BAD_PASSWORD),
        (mine | {"client_id": theirs["client_id"]}, BAD_CLIENT_ID),
    ):
        with Paho(town, way, account) as client:
            assert client.connack.is_failure
            if not way.v5 and reason == BAD_PASSWORD:  # as Mosquitto's 5: 4 is for garbled ones
                reason = NOT_AUTHORIZED
            assert client.connack.value == reason, account


def test_a_certificate_is_good_for_its_own_vehicle_alone(town: Town) -> None:
    vehicle, other = town.vehicle(), town.vehicle()
    way = Way("5", "certificate")
    with Paho(town, way, other["mqtt"], vehicle=vehicle) as thief:
        assert thief.connack.value == BAD_CLIENT_ID
    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(_connect_without_anything(town, vehicle))


async def _connect_without_anything(town: Town, vehicle: Vehicle) -> None:
    host, port = town.address("mqtts")
    async with aiomqtt.Client(
        host, port, tls_params=aiomqtt.TLSParameters(vehicle["ca_file"]), timeout=S_MAX
    ):
        pass
