"""The sieve lets through whatever a filter matches; permissions cover what they say."""

from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.config import MqttConfig
from motorcade.events import NO_VEHICLE, Flags, Record, RecordBatch, Topic
from motorcade.gateway.mqtt.interest import Interest
from motorcade.gateway.mqtt.permissions import covers, hidden, judge_subscription
from motorcade.gateway.mqtt.records import topic_name
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.mqtt.reasons import Reason
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.topics import matches
from tests.gateway.mqtt.harness import OTHER, TOKEN

levels = st.sampled_from(["v", TOKEN, OTHER, "telemetry", "media", "s", "7", "+", "x", ""])
filters = st.builds(
    lambda parts, deep: "/".join([*parts, "#"] if deep or not parts else parts),
    st.lists(levels, max_size=5),
    st.booleans(),
)
names = st.lists(levels.filter(lambda level: level != "+"), min_size=1, max_size=5).map("/".join)


def record(token: str, topic: Topic, in_topic: bool) -> Record:
    flags = Flags.IDENTITY_SEQUENCE | Flags.IDENTITY_IN_TOPIC if in_topic else Flags(0)
    stream, sequence = (b"s", 7) if in_topic else (b"", None)
    name = b"a/b" if topic is Topic.MQTT else b""
    vehicle = NO_VEHICLE if topic is Topic.MQTT else token
    return Record(
        vehicle=vehicle,  # type: ignore[arg-type]
        topic=topic,
        payload=b"",
        received_time_us=1,
        event_time_us=1,
        name=name,
        stream=stream,
        sequence=sequence,
        flags=flags,
    )


RECORDS = [
    record(token, topic, in_topic)
    for token in (TOKEN, OTHER)
    for topic in (Topic.TELEMETRY, Topic.MEDIA, Topic.MQTT)
    for in_topic in (False, True)
]


@settings(deadline=None, max_examples=300)
@given(st.lists(filters, max_size=3))
def test_nothing_that_matches_is_left_out(wanted: list[str]) -> None:
    batch = RecordBatch.of(RECORDS)
    kept = set(Interest(wanted).wanted(batch).tolist())
    for index in range(len(batch)):
        topic = topic_name(batch.record(index))
        if any(matches(each, topic) for each in wanted):
            assert index in kept


def test_most_rows_cost_nothing() -> None:
    batch = RecordBatch.of(RECORDS)
    kept = Interest([f"v/{TOKEN}/media", f"v/{TOKEN}/commands"]).wanted(batch).tolist()
    found = [batch.record(index) for index in kept]
    assert {each.topic for each in found} == {Topic.MEDIA, Topic.MQTT}
    assert {each.vehicle for each in found} == {TOKEN, NO_VEHICLE}


@given(filters, filters, st.lists(names, max_size=20))
def test_a_covering_filter_matches_everything_the_other_does(
    wide: str, narrow: str, topics: list[str]
) -> None:
    if covers(wide, narrow):
        assert all(matches(wide, topic) for topic in topics if matches(narrow, topic))


def test_what_is_denied_is_refused_or_hidden() -> None:
    people = Principal(PrincipalKind.OPERATOR, "o", deny_subscribe=("v/+/media", "secret/#"))

    def answer(topic_filter: str) -> Reason:
        return judge_subscription(people, Subscription(topic_filter, 1), MqttConfig())

    for denied in ("v/+/media", f"v/{TOKEN}/media", "secret", "secret/a/b", "secret/#"):
        assert answer(denied) is Reason.NOT_AUTHORIZED
    for allowed in ("#", "v/#", "v/+/telemetry", "v/+/+"):
        assert answer(allowed) is Reason.GRANTED_QOS_1
    assert hidden(people, f"v/{TOKEN}/media")
    assert hidden(people, "secret/x")
    assert not hidden(people, f"v/{TOKEN}/telemetry")
    assert answer("a/" * 16 + "b") is Reason.TOPIC_FILTER_INVALID
    assert answer("a" * 1_025) is Reason.TOPIC_FILTER_INVALID
