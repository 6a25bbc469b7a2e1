"""A backtest as one HTML file that stands alone: tables, bars and the surface in colours. Nothing of a single patient is in it
but the differences, alarm by alarm, with the keys of the data."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cli.backtesting.outcome import Alarm, Difference, Outcome
from cli.backtesting.surface import Surface

MOST_ROWS: Final = 500
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #d8dee4}
td{white-space:nowrap}th:first-child,td:first-child{text-align:left}
.note{color:#57606a}.here{outline:2px solid #1b2733;outline-offset:-2px}details{margin:1rem 0}
"""
_COLOURS: Final = {"raw": "#8b949e", "today": "#0b6bcb", "draft": "#15803d"}


def report(
    about: str,
    facts: str,
    outcomes: Mapping[str, Outcome],
    differences: Difference | None,
    surfaces: Sequence[Surface],
) -> str:
    """The whole page."""
    parts = [
        f"<p>{_text(facts)} The same code as live judged these data in event time. Vigil is not a certified medical device.</p>",
        "<h2>Alarms and events</h2>",
        _outcomes(outcomes),
        "<p class=note>Chance: what as many notifications at random moments would have caught. Raw: the limits alone, without "
        "delay, margin or score.</p>",
        "<h2>Alarms by condition</h2>",
        _bars(outcomes),
    ]
    if differences is not None:
        parts += ["<h2>Draft and today, alarm by alarm</h2>", _differences(differences)]
    parts += [_surface(each) for each in surfaces]
    return _page(f"Backtest on {about}", "".join(parts))


def simple(title: str, text: str, body: str) -> str:
    """A page of one table."""
    return _page(title, f"<p>{_text(text)} Vigil is not a certified medical device.</p>{body}")


def _page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(title)}</title><style>{_STYLE}</style>"
        f"<body><h1>{_text(title)}</h1>{body}</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts."""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


HEAD: Final = (
    "rules", "alarms a patient-day", "notifications a patient-day", "events caught", "by chance", "PPV",
    "lead, median (quartiles)",
)  # fmt: skip


def row(name: str, what: Outcome) -> list[str]:
    """An outcome as cells under `HEAD`, for the page and for people at a terminal."""
    lead = "–"
    if what.lead_s is not None:
        lead = f"{span(what.lead_s[1])} ({span(what.lead_s[0])} to {span(what.lead_s[2])})"
    caught = "–" if what.sensitivity is None else f"{what.caught} of {what.events} ({what.sensitivity:.1%})"
    return [
        name,
        f"{what.alarms_per_patient_day:.3f}",
        f"{what.notifications_per_patient_day:.3f}",
        caught,
        "–" if what.chance is None else f"{what.chance:.1%}",
        "–" if what.ppv is None else f"{what.ppv:.3f}",
        lead,
    ]


def span(seconds: float) -> str:
    """A lead as text; below 0 it is a delay.

    >>> span(7200.0), span(-42.0), span(600.0)
    ('2.0 h', '-42 s', '10 min')
    """
    size = abs(seconds)
    if size >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if size >= 120 else f"{seconds:.0f} s"


def _outcomes(outcomes: Mapping[str, Outcome]) -> str:
    return table(HEAD, [row(name, what) for name, what in outcomes.items()])


def _bars(outcomes: Mapping[str, Outcome]) -> str:
    """One bar a condition and set of rules."""
    totals: dict[str, int] = {}
    for what in outcomes.values():
        for name, count in what.by_condition.items():
            totals[name] = max(totals.get(name, 0), count)
    names = sorted(totals, key=lambda name: (-totals[name], name))[:24]
    most, high = max(totals.values(), default=1), 14
    lines, y = [], 0
    for name in names:
        for place, (rules, what) in enumerate(outcomes.items()):
            count = what.by_condition.get(name, 0)
            width = 460 * count / most
            label = f'<text x="0" y="{y + 11}" font-size="12">{_text(name)}</text>' if place == 0 else ""
            colour = _COLOURS.get(rules, "#7c3aed")
            lines.append(
                f'{label}<rect x="210" y="{y + 1}" width="{width:.1f}" height="{high - 3}" fill="{colour}"/>'
                f'<text x="{214 + width:.1f}" y="{y + 11}" font-size="11" fill="#57606a">{count:,} {_text(rules)}</text>'
            )
            y += high
        y += 6
    return f'<svg viewBox="0 0 820 {max(y, 1)}" width="820" role="img" aria-label="alarms by condition">{"".join(lines)}</svg>'


def _differences(found: Difference) -> str:
    rows = [[name, f"{more:,}", f"{less:,}"] for name, (more, less) in found.by_condition().items()]
    each = [("new", a) for a in found.only_new] + [("gone", a) for a in found.only_today]
    each.sort(key=lambda item: item[1].at_ms)
    shown = [[kind, *_alarm(alarm)] for kind, alarm in each[:MOST_ROWS]]
    rest = f"<p class=note>The first {MOST_ROWS:,} of {len(each):,}.</p>" if len(each) > MOST_ROWS else ""
    return (
        f"<p>{found.both:,} alarms in both, {len(found.only_new):,} new, {len(found.only_today):,} gone, {found.urgency:,} of "
        f"another priority. Events found by the draft alone: {len(found.events_gained):,}; by today's rules alone: "
        f"{len(found.events_lost):,}.</p>{table(['condition', 'new', 'gone'], rows)}<details><summary>Alarm by alarm</summary>"
        f"{table(['', 'patient', 'condition', 'priority', 'at (UTC)'], shown)}{rest}</details>"
    )


def _alarm(alarm: Alarm) -> list[str]:
    at = datetime.fromtimestamp(alarm.at_ms / 1000, UTC)
    return [alarm.patient, alarm.condition, alarm.priority.value, f"{at:%Y-%m-%d %H:%M:%S}"]


def _surface(of: Surface) -> str:
    """A table a filter: thresholds down, delays across, alarms a patient-day in colours and events beneath."""
    most = max((p.alarms_per_patient_day for p in of.points), default=0.0) or 1.0
    delays = sorted({p.delay_s for p in of.points})
    parts = [f"<h2>{_text(of.condition)}: threshold and delay</h2>"]
    for width in sorted({p.filter for p in of.points}):
        body = ""
        for threshold in dict.fromkeys(p.threshold for p in of.points):
            cells = ""
            for point in (p for p in of.points if p.filter == width and p.threshold == threshold):
                shade = point.alarms_per_patient_day / most
                here = " class=here" if (threshold, point.delay_s, width) == (of.threshold, of.delay_s, 1) else ""
                events = f"<br><small>{point.caught} of {of.events}</small>" if of.events else ""
                cells += (
                    f'<td{here} style="background:rgba(194,65,12,{0.85 * shade:.3f})">'
                    f"{point.alarms_per_patient_day:.3f}{events}</td>"
                )
            body += f"<tr><td>{threshold:g} {_text(of.unit)}</td>{cells}</tr>"
        head = "".join(f"<th>{delay:g} s</th>" for delay in delays)
        title = "as measured" if width == 1 else f"median of {width} values"
        parts.append(f"<table><caption>{title}</caption><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>")
    parts.append("<p class=note>Alarms a patient-day of the limit alone, events found beneath; framed: the rule as it is.</p>")
    return "".join(parts)


def _text(value: str) -> str:
    return html.escape(value)
