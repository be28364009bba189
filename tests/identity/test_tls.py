"""The doors' TLS: whole handshakes in memory, with the strictest verification clients use."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from motorcade.identity import certificates
from motorcade.identity.authority import Authority, open_authority
from motorcade.identity.certificates import Certified, Validity
from motorcade.identity.errors import SecretsError
from motorcade.identity.port import Peer, peer_of
from motorcade.identity.tls import api_context, mqtts_context, telemetry_context

VIN = "5YJ3E1EA7KF000001"
FOREVER = Validity(0, 1 << 52)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("identity") / "data", "127.0.0.1")


def client_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def with_certificate(
    authority: Authority, directory: Path, chain: bytes, key: bytes
) -> ssl.SSLContext:
    (directory / "client.pem").write_bytes(key + chain)
    context = client_context(authority)
    context.load_cert_chain(directory / "client.pem")
    return context


def vehicle_context(authority: Authority, directory: Path) -> ssl.SSLContext:
    issued = authority.issue_vehicle(VIN)
    return with_certificate(authority, directory, issued.certificate_pem, issued.key_pem)


@dataclass
class Met:
    """Both ends after a handshake, and what the server sent to get there."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    server_sent: bytes


def meet(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> Met:
    """Run a handshake to its end; raises `ssl.SSLError` of the side that refuses."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    sent = b""
    waiting = list(ends)
    for _ in range(8):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                waiting.remove(end)
            if end is ends[1] and to_client.pending:
                flight = to_client.read()
                sent += flight
                to_client.write(flight)
        if not waiting:
            break
    assert not waiting
    return Met(ends[0], ends[1], sent)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize("door", [api_context, mqtts_context])
def test_clients_verify_every_door_by_the_root_alone(
    authority: Authority, door: object, name: str
) -> None:
    assert callable(door)
    meet(door(authority), client_context(authority), name)


def test_a_name_that_is_not_ours_is_refused_by_the_client(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        meet(api_context(authority), client_context(authority), "evil.example")


@pytest.mark.parametrize("door", [mqtts_context, telemetry_context])
def test_a_vehicle_is_known_by_its_certificate(
    authority: Authority, door: object, tmp_path: Path
) -> None:
    assert callable(door)
    issued = authority.issue_vehicle(VIN)
    client = with_certificate(authority, tmp_path, issued.certificate_pem, issued.key_pem)
    met = meet(door(authority), client)
    certificate = met.server.getpeercert()
    assert certificate is not None
    assert peer_of(certificate) == Peer(VIN, issued.serial)
    assert met.client.version() == "TLSv1.3"


def test_a_vehicle_that_sends_its_leaf_alone_is_known_too(
    authority: Authority, tmp_path: Path
) -> None:
    issued = authority.issue_vehicle(VIN)
    leaf = issued.certificate_pem.split(b"-----BEGIN", 2)
    client = with_certificate(authority, tmp_path, b"-----BEGIN" + leaf[1], issued.key_pem)
    assert meet(telemetry_context(authority), client).server.getpeercert()


def test_telemetry_demands_a_certificate_mqtts_does_not(authority: Authority) -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        meet(telemetry_context(authority), client_context(authority))
    met = meet(mqtts_context(authority), client_context(authority))
    assert peer_of(met.server.getpeercert() or {}) is None


def test_tls_12_opens_the_telemetry_door_only(authority: Authority, tmp_path: Path) -> None:
    client = vehicle_context(authority, tmp_path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert meet(telemetry_context(authority), client).client.version() == "TLSv1.2"
    assert meet(api_context(authority), client).client.version() == "TLSv1.2"
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION"):
        meet(mqtts_context(authority), client)


def test_the_certificate_request_lists_no_ca(authority: Authority, tmp_path: Path) -> None:
    client = vehicle_context(authority, tmp_path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2  # where the request crosses in clear
    sent = meet(telemetry_context(authority), client).server_sent
    request = handshake_message(sent, 13)
    types_end = 1 + request[0]
    algorithms_end = types_end + 2 + int.from_bytes(request[types_end : types_end + 2], "big")
    assert request[algorithms_end:] == b"\0\0"  # RFC 5246 §7.4.4: certificate_authorities


def handshake_message(sent: bytes, kind: int) -> bytes:
    """The body of the first handshake message of a type, from a TLS 1.2 stream of records."""
    stream = b""
    while sent and sent[0] == 22:
        end = 5 + int.from_bytes(sent[3:5], "big")
        stream, sent = stream + sent[5:end], sent[end:]
    while stream:
        end = 4 + int.from_bytes(stream[1:4], "big")
        if stream[0] == kind:
            return stream[4:end]
        stream = stream[end:]
    raise AssertionError(f"no handshake message {kind}")


def foreign_vehicle(directory: Path, *, usage: str = "client") -> tuple[Certified, Certified]:
    """A CA that calls itself ours, and a certificate of it."""
    root = certificates.make_root("Motorcade Vehicle CA", 7, FOREVER)
    kind = certificates.CLIENT if usage == "client" else certificates.SERVER
    leaf = certificates.issue(VIN, kind, root, 8, FOREVER)
    (directory / "foreign_ca.pem").write_bytes(root.certificate_pem)
    return root, leaf


@pytest.mark.parametrize("door", [mqtts_context, telemetry_context])
def test_a_certificate_of_a_stranger_is_refused(
    authority: Authority, door: object, tmp_path: Path
) -> None:
    assert callable(door)
    root, leaf = foreign_vehicle(tmp_path)
    chain = leaf.certificate_pem + root.certificate_pem
    client = with_certificate(authority, tmp_path, chain, leaf.key_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(door(authority), client)


def test_a_further_ca_is_trusted_by_telemetry_alone(authority: Authority, tmp_path: Path) -> None:
    _, leaf = foreign_vehicle(tmp_path)
    client = with_certificate(authority, tmp_path, leaf.certificate_pem, leaf.key_pem)
    door = telemetry_context(authority, str(tmp_path / "foreign_ca.pem"))
    assert meet(door, client).server.getpeercert()
    assert meet(door, vehicle_context(authority, tmp_path)).server.getpeercert()
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(mqtts_context(authority), client)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_bad_ca_file_is_named(
    authority: Authority, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(SecretsError, match=r"client_ca_file.*ca\.pem"):
        telemetry_context(authority, str(tmp_path / "ca.pem"))


def test_a_servers_certificate_is_no_vehicles(authority: Authority, tmp_path: Path) -> None:
    pem = authority.server_file.read_bytes()
    client = with_certificate(authority, tmp_path, pem, b"")
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(telemetry_context(authority), client)


def test_a_vehicles_certificate_is_no_servers(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue_vehicle(VIN)
    (tmp_path / "server.pem").write_bytes(issued.key_pem + issued.certificate_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    client = client_context(authority)
    client.check_hostname = False
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate purpose"):
        meet(server, client)


def test_an_issuing_ca_cannot_issue_for_the_other_usage(
    authority: Authority, tmp_path: Path
) -> None:
    root = certificates.make_root("Root", 1, FOREVER)
    issuing = certificates.make_issuing("Servers", certificates.SERVER, root, 2, FOREVER)
    leaf = certificates.issue(VIN, certificates.CLIENT, issuing, 3, FOREVER)
    chain = leaf.certificate_pem + issuing.certificate_pem
    client = with_certificate(authority, tmp_path, chain, leaf.key_pem)
    (tmp_path / "root.pem").write_bytes(root.certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate purpose"):
        meet(telemetry_context(authority, str(tmp_path / "root.pem")), client)


def test_a_session_resumes_with_its_certificate(authority: Authority, tmp_path: Path) -> None:
    client, server = vehicle_context(authority, tmp_path), telemetry_context(authority)
    client.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 sends its ticket after the handshake
    session = meet(server, client).client.session
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    first = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    second = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (first, second, first, second, first):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert second.session_reused
    assert peer_of(second.getpeercert() or {}) is not None
