"""Tesla's identity rules, row by row, on certificates made for the purpose."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from motorcade.gateway.telemetry.identity import (
    ISSUERS,
    UNIT_CLIENT_TYPES,
    Rule,
    client_type_of,
    identify,
)
from tests.gateway.telemetry.harness import VIN, Issuer, name_of

ENG, PROD = "1.3.6.1.4.1.49279.2.4.", "1.3.6.1.4.1.49279.2.5."


def identified(issuer: str, *usages: str, common_name: str = VIN, unit: str = "") -> str | None:
    """The sender id of a certificate of this issuer."""
    pem = Issuer(issuer).issue(name_of(common_name, unit), *usages)
    der = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :]).public_bytes(
        Encoding.DER
    )
    decoded = {
        "subject": ((("commonName", common_name),), (("organizationalUnitName", unit),)),
        "issuer": ((("commonName", issuer),),),
        "serialNumber": "0A",
    }
    identity = identify(decoded, der)
    return identity and identity.sender_id


@pytest.mark.parametrize("issuer", [name for name, rule in ISSUERS.items() if rule is Rule.VEHICLE])
def test_issuers_of_vehicles_alone(issuer: str) -> None:
    assert identified(issuer) == f"vehicle_device.{VIN}"


@pytest.mark.parametrize(
    ("unit", "client_type"),
    [("", "vehicle_device"), ("Tesla Motors SN", "vehicle_board_device")],
)
def test_products_ca_tells_a_board_by_its_unit(unit: str, client_type: str) -> None:
    assert identified("Tesla Motors Products CA", unit=unit) == f"{client_type}.{VIN}"


@pytest.mark.parametrize(
    "issuer", [name for name, rule in ISSUERS.items() if rule is Rule.BY_KEY_USAGE]
)
def test_product_issuers_need_teslas_key_usage(issuer: str) -> None:
    assert identified(issuer) is None
    assert identified(issuer, PROD + "1") == f"vehicle_device.{VIN}"


@pytest.mark.parametrize(
    ("usages", "client_type"),
    [
        ([PROD + "11"], "vehicle_board_device"),
        ([ENG + "2"], "energy_device"),
        ([ENG + "12"], "das_device"),
        ([PROD + "14"], "vehicle_service"),
        ([PROD + "15"], "das_service"),
        ([PROD + "16"], "energy_service"),
        ([PROD + "28"], "robotics_device"),
        (["1.3.6.1.5.5.7.3.2", PROD + "1"], "vehicle_device"),
        ([PROD + "3"], None),
        (["1.3.6.1.4.1.49279.2.6.1"], None),
        ([PROD + "1.1"], None),
        ([PROD + "1", PROD + "1.1"], None),
        ([], None),
    ],
)
def test_key_usages_name_the_client_type(usages: list[str], client_type: str | None) -> None:
    assert client_type_of(usages) == client_type


@pytest.mark.parametrize(("unit", "client_type"), UNIT_CLIENT_TYPES.items())
def test_units_of_the_house_say_more_than_the_usage(unit: str, client_type: str) -> None:
    sender_id = identified("Tesla Energy Product Issuing CA", PROD + "2", unit=unit)
    assert sender_id == f"{client_type}.{VIN}"


def test_dots_in_a_name_become_dashes_and_the_vin_stays_as_it_is() -> None:
    assert identified("TeslaMotors", common_name="a.b.c") == "vehicle_device.a-b-c"


@pytest.mark.parametrize(
    "certificate",
    [
        {},
        {"subject": ((("commonName", VIN),),), "issuer": ((("commonName", "My Fleet CA"),),)},
        {"subject": (), "issuer": ((("commonName", "TeslaMotors"),),)},
    ],
)
def test_what_no_row_fits_has_no_identity(certificate: dict[str, Any]) -> None:
    assert identify(certificate, b"no certificate") is None


def test_only_our_own_certificates_are_asked_for_by_serial() -> None:
    subject = ((("commonName", VIN),),)
    for issuer, serial in (("Motorcade Vehicle CA", "0A"), ("TeslaMotors", "")):
        issued_by = ((("commonName", issuer),),)
        identity = identify({"subject": subject, "issuer": issued_by, "serialNumber": "0A"}, b"")
        assert identity is not None
        assert identity.serial == serial
