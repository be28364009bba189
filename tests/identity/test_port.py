"""Whom a certificate names, from what `ssl` gives."""

from motorcade.identity.port import Peer, peer_of

SUBJECT = ((("organizationName", "Cars"),), (("commonName", "5YJ3E1EA7KF000001"),))


def test_a_serial_counts_only_under_our_own_ca() -> None:
    ours = {
        "subject": SUBJECT,
        "issuer": ((("commonName", "Motorcade Vehicle CA"),),),
        "serialNumber": "0A",
    }
    assert peer_of(ours) == Peer("5YJ3E1EA7KF000001", "0A")
    theirs = ours | {"issuer": ((("commonName", "Tesla Motors Products CA"),),)}
    assert peer_of(theirs) == Peer("5YJ3E1EA7KF000001", "")


def test_no_certificate_or_no_name_is_nobody() -> None:
    assert peer_of({}) is None
    assert peer_of({"subject": ((("organizationName", "Cars"),),)}) is None
