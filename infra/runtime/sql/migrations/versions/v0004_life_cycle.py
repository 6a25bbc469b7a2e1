"""The whole life cycle: acknowledgements that end, who snoozed and why, review, and the view that burden is counted on."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BEFORE = "state IN ('active', 'acknowledged', 'latched', 'resolved', 'inhibited', 'retrospective')"
_AFTER = "state IN ('active', 'acknowledged', 'latched', 'resolved', 'closed', 'inhibited', 'retrospective')"
_COLUMNS = (
    ("acknowledged_until_ms", sa.BigInteger),
    ("acknowledged_reason", sa.Text),
    ("first_acknowledged_ms", sa.BigInteger),
    ("snoozed_by", sa.Text),
    ("snoozed_reason", sa.Text),
    ("labelled_by", sa.Text),
    ("closed_ms", sa.BigInteger),
    ("closed_by", sa.Text),
    ("called_ms", sa.BigInteger),
)
_SAID = ("first_acknowledged_ms", "acknowledged_reason", "snoozed_by", "snoozed_reason", "labelled_by")
_INDEXES = ("called_ms", "assigned_to")

# One row for each alarm that has called somebody. The model of a score alarm is named by its condition. A later step that makes
# the table `alarms` anew on SQLite drops this view before, and creates it again after.
_CALLED_ALARMS = """
CREATE VIEW called_alarms AS
SELECT alarms.alarm_id, alarms.patient, patients.unit, alarms.condition AS rule, alarms.rule_version, alarms.device,
       CASE WHEN alarms.condition LIKE '%!_score' ESCAPE '!'
            THEN substr(alarms.condition, 1, length(alarms.condition) - 6) END AS model,
       alarms.lane, alarms.priority, alarms.label, alarms.called_ms,
       CASE WHEN alarms.first_acknowledged_ms < alarms.called_ms THEN 0
            ELSE alarms.first_acknowledged_ms - alarms.called_ms END AS acknowledge_ms
FROM alarms JOIN patients ON patients.patient = alarms.patient
WHERE alarms.called_ms IS NOT NULL
"""


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column("alarms", sa.Column(name, kind))
    _states(_AFTER)
    for column in _INDEXES:
        op.create_index(f"ix_alarms_{column}", "alarms", [column])
    # What was recorded before: an alarm that stood behind another has called only if it was released, a finding never.
    op.execute(
        sa.text(
            "UPDATE alarms SET called_ms = raised_ms WHERE NOT EXISTS (SELECT 1 FROM alarm_events AS began"
            " WHERE began.alarm_id = alarms.alarm_id AND began.change IN ('inhibited', 'found'))"
            " OR EXISTS (SELECT 1 FROM alarm_events AS released"
            " WHERE released.alarm_id = alarms.alarm_id AND released.change = 'released')"
        )
    )
    _what_people_did()
    op.execute(sa.text(_CALLED_ALARMS))


def _what_people_did() -> None:
    """Who and why, for alarms recorded before there were columns for it: from their events, as a rebuilding would find it."""
    bind = op.get_bind()
    said: dict[str, dict[str, object]] = {}
    events = bind.execute(
        sa.text(
            "SELECT alarm_id, change, document FROM alarm_events"
            " WHERE change IN ('acknowledged', 'snoozed', 'labelled', 'worsened') ORDER BY feed_seq"
        )
    )
    for alarm_id, change, document in events:
        event = json.loads(document)
        alarm = said.setdefault(alarm_id, dict.fromkeys(_SAID))
        match change:
            case "acknowledged":
                alarm["acknowledged_reason"] = event["note"]
                if alarm["first_acknowledged_ms"] is None:
                    alarm["first_acknowledged_ms"] = event["at_ms"]
            case "snoozed":
                alarm.update(snoozed_by=event["actor"], snoozed_reason=event["note"])
            case "labelled":
                alarm["labelled_by"] = event["actor"]
            case "worsened":
                alarm.update(acknowledged_reason=None, snoozed_by=None, snoozed_reason=None)
    if said:
        columns = ", ".join(f"{name} = :{name}" for name in _SAID)
        bind.execute(
            sa.text(f"UPDATE alarms SET {columns} WHERE alarm_id = :alarm_id"),  # noqa: S608 - names of our own columns
            [{"alarm_id": alarm_id, **alarm} for alarm_id, alarm in said.items()],
        )


def downgrade() -> None:
    op.execute(sa.text("DROP VIEW called_alarms"))
    op.execute(sa.text("UPDATE alarms SET state = 'resolved' WHERE state = 'closed'"))
    for column in _INDEXES:
        op.drop_index(f"ix_alarms_{column}", "alarms")
    _states(_BEFORE)
    for name, _ in reversed(_COLUMNS):
        op.drop_column("alarms", name)


def _states(condition: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_alarms_state"), "alarms", type_="check")
        op.create_check_constraint(op.f("ck_alarms_state"), "alarms", condition)
        return
    # SQLite alters no constraint: the table is made anew, as in step 0002.
    table = sa.Table("alarms", sa.MetaData(), autoload_with=bind)
    table.constraints -= {known for known in table.constraints if isinstance(known, sa.CheckConstraint)}
    for name, check in (
        ("state", condition),
        ("priority", "priority IN ('low', 'medium', 'high')"),
        ("version", "version >= 1"),
    ):
        table.append_constraint(sa.CheckConstraint(check, name=op.f(f"ck_alarms_{name}")))
    with op.batch_alter_table("alarms", copy_from=table, recreate="always"):
        pass
