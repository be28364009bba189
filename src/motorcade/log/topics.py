"""The topics of the log, a table: which lane each one takes and how long it is kept."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from motorcade.events import Topic


class Lane(Enum):
    """Lanes have files, limits and threads of their own, so neither waits for the other (P6)."""

    BULK = "bulk"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class TopicRow:
    lane: Lane
    vehicle_may_publish: bool  # by MQTT, under its own prefix


TOPICS: Final[dict[Topic, TopicRow]] = {
    Topic.TELEMETRY: TopicRow(Lane.BULK, True),
    Topic.DIAGNOSTICS: TopicRow(Lane.BULK, True),
    Topic.CONNECTIVITY: TopicRow(Lane.BULK, False),
    Topic.OTA_FEEDBACK: TopicRow(Lane.BULK, True),
    Topic.ENERGY: TopicRow(Lane.BULK, True),
    Topic.MEDIA: TopicRow(Lane.BULK, True),
    Topic.MQTT: TopicRow(Lane.BULK, False),
    Topic.COMMAND_ANSWERS: TopicRow(Lane.FAST, True),
    Topic.COMMANDS: TopicRow(Lane.FAST, False),
    Topic.MQTT_SESSIONS: TopicRow(Lane.BULK, False),
}
"""Retention is per lane: `log.retention_{bulk,fast}_{age_s,bytes}` in `config.py`."""


def lanes_of(topics: frozenset[Topic]) -> frozenset[Lane]:
    """The lanes that hold `topics`: a reader opens no other files."""
    return frozenset(TOPICS[topic].lane for topic in topics)
