"""Secrets in files: `VIGIL_NAME_FILE` names the file that holds the secret setting `name`, as secret stores mount them.

Files are read when settings are; where the variable itself is set too, that counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from contracts.errors import VigilError


def variables(settings: type[BaseSettings]) -> dict[str, str]:
    """The variable that may name a file, for each secret setting: variable -> setting."""
    return {f"VIGIL_{name.upper()}_FILE": name for name, field in settings.model_fields.items() if field.annotation is SecretStr}


class SecretFiles(PydanticBaseSettingsSource):
    """The secrets whose file is named in the environment."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Raises `VigilError` for a file that cannot be read: to go on without a secret would look like being set up."""
        found = {}
        for variable, name in variables(self.settings_cls).items():
            if path := os.environ.get(variable):
                try:
                    found[name] = Path(path).read_text().strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise VigilError(
                        f"The file that {variable} names cannot be read.",
                        cause=type(error).__name__,
                        fix="check its path and who may read it",
                    ) from error
        return found
