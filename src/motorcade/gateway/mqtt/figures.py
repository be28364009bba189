"""`$SYS`: figures of the broker for operators, by the names that tools expect of a broker.

They are not messages of anyone: not logged, not retained, at QoS 0, to who subscribes by a filter
that begins with `$SYS/`; a wildcard at the first level never sees them [MQTT-4.7.2-1]. Vehicles may
not subscribe to them, an operator may be denied them like any other topic.
"""

from typing import Final

from motorcade import __version__
from motorcade.clock import Clock
from motorcade.gateway.mqtt.counts import MqttCounts
from motorcade.gateway.mqtt.message import NOTHING, Message, deliver
from motorcade.gateway.mqtt.retained import RetainedMessages
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.sessions import Sessions
from motorcade.wire.mqtt.topics import matches

SYS: Final = "$SYS/"


class Figures:
    """Call `sweep` about once a second."""

    def __init__(
        self,
        sessions: Sessions,
        retained: RetainedMessages,
        counts: MqttCounts,
        clock: Clock,
        *,
        interval_s: float,
    ) -> None:
        self._sessions = sessions
        self._retained = retained
        self._counts = counts
        self._clock = clock
        self._interval_s = interval_s
        self._started_s = self._told_s = clock.monotonic_s()
        self._most_connected = 0
        self._told: dict[Session, frozenset[str]] = {}  # by which filters they were told so far

    def sweep(self) -> None:
        """Tell those who asked since the last sweep, and everybody when it is time."""
        now_s = self._clock.monotonic_s()
        self._most_connected = max(self._most_connected, self._sessions.quotas.connected)
        is_due = now_s - self._told_s >= self._interval_s
        if is_due:
            self._told_s = now_s
        told, self._told = self._told, {}
        figures: dict[str, str] = {}
        for session in self._sessions:
            wanted = frozenset(each for each in session.subscriptions if each.startswith(SYS))
            if not wanted or session.connection is None:
                continue
            self._told[session] = wanted
            if is_due or not wanted <= told.get(session, frozenset()):
                figures = figures or self.values(now_s)
                _tell(session, figures)

    def values(self, now_s: float) -> dict[str, str]:
        """Every figure by its topic."""
        sessions, counts = self._sessions, self._counts
        connected = sessions.quotas.connected
        figures = {
            "version": f"motorcade version {__version__}",
            "uptime": f"{int(now_s - self._started_s)} seconds",
            "clients/connected": connected,
            "clients/disconnected": len(sessions) - connected,
            "clients/total": len(sessions),
            "clients/maximum": self._most_connected,
            "subscriptions/count": sessions.subscription_count,
            "retained messages/count": len(self._retained),
            "publish/messages/received": counts.records,
            "publish/messages/sent": counts.sent,
            "messages/received": counts.records,
            "messages/sent": counts.sent,
            "bytes/received": counts.received_bytes,
        }
        return {f"{SYS}broker/{name}": str(value) for name, value in figures.items()}


def _tell(session: Session, figures: dict[str, str]) -> None:
    subscriptions = [s for s in session.subscriptions.values() if s.topic_filter.startswith(SYS)]
    for topic, value in figures.items():
        wanted = NOTHING
        for each in subscriptions:
            if matches(each.topic_filter, topic):
                wanted = wanted.joined(each)
        if wanted is not NOTHING:
            message = Message(topic, value.encode(), b"", 0, retain=True, publisher="")
            deliver(session, wanted, message, None)
