"""What staff said of alarms leaves with the minutes of the patients: each label once, nobody's name."""

from __future__ import annotations

import csv
from pathlib import Path

from cli.stored_labels import COLUMNS, write_labels
from contracts.alarms import Change
from infra.runtime.settings import Settings
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import open_engine, upgrade
from tests.infra.runtime.sql.events import ONSET_MS, event

HOUR_MS = 3_600_000


def test_labelled_alarms_of_the_span_are_written_oldest_first_and_without_names(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    upgrade(settings.sql_url)
    store = AlarmStore(open_engine(settings.sql_url))
    raised = [event(Change.RAISED, patient=f"p-{n}", onset_ms=ONSET_MS + n * HOUR_MS, cause=n) for n in range(4)]
    store.record(raised)
    for one, label in ((raised[2], "actionable"), (raised[0], "artefact"), (raised[0], "false_alarm"), (raised[3], "actionable")):
        store.act(one.alarm_id, Change.LABELLED, actor="ann", at_ms=one.at_ms + 1, note=label)
    path = tmp_path / "labels.csv"
    assert write_labels(settings, path, 0, ONSET_MS + 3 * HOUR_MS) == 2
    first, second = csv.DictReader(path.read_text().splitlines())
    assert tuple(first) == COLUMNS
    assert (first["patient"], first["label"]) == ("p-0", "false_alarm")  # the newest label holds
    assert (second["patient"], second["label"], int(second["onset_ms"])) == ("p-2", "actionable", raised[2].onset_ms)
    reason = raised[2].reasons[0]
    assert reason.value is not None
    assert (float(second["value"]), second["unit"], second["condition"]) == (reason.value, reason.unit, raised[2].condition)
    assert "ann" not in path.read_text()
