"""Who may publish and subscribe to what. Pure functions over a `Principal`; no IO."""

from typing import Final

from motorcade.config import MqttConfig
from motorcade.registry.port import Principal, PrincipalKind
from motorcade.wire.mqtt.errors import TopicFilterError
from motorcade.wire.mqtt.reasons import Reason
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.topics import SHARE_PREFIX, matches, split_shared

GUEST: Final = Principal(PrincipalKind.OPERATOR, "")
"""Whoever comes without a valid account to an open broker. Every operator has a name, so nobody
shares its sessions."""


SHARED_QOS_MAX: Final = 1
"""A message that may change hands cannot be exactly once (§4.8.2 lets a server grant less)."""


def is_vehicle(principal: Principal) -> bool:
    return principal.kind is PrincipalKind.VEHICLE


def is_ours(topic: str) -> bool:
    """Whether only the broker itself publishes under this topic."""
    return topic.startswith("$SYS/")


def judge_subscription(
    principal: Principal, subscription: Subscription, config: MqttConfig
) -> Reason:
    """What to answer: the granted QoS, or why not.

    A vehicle reads only inside `v/{token}/`. An operator reads everything but what is denied: a
    filter that lies wholly inside a denied one is refused, one that only overlaps is granted, and
    `hidden` keeps the denied messages back.
    """
    topic_filter, qos = subscription.topic_filter, subscription.qos
    if topic_filter.startswith(SHARE_PREFIX):
        try:
            shared = split_shared(topic_filter)
        except TopicFilterError:  # 3.1.1: the codec gives `$share` a meaning for 5.0 only
            return Reason.TOPIC_FILTER_INVALID
        assert shared is not None
        topic_filter, qos = shared.topic_filter, min(qos, SHARED_QOS_MAX)
    if too_large(topic_filter, config):
        return Reason.TOPIC_FILTER_INVALID
    if is_vehicle(principal):
        if not topic_filter.startswith(f"v/{principal.token}/"):
            return Reason.NOT_AUTHORIZED
    elif any(covers(denied, topic_filter) for denied in principal.deny_subscribe):
        return Reason.NOT_AUTHORIZED
    return Reason(qos)


def hidden(principal: Principal, topic: str) -> bool:
    """Whether a message must not reach this principal, although a filter of it matches."""
    return any(matches(denied, topic) for denied in principal.deny_subscribe)


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic that the filter `narrow` matches is matched by the filter `wide`."""
    wanted, levels = wide.split("/"), narrow.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or levels[index] == "#":
            return False
        if level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def too_large(topic: str, config: MqttConfig) -> bool:
    """Whether a topic or filter is over our limits."""
    return (
        len(topic.encode(errors="replace")) > config.topic_bytes_max
        or topic.count("/") >= config.topic_levels_max
    )
