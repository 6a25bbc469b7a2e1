"""Accounts, care teams, sessions and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("full_name", sa.Text),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("password_ms", sa.BigInteger, nullable=False),
        sa.Column("disabled_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
        sa.CheckConstraint(
            "role IN ('nurse', 'doctor', 'charge', 'administrator', 'ops', 'auditor', 'device')",
            name=op.f("ck_users_role"),
        ),
    )
    op.create_table(
        "care_teams",
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("everybody", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("team", name="pk_care_teams"),
        sa.CheckConstraint("everybody IN (0, 1)", name=op.f("ck_care_teams_everybody")),
    )
    op.create_table(
        "care_team_scopes",
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("team", "kind", "key", name="pk_care_team_scopes"),
        sa.ForeignKeyConstraint(["team"], ["care_teams.team"], name="fk_care_team_scopes_team"),
        sa.CheckConstraint("kind IN ('unit', 'patient')", name=op.f("ck_care_team_scopes_kind")),
    )
    op.create_table(
        "care_team_members",
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("team", "name", "from_ms", name="pk_care_team_members"),
        sa.ForeignKeyConstraint(["team"], ["care_teams.team"], name="fk_care_team_members_team"),
        sa.ForeignKeyConstraint(["name"], ["users.name"], name="fk_care_team_members_name"),
        sa.CheckConstraint("until_ms IS NULL OR until_ms >= from_ms", name=op.f("ck_care_team_members_span")),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("idle_ms", sa.BigInteger),
        sa.Column("address", sa.Text),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
        sa.ForeignKeyConstraint(["name"], ["users.name"], name="fk_sessions_name"),
        sa.CheckConstraint("kind IN ('page', 'wall', 'program')", name=op.f("ck_sessions_kind")),
    )
    op.create_index("ix_sessions_name_ended_ms", "sessions", ["name", "ended_ms"])
    op.create_index("ix_sessions_ended_ms_expires_ms", "sessions", ["ended_ms", "expires_ms"])
    op.create_table(
        "login_failures",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_ms", "login_failures", ["last_ms"])
    op.create_table(
        "access_state",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_access_state_single")),
    )
    op.execute("INSERT INTO access_state (id, revision) VALUES (1, 0)")
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("patient", sa.Text),
        sa.Column("object", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_patient_seq", "audit_log", ["patient", "seq"])
    op.create_index("ix_audit_log_actor_seq", "audit_log", ["actor", "seq"])
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_single")),
    )
    op.execute(f"INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '{'0' * 64}')")  # noqa: S608 - a constant


def downgrade() -> None:
    for table in (
        "audit_head", "audit_log", "access_state", "login_failures", "sessions", "care_team_members", "care_team_scopes",
        "care_teams", "users",
    ):  # fmt: skip
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_append_only")


_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_log_no_{what.lower()} BEFORE {what} ON audit_log"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for what in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION audit_log_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_log_append_only()",
    ],
}
