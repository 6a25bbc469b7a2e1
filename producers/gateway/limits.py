"""How much one sender may ask of the gateway at once."""

from __future__ import annotations

from typing import Final

from contracts.errors import InvalidInput
from contracts.reading_json import MAX_READINGS

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
MAX_INFLATED_BYTES: Final = 16 * 1024 * 1024
MAX_GZIP_MEMBERS: Final = 64

MAX_ARROW_BATCHES: Final = 1_000
MAX_ARROW_COLUMNS: Final = 64

# A reading has one brace and at most nine fields. Text that holds far more of either would become millions of Python
# objects, hundreds of megabytes, before it could be refused.
MAX_JSON_BRACKETS: Final = 2 * MAX_READINGS
MAX_JSON_COMMAS: Final = 10 * MAX_READINGS


class TooMuch(InvalidInput):
    """The payload is more than one request may carry."""
