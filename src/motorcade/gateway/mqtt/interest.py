"""Which rows of a batch could match any of some filters: a sieve, so that most rows cost nothing.

Coarse and never wrong in one direction: a row it leaves out matches no filter. The trie decides
about the rest.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import RecordBatch, Topic, pack_token
from motorcade.gateway.mqtt.records import topic_of_word

TOPICS: Final = max(Topic) + 1
ROUTED: Final = frozenset(Topic) - {Topic.COMMANDS, Topic.MQTT_SESSIONS}
"""What subscribers can see. Commands go their own way (`outbox.py`), in their own order."""

_ANY: Final = ("+", "#")


class Interest:
    """Built from filters; immutable."""

    def __init__(self, filters: Iterable[str]) -> None:
        self._of_all = np.zeros(TOPICS, np.bool_)  # topic wanted of every vehicle
        self._of_some = np.zeros(TOPICS, np.bool_)  # topic wanted of the vehicles below
        self._of_all[Topic.MQTT] = True  # operators publish anywhere, and seldom
        vehicles: set[int] = set()
        for topic_filter in filters:
            self._add(topic_filter.split("/"), vehicles)
        self._vehicles = np.array(sorted(vehicles), np.uint64)
        self._others = self._of_all.copy()
        self._others[Topic.MQTT] = False

    def wanted(self, batch: RecordBatch) -> npt.NDArray[np.intp]:
        """Indices of the rows worth a look, in order."""
        topics = batch.rows["topic"]
        mask = self._of_all[topics]
        if len(self._vehicles):
            some = self._of_some[topics]
            if some.any():
                mask = mask | (some & np.isin(batch.rows["vehicle_lo"], self._vehicles))
        return np.flatnonzero(mask)

    def _add(self, levels: list[str], vehicles: set[int]) -> None:
        if levels[0] not in ("v", *_ANY):
            return
        deep = levels[0] == "#" or (len(levels) > 1 and levels[1] == "#")
        if len(levels) < 3 and not deep:
            return
        vehicle = "+" if deep else levels[1]
        word = "#" if deep else levels[2]
        topic = topic_of_word(word)
        wanted = list(ROUTED) if word in _ANY else [topic] if topic in ROUTED else []
        if vehicle in _ANY:
            self._of_all[wanted] = True
        elif len(vehicle) == 17 and vehicle.isascii() and vehicle.isalnum():
            self._of_some[wanted] = True
            vehicles.add(pack_token(vehicle)[1])
