"""MQTT topic names and filters (5.0 §4.7, §4.8): what is valid, what matches what.

Texts reach this module already checked as UTF-8 without U+0000 (`primitives.decode_text`).
"""

from typing import Final, NamedTuple

from motorcade.wire.mqtt.errors import TopicFilterError, TopicNameError
from motorcade.wire.mqtt.reasons import ProtocolLevel

TOPIC_BYTES_MAX: Final = 65_535  # [MQTT-4.7.3-3]
SHARE_PREFIX: Final = "$share/"


class SharedFilter(NamedTuple):
    """`$share/{share_name}/{topic_filter}` in its parts (§4.8.2)."""

    share_name: str
    topic_filter: str


def check_topic_name(topic: str) -> None:
    """Raise `TopicNameError` unless `topic` may be published to."""
    if not topic:
        raise TopicNameError("topic name is empty [MQTT-4.7.3-1]")
    if "+" in topic or "#" in topic:
        raise TopicNameError("topic name holds a wildcard [MQTT-3.3.2-2]")
    if "\0" in topic:
        raise TopicNameError("topic name holds U+0000 [MQTT-4.7.3-2]")
    if _too_long(topic):
        raise TopicNameError("topic name is over 65,535 bytes [MQTT-4.7.3-3]")


def check_topic_filter(topic_filter: str, level: ProtocolLevel) -> None:
    """Raise `TopicFilterError` unless one may subscribe to `topic_filter`, shared or not."""
    shared = split_shared(topic_filter) if level is ProtocolLevel.V5 else None
    _check_plain_filter(shared.topic_filter if shared else topic_filter)
    if _too_long(topic_filter):
        raise TopicFilterError("topic filter is over 65,535 bytes [MQTT-4.7.3-3]")


def split_shared(topic_filter: str) -> SharedFilter | None:
    """The parts of a shared subscription, `None` for an ordinary filter.

    Only MQTT 5.0 gives `$share` this meaning; for 3.1.1 it is a level like any other, so do not
    ask there.

    Raises:
        TopicFilterError: it starts like one but has no share name, or no filter behind it.
    """
    if not topic_filter.startswith(SHARE_PREFIX):
        return None
    share_name, slash, inner = topic_filter[len(SHARE_PREFIX) :].partition("/")
    if not share_name or "+" in share_name or "#" in share_name:
        raise TopicFilterError("share name is empty or holds a wildcard [MQTT-4.8.2-1]")
    if not slash or not inner:
        raise TopicFilterError("no topic filter behind the share name [MQTT-4.8.2-2]")
    return SharedFilter(share_name, inner)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether `topic` is one that the (valid, not shared) filter asks for.

    A filter that starts with a wildcard does not match topics that start with `$`
    [MQTT-4.7.2-1]. `#` also matches the level above it: `a/#` matches `a` (§4.7.1.2).
    """
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def _check_plain_filter(topic_filter: str) -> None:
    if not topic_filter:
        raise TopicFilterError("topic filter is empty [MQTT-4.7.3-1]")
    if "\0" in topic_filter:
        raise TopicFilterError("topic filter holds U+0000 [MQTT-4.7.3-2]")
    levels = topic_filter.split("/")
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        raise TopicFilterError("'#' must be the whole last level of a filter [MQTT-4.7.1-1]")
    if any("+" in level and level != "+" for level in levels):
        raise TopicFilterError("'+' must be a whole level of a filter [MQTT-4.7.1-2]")


def _too_long(text: str) -> bool:
    return len(text) > TOPIC_BYTES_MAX or len(text.encode(errors="replace")) > TOPIC_BYTES_MAX
