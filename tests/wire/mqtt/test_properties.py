"""Properties: what is stripped before forwarding, and what our own side may not write."""

import pytest
from hypothesis import given

from motorcade.wire.mqtt.errors import UnencodableError
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    PROPERTIES,
    Place,
    Properties,
    decode_properties,
    encode_bare,
    encode_properties,
    forwardable,
)
from tests.wire.mqtt.packets import V3, V5, properties_of


def test_the_table_has_a_row_for_each_field() -> None:
    assert len(PROPERTIES) == 27
    assert {row.name for row in PROPERTIES} == set(Properties.__struct_fields__)


@given(properties_of(Place.PUBLISH, V5))
def test_forwarding_drops_what_belongs_to_one_connection(properties: Properties) -> None:
    encoded = encode_bare(properties, Place.PUBLISH)
    alias, identifier = b"\x23\x00\x07", b"\x0b\x05"
    if properties.topic_alias is None:
        assert forwardable(alias + encoded + identifier) == encoded
    assert decode_properties(forwardable(encoded), Place.PUBLISH).topic_alias is None


def test_a_publish_to_a_client_may_name_several_subscriptions() -> None:
    encoded = b"\x0b\x01\x0b\x02"
    assert decode_properties(encoded, Place.PUBLISH).subscription_ids == (1, 2)


def test_a_property_is_not_written_where_it_may_not_stand() -> None:
    with pytest.raises(UnencodableError, match="topic_alias may not stand in CONNECT"):
        encode_bare(Properties(topic_alias=1), Place.CONNECT)


def test_no_properties_are_one_byte_in_5_and_none_in_3_1_1() -> None:
    assert encode_properties(NO_PROPERTIES, Place.CONNECT, V5) == b"\0"
    assert encode_properties(Properties(receive_max=5), Place.CONNECT, V3) == b""


def test_zero_is_written_and_not_taken_for_absent() -> None:
    properties = Properties(session_expiry_s=0)
    encoded = encode_bare(properties, Place.CONNECT)
    assert encoded.hex() == "1100000000"
    assert decode_properties(encoded, Place.CONNECT) == properties
