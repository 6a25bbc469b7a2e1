"""A setting that would silence alarms for good stops the process before it starts."""

from __future__ import annotations

import pytest

from contracts.alarms import Priority
from contracts.errors import VigilError
from infra.runtime.settings import load


def test_a_site_sets_how_long_alarms_may_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_SNOOZE_MINUTES", '{"high": 2}')
    assert load().quiet_times.snooze_ms(Priority.HIGH) == 120_000


@pytest.mark.parametrize("value", ['{"high": 61}', '{"high": 0}', '{"urgent": 5}'])
@pytest.mark.parametrize("name", ["snooze_minutes", "acknowledge_minutes"])
def test_none_silences_them_for_good(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VIGIL_{name.upper()}", value)
    with pytest.raises(VigilError, match=name):
        load()
