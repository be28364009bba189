"""People, apps, grants and their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of people, apps and tokens."""
    _make_people()
    _make_grants()
    _make_tokens()
    changes = op.create_table(
        "people_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(changes, [{"id": 1, "value": 0}])


def _make_people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("email", sa.String, nullable=False),
        sa.Column("full_name", sa.String, nullable=False),
        sa.Column("password_hash", sa.String, nullable=False),
        sa.Column("added_time_us", sa.BigInteger, nullable=False),
        sa.Column("removed_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    present = sa.text("removed_time_us IS NULL")
    for column in ("subject", "email"):
        name = f"people_{column}_present"
        op.create_index(name, "people", [column], unique=True, sqlite_where=present)
    op.create_table(
        "apps",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client_id", sa.String, nullable=False, unique=True),
        sa.Column("secret_hash", sa.String),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("redirect_uris", sa.String, nullable=False),
        sa.Column("domain", sa.String, nullable=False),
        sa.Column("public_key_pem", sa.String, nullable=False),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id")),
        sa.Column("added_time_us", sa.BigInteger, nullable=False),
        sa.Column("revoked_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )


def _make_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("app_id", sa.Integer, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("granted_time_us", sa.BigInteger, nullable=False),
        sa.Column("used_time_us", sa.BigInteger),
        sa.Column("revoked_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "grants_standing",
        "grants",
        ["person_id", "app_id"],
        unique=True,
        sqlite_where=sa.text("revoked_time_us IS NULL"),
    )
    op.create_index("grants_app", "grants", ["app_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("grant_id", sa.Integer, sa.ForeignKey("grants.id"), nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("signed_in_time_us", sa.BigInteger, nullable=False),
        sa.Column("begun_time_us", sa.BigInteger, nullable=False),
        sa.Column("ended_time_us", sa.BigInteger),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("last_hash", sa.String, nullable=False),
        sa.Column("last_time_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("sessions_grant", "sessions", ["grant_id"])


def _make_tokens() -> None:
    op.create_table(
        "codes",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("grant_id", sa.Integer, sa.ForeignKey("grants.id"), nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
        sa.Column("asked", sa.String, nullable=False),
        sa.Column("redirect_uri", sa.String, nullable=False),
        sa.Column("challenge", sa.String, nullable=False),
        sa.Column("nonce", sa.String, nullable=False),
        sa.Column("signed_in_time_us", sa.BigInteger, nullable=False),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("sessions.id")),
    )
    op.create_index("codes_session", "codes", ["session_id"])
    op.create_index("codes_grant", "codes", ["grant_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("session_id", sa.Integer, sa.ForeignKey("sessions.id"), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
    )
    op.create_index("refresh_tokens_session", "refresh_tokens", ["session_id"])
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.String, primary_key=True),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sign_ins",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("signed_in_time_us", sa.BigInteger, nullable=False),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_ins_person", "sign_ins", ["person_id"])
