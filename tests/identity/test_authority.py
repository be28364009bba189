"""The certificate authority: its chain, its files, what is made anew and what is kept."""

from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from motorcade.clock import SimulatedClock
from motorcade.identity.authority import Authority, open_authority, server_names
from motorcade.identity.certificates import Certified, alternative_names
from motorcade.identity.errors import SecretsError
from motorcade.identity.region import TESLA_HOSTS

VIN = "5YJ3E1EA7KF000001"
START_US = 1_750_000_000_000_000
DAY_S = 86_400


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_US)


@pytest.fixture
def authority(tmp_path: Path, clock: SimulatedClock) -> Authority:
    return open_authority(tmp_path / "data", "127.0.0.1", clock=clock)


def names(certificate: x509.Certificate) -> tuple[str, str]:
    return certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()


def server_certificate(authority: Authority) -> x509.Certificate:
    return Certified.from_pem(authority.server_file.read_bytes()).certificate


def test_the_chains_are_root_issuing_leaf(authority: Authority) -> None:
    vehicle = x509.load_pem_x509_certificates(authority.issue_vehicle(VIN).certificate_pem)
    server = x509.load_pem_x509_certificates(authority.server_file.read_bytes())
    (root,) = x509.load_pem_x509_certificates(authority.ca_file.read_bytes())
    assert [names(certificate) for certificate in vehicle] == [
        (f"CN={VIN}", "CN=Motorcade Vehicle CA"),
        ("CN=Motorcade Vehicle CA", "CN=Motorcade Root CA"),
    ]
    assert [names(certificate) for certificate in server] == [
        ("CN=localhost", "CN=Motorcade Server CA"),
        ("CN=Motorcade Server CA", "CN=Motorcade Root CA"),
    ]
    for leaf, issuing in (vehicle, server):
        leaf.verify_directly_issued_by(issuing)
        issuing.verify_directly_issued_by(root)


def test_a_vehicle_certificate_is_for_clients_only(authority: Authority) -> None:
    issued = authority.issue_vehicle(VIN)
    leaf = x509.load_pem_x509_certificates(issued.certificate_pem)[0]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert int(issued.serial, 16) == leaf.serial_number
    assert leaf.not_valid_after_utc.timestamp() * 1e6 == issued.expires_time_us
    assert leaf.not_valid_before_utc.timestamp() * 1e6 < START_US


def test_no_two_certificates_share_serial_or_key(authority: Authority) -> None:
    first, second = authority.issue_vehicle(VIN), authority.issue_vehicle(VIN)
    assert first.serial != second.serial
    assert first.key_pem != second.key_pem


def test_files_are_private_but_the_root(authority: Authority) -> None:
    data = authority.ca_file.parent
    secrets = {path.name: path.stat().st_mode & 0o777 for path in (data / "secrets").iterdir()}
    assert set(secrets.values()) == {0o600}
    assert data.stat().st_mode & 0o777 == 0o700
    assert b"PRIVATE" not in authority.ca_file.read_bytes()


def test_opening_again_keeps_every_key(authority: Authority, clock: SimulatedClock) -> None:
    data = authority.ca_file.parent
    before = {path.name: path.read_bytes() for path in (data / "secrets").iterdir()}
    account_key = authority.account_key
    again = open_authority(data, "127.0.0.1", clock=clock)
    for name, content in before.items():
        assert (data / "secrets" / name).read_bytes() == content
    assert again.account_key == account_key
    assert len(account_key) == 32


def test_the_root_is_restored_beside_the_secrets(authority: Authority) -> None:
    content = authority.ca_file.read_bytes()
    authority.ca_file.unlink()
    assert open_authority(authority.ca_file.parent).ca_file.read_bytes() == content


def test_the_server_certificate_names_loopback_and_the_listen_address(
    authority: Authority, clock: SimulatedClock
) -> None:
    names = alternative_names(server_certificate(authority))
    assert names == {"localhost", "127.0.0.1", "::1", *TESLA_HOSTS}
    open_authority(authority.ca_file.parent, "192.0.2.7", clock=clock)
    assert "192.0.2.7" in alternative_names(server_certificate(authority))


def test_a_wildcard_answers_to_the_hosts_name() -> None:
    for wildcard in ("0.0.0.0", "::"):
        assert len(server_names(wildcard)) >= 3
        assert wildcard not in server_names(wildcard)
    assert server_names("cars.example", "a.example, 192.0.2.1 ,")[3:] == [
        "cars.example",
        "a.example",
        "192.0.2.1",
    ]


def test_the_server_certificate_is_renewed_before_it_ends(
    authority: Authority, clock: SimulatedClock
) -> None:
    data = authority.ca_file.parent
    first = server_certificate(authority)
    clock.advance((397 - 61) * DAY_S)
    open_authority(data, "127.0.0.1", clock=clock)
    assert server_certificate(authority) == first
    clock.advance(2 * DAY_S)
    open_authority(data, "127.0.0.1", clock=clock)
    renewed = server_certificate(authority)
    assert renewed.not_valid_after_utc > first.not_valid_after_utc


def test_without_a_listen_address_the_servers_certificate_is_left_alone(
    authority: Authority, clock: SimulatedClock
) -> None:
    before = authority.server_file.read_bytes()
    clock.advance(390 * DAY_S)
    open_authority(authority.ca_file.parent, clock=clock)
    assert authority.server_file.read_bytes() == before


@pytest.mark.parametrize("name", ["root_ca.pem", "vehicle_ca.pem"])
def test_a_damaged_ca_is_named_not_replaced(authority: Authority, name: str) -> None:
    path = authority.secrets.path(name)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SecretsError, match=f"{name}.*damaged"):
        open_authority(authority.ca_file.parent)


def test_processes_that_start_together_share_one_authority(tmp_path: Path) -> None:
    context = get_context("spawn")
    with context.Pool(3) as processes:
        found = processes.map(_open, [str(tmp_path / "data")] * 6, 1)
    assert len(set(found)) == 1


def _open(data: str) -> tuple[bytes, bytes, bytes, bytes]:
    authority = open_authority(Path(data), "127.0.0.1")
    return (
        authority.ca_file.read_bytes(),
        authority.vehicle_ca_pem,
        authority.server_file.read_bytes(),
        authority.account_key,
    )
