"""Topic aliases (§3.3.2.3.4): numbers instead of topics, each direction's own, for a connection."""

from dataclasses import replace
from typing import Final

from motorcade.wire.mqtt.errors import MqttError, ProtocolError
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.reasons import Reason

ALIAS: Final = 0x23  # the property's identifier, §3.3.2.3.4


class AliasError(MqttError):
    """An alias beyond what the receiver allows."""

    reason = Reason.TOPIC_ALIAS_INVALID


class Incoming:
    """What the client has named."""

    __slots__ = ("_limit", "_topics")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._topics: dict[int, str] = {}

    def resolve(self, publish: Publish, alias: int | None) -> Publish:
        """The message with its topic. Raises `AliasError`, or `ProtocolError` for one not set."""
        if alias is None:
            return publish
        if alias > self._limit:
            raise AliasError(f"topic alias {alias}, the maximum is {self._limit} [MQTT-3.3.2-9]")
        if publish.topic:
            self._topics[alias] = publish.topic
            return publish
        topic = self._topics.get(alias)
        if topic is None:
            raise ProtocolError(f"topic alias {alias} was not set on this connection, §3.3.2.3.4")
        return replace(publish, topic=topic)


class Outgoing:
    """What we have named: the first topics, as many as the client allows [MQTT-3.3.2-11]."""

    __slots__ = ("_aliases", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._aliases: dict[str, int] = {}

    def shorten(self, publish: Publish) -> Publish:
        """The message as it may be sent; call `sent` once it was."""
        alias = self._aliases.get(publish.topic)
        if alias is not None:
            return replace(publish, topic="", properties=_property(alias) + publish.properties)
        if len(self._aliases) >= self._limit:
            return publish
        new = len(self._aliases) + 1
        return replace(publish, properties=_property(new) + publish.properties)

    def sent(self, topic: str) -> None:
        """The client has the topic, and its alias if there was room for one."""
        if topic not in self._aliases and len(self._aliases) < self._limit:
            self._aliases[topic] = len(self._aliases) + 1


def _property(alias: int) -> bytes:
    return bytes((ALIAS,)) + alias.to_bytes(2, "big")
