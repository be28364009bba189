"""Look-ups of people and apps: SQLAlchemy Core, compiled to text at import, as its sister's."""

from typing import Final

from sqlalchemy import bindparam, literal_column, select

from motorcade.registry.people.tables import (
    APPS,
    CODES,
    GRANTS,
    PEOPLE,
    PEOPLE_CHANGES,
    REFRESH_TOKENS,
    REVOKED_TOKENS,
    SESSIONS,
    SHARES,
    SIGN_INS,
)
from motorcade.registry.statements import text_of

PERSON_COLUMNS: Final = (
    PEOPLE.c.id,
    PEOPLE.c.subject,
    PEOPLE.c.email,
    PEOPLE.c.full_name,
    PEOPLE.c.added_time_us,
    PEOPLE.c.role,
)
"""In the order of `port.Person`'s fields."""

HERE: Final = PEOPLE.c.removed_time_us.is_(None)
APP_STANDS: Final = APPS.c.revoked_time_us.is_(None)
GRANT_STANDS: Final = GRANTS.c.revoked_time_us.is_(None)
SESSION_STANDS: Final = SESSIONS.c.ended_time_us.is_(None)

PERSON: Final = select(*PERSON_COLUMNS).where(HERE)
PEOPLE_PAGE: Final = text_of(
    PERSON.where(PEOPLE.c.id > bindparam("after_id"))
    .order_by(PEOPLE.c.id)
    .limit(bindparam("limit"))
    .offset(literal_column("0"))  # without one, SQLAlchemy adds a parameter for it
)
BY_SUBJECT: Final = text_of(PERSON.where(PEOPLE.c.subject == bindparam("subject")))
ROLE: Final = text_of(select(PEOPLE.c.role).where(HERE, PEOPLE.c.subject == bindparam("subject")))
PASSWORD: Final = text_of(
    select(PEOPLE.c.password_hash, *PERSON_COLUMNS).where(
        HERE, PEOPLE.c.email == bindparam("email")
    )
)
SIGN_IN: Final = text_of(
    select(SIGN_INS.c.signed_in_time_us, *PERSON_COLUMNS)
    .select_from(SIGN_INS.join(PEOPLE))
    .where(
        HERE,
        SIGN_INS.c.hash == bindparam("hash"),
        SIGN_INS.c.expires_time_us > bindparam("now_us"),
    )
)

APP_COLUMNS: Final = (
    APPS.c.id,
    APPS.c.client_id,
    APPS.c.secret_hash,
    APPS.c.name,
    APPS.c.purpose,
    APPS.c.scopes,
    APPS.c.redirect_uris,
    APPS.c.domain,
    APPS.c.public_key_pem,
    APPS.c.person_id,
    APPS.c.added_time_us,
)
APP: Final = select(*APP_COLUMNS).where(APP_STANDS)
APPS_ALL: Final = text_of(APP.order_by(APPS.c.id))
BY_KEY: Final = text_of(APP.where(APPS.c.public_key_pem == bindparam("public_key_pem")))
BY_PERSON: Final = text_of(
    APP.where(APPS.c.person_id == bindparam("person_id")).order_by(APPS.c.id)
)
BY_CLIENT_ID: Final = text_of(APP.where(APPS.c.client_id == bindparam("client_id")))

GRANTS_OF: Final = text_of(
    select(
        GRANTS.c.id,
        APPS.c.client_id,
        APPS.c.name,
        GRANTS.c.scopes,
        GRANTS.c.purpose,
        GRANTS.c.granted_time_us,
        GRANTS.c.used_time_us,
    )
    .select_from(GRANTS.join(APPS))
    .where(GRANT_STANDS, APP_STANDS, GRANTS.c.person_id == bindparam("person_id"))
    .order_by(GRANTS.c.granted_time_us.desc(), GRANTS.c.id.desc())
)

_chain: Final = GRANTS.join(PEOPLE).join(APPS, APPS.c.id == GRANTS.c.app_id)
_sound: Final = (GRANT_STANDS, HERE, APP_STANDS)

CODE: Final = (
    select(
        CODES.c.session_id,
        CODES.c.expires_time_us,
        CODES.c.grant_id,
        CODES.c.scopes,
        CODES.c.asked,
        CODES.c.redirect_uri,
        CODES.c.challenge,
        CODES.c.nonce,
        CODES.c.signed_in_time_us,
        *PERSON_COLUMNS,
    )
    .select_from(CODES.join(_chain, GRANTS.c.id == CODES.c.grant_id))
    .where(
        *_sound,
        CODES.c.hash == bindparam("hash"),
        GRANTS.c.app_id == bindparam("app_id"),
    )
)

_sessions: Final = SESSIONS.join(_chain, GRANTS.c.id == SESSIONS.c.grant_id)
STANDING: Final = text_of(
    select(SESSIONS.c.scopes, GRANTS.c.scopes)
    .select_from(_sessions)
    .where(
        *_sound,
        SESSION_STANDS,
        SESSIONS.c.id == bindparam("session_id"),
        APPS.c.client_id == bindparam("client_id"),
    )
)
TOKEN_REVOKED: Final = text_of(
    select(REVOKED_TOKENS.c.token_id).where(REVOKED_TOKENS.c.token_id == bindparam("token_id"))
)
REFRESHABLE: Final = (
    select(
        SESSIONS.c.id,
        SESSIONS.c.turn,
        SESSIONS.c.last_hash,
        SESSIONS.c.last_time_us,
        SESSIONS.c.scopes,
        GRANTS.c.scopes,
        SESSIONS.c.signed_in_time_us,
        REFRESH_TOKENS.c.turn,
        REFRESH_TOKENS.c.expires_time_us,
        *PERSON_COLUMNS,
    )
    .select_from(REFRESH_TOKENS.join(_sessions, SESSIONS.c.id == REFRESH_TOKENS.c.session_id))
    .where(
        *_sound,
        SESSION_STANDS,
        REFRESH_TOKENS.c.hash == bindparam("hash"),
        GRANTS.c.app_id == bindparam("app_id"),
    )
)
_share: Final = (
    select(
        SHARES.c.id,
        SHARES.c.person_id,
        PEOPLE.c.subject,
        PEOPLE.c.full_name,
        PEOPLE.c.role,
        SHARES.c.view,
        SHARES.c.vehicle_id,
        SHARES.c.located,
        SHARES.c.made_time_us,
        SHARES.c.ends_time_us,
    )
    .select_from(SHARES.join(PEOPLE))
    .where(HERE)
)
"""In the order of `port.Share`'s fields."""

_good: Final = SHARES.c.ends_time_us > bindparam("now_us")
SHARE: Final = _share.where(SHARES.c.id == bindparam("id"))
SHARE_STANDING: Final = text_of(SHARE.where(_good))
SHARE_BY_HASH: Final = text_of(_share.where(SHARES.c.hash == bindparam("hash"), _good))
SHARES_PAGE: Final = text_of(
    _share.where(
        _good,
        SHARES.c.person_id >= bindparam("lowest"),
        SHARES.c.person_id <= bindparam("highest"),
        SHARES.c.id < bindparam("before_id"),
    )
    .order_by(SHARES.c.id.desc())
    .limit(bindparam("limit"))
    .offset(literal_column("0"))
)

CHANGE_COUNT: Final = text_of(select(PEOPLE_CHANGES.c.value))
CODE_TEXT: Final = text_of(CODE)
REFRESHABLE_TEXT: Final = text_of(REFRESHABLE)
