"""Wills (§3.1.2.5): kept with the session from CONNECT on, so a crash of ours does not lose one.

A will leaves when its connection ends without goodbye: at once, after its delay, or when the
session ends, whichever is first. A client that comes back before takes it away [MQTT-3.1.3-9].
"""

from typing import TYPE_CHECKING

import msgspec

from motorcade.events import Record, VehicleToken, partition_of
from motorcade.gateway.mqtt.records import Owner, operator_record, vehicle_record
from motorcade.gateway.mqtt.store import StoredWill
from motorcade.registry.port import Principal
from motorcade.wire.mqtt.connect import Will
from motorcade.wire.mqtt.properties import Place, encode_bare
from motorcade.wire.mqtt.publish import Publish

if TYPE_CHECKING:
    from motorcade.gateway.mqtt.session import Session


def stored_will(will: Will, principal: Principal) -> StoredWill:
    """A CONNECT's will."""
    kept = msgspec.structs.replace(will.properties, will_delay_s=None)
    return StoredWill(
        will.topic,
        will.payload,
        will.qos,
        will.retain,
        encode_bare(kept, Place.PUBLISH),
        will.properties.will_delay_s or 0,
        principal.token,
        principal.key_id,
    )


def restored_will(will: StoredWill | None, expiry_s: int, now_us: int) -> StoredWill | None:
    """A will from the store: whose client was connected when the process died, has lost it now."""
    if will is None or will.due_us:
        return will
    delay_us = min(will.delay_s, expiry_s) * 1_000_000
    return msgspec.structs.replace(will, due_us=now_us + delay_us)


def will_lost(session: "Session", now_us: int) -> StoredWill | None:
    """The connection is gone: the will to publish now; `None` if there is none, or it waits."""
    will = session.will
    if will is None:
        return None
    delay_s = min(will.delay_s, session.expiry_s)
    if not delay_s:
        session.will = None
        return will
    session.will = msgspec.structs.replace(will, due_us=now_us + delay_s * 1_000_000)
    return None


def will_record(
    will: StoredWill, key: str, now_us: int, *, partitions: int, epoch: int, future_us_max: int
) -> Record | None:
    """The record of a will of the session `key`. Raises as `records.vehicle_record` does."""
    publish = Publish(will.topic, will.payload, will.qos, None, will.retain, False, will.properties)
    if not will.token:
        return operator_record(publish, key.encode(), now_us)
    token = VehicleToken(will.token)
    owner = Owner(token, will.key_id, partition_of(token, partitions), epoch)
    return vehicle_record(publish, owner, now_us, future_us_max)
