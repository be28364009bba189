"""Who a client certificate says it is: Tesla's rules as a table, and our own vehicle CA's.

Source: the protocol page §1.2. The chain was TLS's to verify; here the issuer's name decides what
kind of device its holder is. A certificate that no row fits has no identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from cryptography import x509

from motorcade.identity.port import VEHICLE_CA_NAME, peer_of


class Rule(Enum):
    """How an issuer's certificates are read."""

    VEHICLE = "always a vehicle"
    BOARD_BY_UNIT = "a vehicle, or its board if the first unit says so"
    BY_KEY_USAGE = "an extended key usage of Tesla's names the client type"


ISSUERS: Final[dict[str, Rule]] = {
    VEHICLE_CA_NAME: Rule.VEHICLE,
    "TeslaMotors": Rule.VEHICLE,
    "Tesla Issuing CA": Rule.VEHICLE,
    "Tesla Motors Products CA": Rule.BOARD_BY_UNIT,
    "Tesla Motors Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors Product RSA Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors GF0 Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors GF3 Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors GF Austin Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors GF Berlin Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Motors GF3 Product RSA Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Energy Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Energy GF0 Product Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla Product Access Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla China Product Access Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla GF0 Product Access Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla GF3 Product Access Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla GF Austin Product Access Issuing CA": Rule.BY_KEY_USAGE,
    "Tesla GF Berlin Product Access Issuing CA": Rule.BY_KEY_USAGE,
}
"""The issuer's common name -> how to go on."""

VEHICLE_DEVICE: Final = "vehicle_device"
VEHICLE_BOARD_UNIT: Final = "Tesla Motors SN"
VEHICLE_BOARD_DEVICE: Final = "vehicle_board_device"

KEY_USAGE_PREFIXES: Final = ("1.3.6.1.4.1.49279.2.4.", "1.3.6.1.4.1.49279.2.5.")  # eng, prod
REFUSED_KEY_USAGE: Final = "1.3.6.1.4.1.49279.2.5.1.1"  # a car's Wi-Fi (EAP) certificate
CLIENT_TYPES: Final = {
    "1": VEHICLE_DEVICE,
    "2": "energy_device",
    "11": VEHICLE_BOARD_DEVICE,
    "12": "das_device",
    "14": "vehicle_service",
    "15": "das_service",
    "16": "energy_service",
    "28": "robotics_device",
}
"""The last number of the key usage -> client type."""
UNIT_CLIENT_TYPES: Final = {
    "Solar Inverter": "solar_inverter_device",
    "Gen3 Wall Connector": "wall_connector_device",
}
"""An organisational unit that says more than the key usage."""


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """A device as its certificate names it. Holds a VIN: it stays at the door (design P8)."""

    client_type: str
    device_id: str  # the common name with every "." replaced by "-"
    vin: str  # the common name as it stands there: what the registry is asked for
    serial: str  # of a certificate of our own CA, else ""

    @property
    def sender_id(self) -> str:
        return f"{self.client_type}.{self.device_id}"


def identify(certificate: Mapping[str, Any], der: bytes) -> DeviceIdentity | None:
    """Read a verified certificate, as `ssl` decodes it and as bytes; `None`: no row fits."""
    peer = peer_of(certificate)
    rule = ISSUERS.get(_first(certificate.get("issuer", ()), "commonName"))
    if peer is None or rule is None:
        return None
    client_type = _client_type(rule, certificate, der)
    if client_type is None:
        return None
    return DeviceIdentity(client_type, peer.vin.replace(".", "-"), peer.vin, peer.serial)


def _client_type(rule: Rule, certificate: Mapping[str, Any], der: bytes) -> str | None:
    unit = _first(certificate.get("subject", ()), "organizationalUnitName")
    match rule:
        case Rule.VEHICLE:
            return VEHICLE_DEVICE
        case Rule.BOARD_BY_UNIT:
            return VEHICLE_BOARD_DEVICE if unit == VEHICLE_BOARD_UNIT else VEHICLE_DEVICE
        case Rule.BY_KEY_USAGE:
            by_usage = client_type_of(_key_usages(der))
            return by_usage and UNIT_CLIENT_TYPES.get(unit, by_usage)


def client_type_of(key_usages: list[str]) -> str | None:
    """The client type that Tesla's own extended key usages name; `None` if none does."""
    if REFUSED_KEY_USAGE in key_usages:
        return None
    for usage in key_usages:
        for prefix in KEY_USAGE_PREFIXES:
            if usage.startswith(prefix) and usage.removeprefix(prefix) in CLIENT_TYPES:
                return CLIENT_TYPES[usage.removeprefix(prefix)]
    return None


def _key_usages(der: bytes) -> list[str]:
    """`ssl` does not decode these; the library that does takes the certificate as bytes."""
    try:
        extensions = x509.load_der_x509_certificate(der).extensions
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return []
    return [identifier.dotted_string for identifier in usage]


def _first(distinguished_name: Any, attribute: str) -> str:
    for relative_name in distinguished_name:
        for name, value in relative_name:
            if name == attribute:
                return str(value)
    return ""
