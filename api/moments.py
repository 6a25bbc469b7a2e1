"""Times as the API writes and reads them: RFC 3339 in UTC with milliseconds, "2026-03-01T10:00:00.000Z"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 UTC as text.

    >>> rfc3339(1_772_359_200_000)
    '2026-03-01T10:00:00.000Z'
    """
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(ms: int | None) -> str | None:
    """The same for a time that may be missing."""
    return None if ms is None else rfc3339(ms)


def rfc3339_column(ms: npt.NDArray[np.int64]) -> list[str]:
    """A column of times as texts, in one pass."""
    texts: list[str] = np.datetime_as_string(ms.astype("datetime64[ms]"), unit="ms", timezone="UTC").tolist()
    return texts
