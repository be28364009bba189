"""The tables of people, apps, grants and tokens. Times are int64 µs UTC, scopes words in one text.

Of every secret only a hash is here: argon2id of what people chose, a keyed HMAC (hex) of what we
drew ourselves (`passwords.py`).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    text,
)

from motorcade.registry.tables import METADATA

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("subject", String, nullable=False),
    Column("email", String, nullable=False),  # lower case
    Column("full_name", String, nullable=False),
    Column("password_hash", String, nullable=False),
    Column("added_time_us", BigInteger, nullable=False),
    Column("removed_time_us", BigInteger),
    Column("role", String, nullable=False, server_default=""),  # on the page; "": none
    sqlite_autoincrement=True,
)
_PRESENT: Final = text("removed_time_us IS NULL")
Index("people_subject_present", PEOPLE.c.subject, unique=True, sqlite_where=_PRESENT)
Index("people_email_present", PEOPLE.c.email, unique=True, sqlite_where=_PRESENT)

APPS: Final = Table(
    "apps",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("client_id", String, nullable=False, unique=True),
    Column("secret_hash", String),  # NULL: a public client (RFC 6749 §2.1), holds no secret
    Column("name", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("redirect_uris", String, nullable=False),  # one a line
    Column("domain", String, nullable=False),
    Column("public_key_pem", String, nullable=False),
    Column("person_id", Integer, ForeignKey("people.id")),  # NULL: of the command line
    Column("added_time_us", BigInteger, nullable=False),
    Column("revoked_time_us", BigInteger),
    sqlite_autoincrement=True,
)

GRANTS: Final = Table(
    "grants",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("app_id", Integer, ForeignKey("apps.id"), nullable=False),
    Column("scopes", String, nullable=False),
    Column("purpose", String, nullable=False),  # as it was shown
    Column("granted_time_us", BigInteger, nullable=False),
    Column("used_time_us", BigInteger),
    Column("revoked_time_us", BigInteger),
    sqlite_autoincrement=True,
)
Index(
    "grants_standing",
    GRANTS.c.person_id,
    GRANTS.c.app_id,
    unique=True,
    sqlite_where=text("revoked_time_us IS NULL"),
)
Index("grants_app", GRANTS.c.app_id)

SESSIONS: Final = Table(
    "sessions",  # what one code was exchanged for: a family of refresh tokens and their tokens
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("grant_id", Integer, ForeignKey("grants.id"), nullable=False),
    Column("scopes", String, nullable=False),
    Column("signed_in_time_us", BigInteger, nullable=False),
    Column("begun_time_us", BigInteger, nullable=False),
    Column("ended_time_us", BigInteger),
    Column("turn", Integer, nullable=False),  # how often it was refreshed
    Column("last_hash", String, nullable=False),  # of the refresh token used last, "" for none
    Column("last_time_us", BigInteger, nullable=False),  # when that was used first
    sqlite_autoincrement=True,
)
Index("sessions_grant", SESSIONS.c.grant_id)

CODES: Final = Table(
    "codes",
    METADATA,
    Column("hash", String, primary_key=True),
    Column("grant_id", Integer, ForeignKey("grants.id"), nullable=False),
    Column("scopes", String, nullable=False),  # what was granted
    Column("asked", String, nullable=False),  # what was asked for
    Column("redirect_uri", String, nullable=False),
    Column("challenge", String, nullable=False),  # S256 (RFC 7636), "" for none
    Column("nonce", String, nullable=False),
    Column("signed_in_time_us", BigInteger, nullable=False),
    Column("expires_time_us", BigInteger, nullable=False),
    Column("session_id", Integer, ForeignKey("sessions.id")),  # once it was used
)
Index("codes_session", CODES.c.session_id)
Index("codes_grant", CODES.c.grant_id)

REFRESH_TOKENS: Final = Table(
    "refresh_tokens",
    METADATA,
    Column("hash", String, primary_key=True),
    Column("session_id", Integer, ForeignKey("sessions.id"), nullable=False),
    Column("turn", Integer, nullable=False),  # the session's, when it was made
    Column("expires_time_us", BigInteger, nullable=False),
)
Index("refresh_tokens_session", REFRESH_TOKENS.c.session_id)

REVOKED_TOKENS: Final = Table(
    "revoked_tokens",  # access tokens, by their claim `jti`
    METADATA,
    Column("token_id", String, primary_key=True),
    Column("expires_time_us", BigInteger, nullable=False),
)

SIGN_INS: Final = Table(
    "sign_ins",  # browsers
    METADATA,
    Column("hash", String, primary_key=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),
    Column("signed_in_time_us", BigInteger, nullable=False),
    Column("expires_time_us", BigInteger, nullable=False),
)
Index("sign_ins_person", SIGN_INS.c.person_id)

SHARES: Final = Table(
    "shares",  # links that are open: one that is ended goes
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("person_id", Integer, ForeignKey("people.id"), nullable=False),  # who made it
    Column("view", String, nullable=False),  # path and query of the page
    Column("vehicle_id", Integer, ForeignKey("vehicles.id")),  # the only one; NULL: all
    Column("located", Boolean, nullable=False),
    Column("made_time_us", BigInteger, nullable=False),
    Column("ends_time_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("shares_person", SHARES.c.person_id)

PEOPLE_CHANGES: Final = Table(
    "people_changes",  # apart from `changes`, on which every car's connection is looked at again
    METADATA,
    Column("id", Integer, primary_key=True),  # one row, id 1
    Column("value", BigInteger, nullable=False),
)
