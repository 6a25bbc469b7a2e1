"""What a notice says: how urgent, why now, and a link. Nothing of the patient, unless the site's policy put it into the
notice.

Messages leave the house: they lie on telephones, in mail boxes and with other firms. So a body is made of the words below,
the name of the ward, and a link that means nothing to who may not open it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from alerting.notifiers.base import Body
from contracts.alarms import Lane, Priority
from contracts.notices import Notice, NoticeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all bodies of an installation share. `url`: of the page, as people reach it; empty where nobody has said."""

    url: str = ""
    demo: bool = False


# A push message has less than 4 KB; a ward's name is the one part without a bound of its own.
_LONGEST_UNIT: Final = 80
# IEC 60601-1-8 has high, medium and low ask for an immediate response, a prompt one, and awareness.
_ASKS: Final = MappingProxyType(
    {
        Priority.HIGH: "Please look at once.",
        Priority.MEDIUM: "Please look soon.",
        Priority.LOW: "For your information.",
    }
)
_BEFORE: Final = MappingProxyType(
    {
        NoticeKind.ALARM: "",
        NoticeKind.REMINDER: "Still waiting: ",
        NoticeKind.ESCALATED: "Passed on to you: ",
        NoticeKind.WORSE: "Now more urgent: ",
        NoticeKind.SYSTEM: "",
        NoticeKind.TEST: "Test, no alarm: ",
    }
)
_WHY: Final = MappingProxyType(
    {
        NoticeKind.ALARM: "",
        NoticeKind.REMINDER: "Nobody has answered yet.",
        NoticeKind.ESCALATED: "Nobody who was told before has answered.",
        NoticeKind.WORSE: "It has become more urgent since you were told.",
        NoticeKind.SYSTEM: "Vigil itself needs attention; alarms may not reach people.",
        NoticeKind.TEST: "Somebody is trying out whether messages reach you. There is nothing to do.",
    }
)


def compose(notice: Notice, site: Site) -> Body:
    """The body of a notice, in one or two lines of plain text.

    >>> notice = Notice(
    ...     notice_id="0" * 32, alarm_id="a" * 32, kind=NoticeKind.REMINDER, priority=Priority.HIGH, lane=Lane.PHYSIOLOGICAL,
    ...     person="mira", channel="email", address="mira@example.org", created_ms=0, link="/#/alarms/" + "a" * 32, unit="Ward 3")
    >>> body = compose(notice, Site(url="https://vigil.example.org/"))
    >>> body.title
    'Still waiting: high priority alarm, Ward 3'
    >>> body.text
    'Please look at once. Nobody has answered yet.'
    """
    unit = _line(notice.unit or "")[:_LONGEST_UNIT]
    subject = f"{_BEFORE[notice.kind]}{_subject(notice)}"
    where = f", {unit}" if unit else ""
    asks = "" if notice.kind is NoticeKind.TEST else _ASKS[notice.priority]
    said = (asks, _WHY[notice.kind], _line(notice.text or ""), "" if site.url else "Open Vigil to see more.")
    return Body(
        title=("DEMO " if site.demo else "") + subject[0].upper() + subject[1:] + where,
        text=" ".join(part for part in (*said, "Simulated patients." if site.demo else "") if part),
        link=f"{site.url.rstrip('/')}{notice.link}" if site.url else "",
    )


def _subject(notice: Notice) -> str:
    if notice.kind is NoticeKind.SYSTEM:
        return f"{notice.priority} priority fault of Vigil"
    if notice.kind is NoticeKind.TEST:
        return "message from Vigil"
    kind = "technical alarm" if notice.lane is Lane.TECHNICAL else "alarm"
    return f"{notice.priority} priority {kind}"


def _line(text: str) -> str:
    """In one line: what others wrote must not become a header or a second message."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
