"""Builds X.509 certificates. No files, no clock: time and serial numbers are arguments.

Source: RFC 5280, and what OpenSSL's strict mode (the default of newer clients) demands of it: key
identifiers, key usage, critical basic constraints. Keys are P-256: the smallest that every client
takes. The issuing CAs carry the extended key usage of what they issue, so a server's certificate
never passes for a vehicle's, nor the reverse.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Certified:
    """A private key and the certificate of its public half."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """Key and certificate: one file, so they are written and replaced together."""
        return self.key_pem + self.certificate_pem

    @staticmethod
    def from_pem(pem: bytes) -> "Certified":
        """The inverse of `pem`. Raises `ValueError` for anything else."""
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key is not an elliptic-curve key")
        return Certified(key, x509.load_pem_x509_certificate(pem))


def make_root(name: str, serial: int, validity: Validity) -> Certified:
    """A self-signed CA that issues CAs."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key.public_key(), name, serial, validity)
    builder = _authority_extensions(builder, path_length=1)
    return Certified(key, builder.sign(key, hashes.SHA256()))


def make_issuing(
    name: str, usage: x509.ObjectIdentifier, root: Certified, serial: int, validity: Validity
) -> Certified:
    """A CA below `root` whose certificates are good for one usage only."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key.public_key(), _name_of(root), serial, validity)
    builder = _authority_extensions(builder, path_length=0)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Certified(key, _sign(builder, root))


def issue(
    name: str,
    usage: x509.ObjectIdentifier,
    issuer: Certified,
    serial: int,
    validity: Validity,
    alternative_names: Iterable[str] = (),
) -> Certified:
    """A certificate for `name`, and the names and addresses it also answers to."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, key.public_key(), _name_of(issuer), serial, validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    names = [_general_name(text) for text in alternative_names]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Certified(key, _sign(builder, issuer))


def alternative_names(certificate: x509.Certificate) -> set[str]:
    """The names and addresses a certificate answers to."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def serial_text(serial: int) -> str:
    """A serial number as `ssl.SSLSocket.getpeercert` prints it."""
    text = f"{serial:X}"
    return text if len(text) % 2 == 0 else "0" + text


def _builder(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: str, serial: int, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_distinguished(subject))
        .issuer_name(_distinguished(issuer))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(_instant(validity.start_us))
        .not_valid_after(_instant(validity.end_us))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority_extensions(
    builder: x509.CertificateBuilder, *, path_length: int
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    usage = _key_usage(signs_certificates=True)
    return builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)


def _sign(builder: x509.CertificateBuilder, issuer: Certified) -> x509.Certificate:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)
    return builder.add_extension(authority, critical=False).sign(issuer.key, hashes.SHA256())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _distinguished(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _name_of(authority: Certified) -> str:
    attribute = authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0]
    return str(attribute.value)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _instant(time_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_us // 1_000_000)
