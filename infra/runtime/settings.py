"""Settings of every process. Order of precedence: arguments, environment (`VIGIL_*`), `.env`, TOML file, defaults.

Nothing is read at import: `load()` is called once by each process, and the result is passed on.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from contracts.errors import InvalidInput, VigilError
from contracts.quiet import QuietTimes
from infra.runtime import secret_files


class Settings(BaseSettings):
    """Every option of the system. Ports bind to loopback unless `host` says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="VIGIL_", env_file=".env", extra="forbid", frozen=True, populate_by_name=True
    )

    host: str = Field("127.0.0.1", description="Address that the page, the API and the gateway listen on.")
    api_port: int = Field(8600, ge=1, le=65535, description="Port of the page and the API.")
    gateway_port: int = Field(8601, ge=1, le=65535, description="Port of the ingest gateway.")
    kafka_port: int = Field(8602, ge=1, le=65535, description="Port of the local Kafka.")
    metrics_port: int = Field(8610, ge=1, le=65000, description="First port of health and metrics, one per process.")
    kafka_bootstrap_servers: str = Field(
        "",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "VIGIL_KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers"),
        description="Kafka to use. Empty: the local one that `vigil up` starts.",
    )
    kafka_options: dict[str, str] = Field(default_factory=dict, description="Further client options, such as SASL and TLS.")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Put before every topic name.")
    state_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_state_dir("vigil")),
        description="Where the local Kafka, the databases and the logs live.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("vigil")), description="Where downloads are kept."
    )
    database_url: SecretStr = Field(
        SecretStr(""), description="SQLAlchemy URL of alarms and people. Empty: a SQLite file in the state folder."
    )
    series_url: SecretStr = Field(
        SecretStr(""), description="Series store: empty for a SQLite file, or influx://host:port/bucket?org=ORG."
    )
    influx_token: SecretStr = Field(SecretStr(""), description="Token of the InfluxDB of `series_url`.")
    data_dir: Path | None = Field(None, description="Folder of real recordings; replay uses it when it is there.")
    models_dir: Path | None = Field(None, description="Folder of registered models. Empty: `models` in the state folder.")
    model_backend: Literal["onnx", "native"] = Field(
        "onnx", description="What runs trained models: ONNX Runtime, or the framework each was trained in (extra `train`)."
    )
    canary_url: str = Field("", description="Where the API asks the canary how the stream is. Set by `vigil up`.")
    canary_webhook: SecretStr = Field(
        SecretStr(""), description="Address that gets a POST when the canary does not come through, and when it does again."
    )
    acknowledge_minutes: dict[str, int] = Field(
        default_factory=dict,
        description='How long an acknowledgement holds, by priority: {"high": 15, "medium": 60, "low": 240}.',
    )
    snooze_minutes: dict[str, int] = Field(
        default_factory=dict, description='The longest snooze, by priority: {"high": 10, "medium": 30, "low": 120}.'
    )
    page_url: str = Field("", description="Where people reach the page, when that is not this machine: https://ward.example.org.")
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="Signs webhooks: whsec_ and base64. Two, separated by a space, while it is being changed."
    )
    smtp_url: SecretStr = Field(
        SecretStr(""), description="Mail server: smtp://USER:PASSWORD@HOST:587 (STARTTLS) or smtps://USER:PASSWORD@HOST:465."
    )
    smtp_sender: str = Field("", pattern=r"^([^\s@]+@[^\s@]+)?$", description="Address that mails come from.")
    web_push_key: SecretStr = Field(SecretStr(""), description="Private key of web push (VAPID), from `vigil notify keys`.")
    web_push_public_key: str = Field(
        "", pattern=r"^([A-Za-z0-9_-]{87})?$", description="Public half of that key, for browsers that subscribe."
    )
    web_push_contact: str = Field(
        "", pattern=r"^((mailto:|https://)\S+)?$", description="Whom push services may ask: mailto:ADDRESS or https://…"
    )
    notice_networks: str = Field(
        "", description="Private networks that messages may go to, such as 10.20.0.0/16, separated by commas."
    )
    demo: bool = Field(False, description="Demo mode: no login, loopback only, marked DEMO on every screen.")
    log_format: Literal["console", "json"] = Field("json", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level written.")

    @field_validator("acknowledge_minutes", "snooze_minutes")
    @classmethod
    def _bounded(cls, minutes: dict[str, int]) -> dict[str, int]:
        try:
            QuietTimes.of(minutes, {})
        except InvalidInput as error:
            raise ValueError(error.reason) from None
        return minutes

    @property
    def bootstrap(self) -> str:
        """Kafka bootstrap servers, local default included."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def sql_url(self) -> str:
        """SQLAlchemy URL, embedded default included."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.state_dir / 'vigil.db'}"

    @property
    def quiet_times(self) -> QuietTimes:
        """How long people may keep an alarm quiet, defaults included."""
        return QuietTimes.of(self.acknowledge_minutes, self.snooze_minutes)

    @property
    def models_folder(self) -> Path:
        """Where registered models lie, default included."""
        return self.models_dir or self.state_dir / "models"

    def topic(self, name: str) -> str:
        """The name on the broker of the topic called `name` in the topic table."""
        return f"{self.topic_prefix}{name}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=_toml_files())
        in_files = secret_files.SecretFiles(settings_cls)
        return init_settings, env_settings, in_files, dotenv_settings, file_secret_settings, toml


def _toml_files() -> list[Path]:
    return [Path(platformdirs.user_config_dir("vigil")) / "vigil.toml", Path("vigil.toml")]


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings once. `overrides` are command-line options; None values in it mean "not given".

    Raises `VigilError` naming the option at fault, and the nearest known name for a misspelt one.
    """
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(p) for p in first["loc"])
        raise VigilError(f"The setting {name} is not valid: {first['msg']}.", fix=_did_you_mean(name)) from error
    known = {f"VIGIL_{name.upper()}" for name in Settings.model_fields} | _OTHER_VARIABLES | set(secret_files.variables(Settings))
    for name in os.environ:
        if name.startswith("VIGIL_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`vigil config show` lists every setting"
            raise VigilError(f"Unknown setting {name} in the environment.", fix=hint)
    return settings


# Read by the test suite and by the launcher, not settings of the system.
_OTHER_VARIABLES = {"VIGIL_TEST_KAFKA", "VIGIL_TEST_INFLUXD", "VIGIL_PICTURES"}


def _did_you_mean(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), list(Settings.model_fields), n=1)
    return f"did you mean {near[0]}?" if near and near[0] != name else "`vigil config show` lists every setting"


def variable(name: str) -> str:
    """The environment variable of setting `name`."""
    return "KAFKA_BOOTSTRAP_SERVERS" if name == "kafka_bootstrap_servers" else f"VIGIL_{name.upper()}"


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process the same settings."""
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None or value == "" or value == {}:
            continue
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
            if not value:
                continue
        if isinstance(value, dict):
            value = json.dumps(value)
        values[variable(name)] = str(value)
    return values
