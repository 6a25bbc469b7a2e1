"""A setting that would silence alarms for good stops the process before it starts; a secret may lie in a file."""

from __future__ import annotations

from pathlib import Path

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


def test_a_secret_is_read_from_the_file_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "smtp"
    secret.write_text("smtp://vigil:hush@mail.example.org\n")
    monkeypatch.setenv("VIGIL_SMTP_URL_FILE", str(secret))
    assert load().smtp_url.get_secret_value() == "smtp://vigil:hush@mail.example.org"
    assert "hush" not in repr(load())
    monkeypatch.setenv("VIGIL_SMTP_URL", "smtp://other")
    assert load().smtp_url.get_secret_value() == "smtp://other"


def test_a_secret_that_cannot_be_read_stops_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To go on without it would look like being set up."""
    monkeypatch.setenv("VIGIL_SMTP_URL_FILE", str(tmp_path / "nothing"))
    with pytest.raises(VigilError, match="VIGIL_SMTP_URL_FILE"):
        load()


def test_only_secrets_may_lie_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_HOST_FILE", "/etc/hostname")
    with pytest.raises(VigilError, match="Unknown setting VIGIL_HOST_FILE"):
        load()
