"""The TLS settings of our doors, one function per door. Opens no socket.

TLS 1.3 where our own vehicles come in, because under 1.2 a client certificate, and so the VIN in
it, crosses in clear (design P8); 1.2 where Tesla's cars and ordinary HTTP clients need it. Doors
send no list of CA names with their certificate request: Tesla's cars answer an empty list, but not
a long one that lacks their own CA (protocol page of Fleet Telemetry, §1.2).
"""

import ssl
from pathlib import Path

from motorcade.identity.authority import Authority
from motorcade.identity.errors import SecretsError


def api_context(authority: Authority) -> ssl.SSLContext:
    """HTTPS: no client certificates, bearer tokens say who it is."""
    context = _server_context(authority, ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(["http/1.1"])
    return context


def server_pem(authority: Authority) -> bytes:
    """Our doors' private key and certificate chain, PEM, for who brings TLS of their own.

    Raises:
        SecretsError: the file cannot be read.
    """
    try:
        return authority.server_file.read_bytes()
    except OSError as error:
        raise SecretsError(f"{authority.server_file}: {error}") from error


def mqtts_context(authority: Authority) -> ssl.SSLContext:
    """MQTT over TLS: a certificate is verified when there is one, else a password decides."""
    context = _server_context(authority, ssl.TLSVersion.TLSv1_3)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(cadata=authority.vehicle_ca_pem.decode())
    return context


def telemetry_context(authority: Authority, client_ca_file: str = "") -> ssl.SSLContext:
    """Fleet Telemetry: mutual TLS. `client_ca_file` adds CAs, e.g. Tesla's, to our own.

    Raises:
        SecretsError: the file holds no certificates.
    """
    context = _server_context(authority, ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.vehicle_ca_pem.decode())
    if client_ca_file:
        try:
            context.load_verify_locations(cafile=Path(client_ca_file))
        except (OSError, ssl.SSLError) as error:
            raise SecretsError(
                f"telemetry.client_ca_file {client_ca_file!r}: {error}; it must be a readable "
                "PEM file with CA certificates"
            ) from error
    return context


def _server_context(authority: Authority, minimum: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A ticket holds the client's whole chain: one per handshake is enough to resume once, and
    # every resumption brings the next.
    context.num_tickets = 1
    context.load_cert_chain(authority.server_file)
    return context
