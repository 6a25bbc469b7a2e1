"""Times of day where people live: weekly clocks in an IANA zone, and instants in RFC 3339. Pure; the zone data come with Python.

A week is a ring of 10,080 minutes from Monday 00:00 of the local clock. An hour that a change of the clocks repeats belongs to
the same shift both times, and one that it skips to none: so no change of the clocks makes a gap or an overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = 1440
WEEK: Final = 7 * DAY
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")

Span = tuple[int, int]


def minute_of_day(text: str) -> int | None:
    """Minutes since midnight; None where `text` is no time of day.

    >>> minute_of_day("07:30"), minute_of_day("24:00"), minute_of_day("7:30")
    (450, 1440, None)
    """
    found = _CLOCK.fullmatch(text)
    return None if found is None else DAY if found[1] is None else int(found[1]) * 60 + int(found[2])


def instant_ms(text: str) -> int | None:
    """Milliseconds UTC of an RFC 3339 time with its offset; None where `text` is none.

    >>> instant_ms("2026-03-01T10:00:00Z"), instant_ms("2026-03-01T10:00:00")
    (1772359200000, None)
    """
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo | None:
    """The zone; None where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def minute_of_week(at_ms: int, zone_name: str) -> int:
    """What a local clock shows at an instant, in minutes since Monday 00:00.

    >>> minute_of_week(1_772_359_200_000, "Europe/Berlin") == 6 * DAY + 11 * 60  # a Sunday, 11:00
    True
    """
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone(zone_name))
    return local.weekday() * DAY + local.hour * 60 + local.minute


def next_ms(at_ms: int, zone_name: str, minute: int) -> int:
    """The first instant after `at_ms` at which the local clock shows `minute` of the week. One that the clocks skip comes an
    hour later on the clock."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone(zone_name))
    ahead = (minute - minute_of_week(at_ms, zone_name)) % WEEK or WEEK
    there = (local.replace(second=0, microsecond=0, fold=0) + timedelta(minutes=ahead)).astimezone(UTC)
    return max(round(there.timestamp() * 1000), at_ms + 1)


def local_text(minute: int) -> str:
    """A minute of the week for a person.

    >>> local_text(DAY + 7 * 60)
    'tue 07:00'
    """
    day, rest = divmod(minute % WEEK, DAY)
    return f"{DAYS[day]} {rest // 60:02d}:{rest % 60:02d}"


def spans(days: Iterable[str], begin: int, end: int) -> list[Span]:
    """[begin, end) of each of these days, in minutes of the week, cut at its end. Past midnight where `end` <= `begin`.

    >>> spans(["sun"], 22 * 60, 6 * 60)
    [(9960, 10080), (0, 360)]
    """
    found: list[Span] = []
    length = end - begin if end > begin else end - begin + DAY
    for day in days:
        start = DAYS.index(day) * DAY + begin
        found.append((start, min(start + length, WEEK)))
        if start + length > WEEK:
            found.append((0, start + length - WEEK))
    return found


def gaps(covered: Iterable[Span]) -> list[Span]:
    """What no span covers of a week, in order; a gap over the end of the week in two pieces."""
    found: list[Span] = []
    seen = 0
    for start, end in sorted(covered):
        if start > seen:
            found.append((seen, start))
        seen = max(seen, end)
    return found if seen >= WEEK else [*found, (seen, WEEK)]


def run_end(covered: Iterable[Span], minute: int) -> int | None:
    """When the stretch of spans without a gap that holds `minute` ends, as a minute of the week; None: no span holds it, or they
    cover the whole week.

    >>> run_end([(0, 360), (9960, WEEK), (360, 400)], 9970), run_end([(0, 10)], 20)
    (400, None)
    """
    open_ = gaps(covered)
    if not open_ or any(start <= minute < end for start, end in open_):
        return None
    return next((start for start, _ in open_ if start > minute), open_[0][0])
