"""What is wrong between the tables of a policy, at its place with the fix; and what is legal but leaves somebody out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from itertools import pairwise

from alerting.reach.policy import Policy, Quiet, Route, Schedule, Weekly
from alerting.toml_files import Loc
from contracts.alarms import Lane, Priority
from contracts.local_time import DAYS, WEEK, Span, gaps, local_text, spans
from contracts.notices import Channel

Fault = tuple[Loc, str]

# Both need an open browser, or one that the maker of the browser can wake.
_BROWSER = frozenset({Channel.PAGE, Channel.WEB_PUSH})
_SHOWN = 12


def faults(policy: Policy) -> list[Fault]:
    """Everything that makes the policy impossible; empty when it can be put in force."""
    return [*_strangers(policy), *_targets(policy), *_plans(policy), *_overlaps(policy), *_endless(policy)]


def warnings(policy: Policy) -> list[Fault]:
    """What leaves nobody told at some time, or only somebody with an open browser."""
    return [*_gaps(policy), *_untaken(policy), *_unreached(policy), *_browser_only(policy)]


def unknown(name: str, what: str, there: Collection[str]) -> str:
    """`name` is none of `there`, and what is near."""
    near = get_close_matches(name, sorted(there), 1)
    shown = ", ".join(sorted(there)[:_SHOWN]) + (", …" if len(there) > _SHOWN else "")
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"names {name!r}, but there is no such {what}{hint}; there are: {shown or 'none'}"


def weekly_spans(entries: Iterable[Weekly]) -> list[Span]:
    """The minutes of the week that these cover."""
    return [span for entry in entries for span in spans(entry.days, *entry.minutes)]


def schedules(policy: Policy) -> Iterator[tuple[Loc, Schedule]]:
    """Every rota and on-call, with its place."""
    for name, rota in policy.rotas.items():
        yield ("rotas", name), rota
    for name, schedule in policy.on_call.items():
        yield ("on_call", name), schedule


def roles(policy: Policy) -> set[str]:
    """Every role that somebody has."""
    return {role for person in policy.people.values() for role in person.roles}


def _strangers(policy: Policy) -> Iterator[Fault]:
    people = policy.people
    for name, team in policy.teams.items():
        for number, member in enumerate(team.members):
            if member.person not in people:
                yield ("teams", name, "members", number, "person"), unknown(member.person, "person", people)
    for loc, schedule in schedules(policy):
        for number, shift in enumerate(schedule.shifts):
            for person in shift.people:
                if person not in people:
                    yield (*loc, "shifts", number, "people"), unknown(person, "person", people)
    for number, quiet in enumerate(policy.quiet):
        if quiet.person is not None and quiet.person not in people:
            yield ("quiet", number, "person"), unknown(quiet.person, "person", people)
        if quiet.role is not None and quiet.role not in roles(policy):
            yield ("quiet", number, "role"), unknown(quiet.role, "role", roles(policy))


def _targets(policy: Policy) -> Iterator[Fault]:
    there = {
        "team": ("role in a care team", {member.role for team in policy.teams.values() for member in team.members}),
        "rota": ("role with a rota", {rota.role for rota in policy.rotas.values()}),
        "on_call": ("on-call", set(policy.on_call)),
        "role": ("role", roles(policy)),
    }
    for name, plan in policy.plans.items():
        for number, step in enumerate(plan.steps):
            for target in step.to:
                kind, _, wanted = target.partition(":")
                if kind in there and wanted not in there[kind][1]:
                    yield ("plans", name, "steps", number), f"to {unknown(wanted, *there[kind])}"


def _plans(policy: Policy) -> Iterator[Fault]:
    for number, route in enumerate(policy.routes):
        if route.plan not in policy.plans:
            yield ("routes", number, "plan"), unknown(route.plan, "plan", policy.plans)
    told: set[str] = set()
    for name, plan in policy.plans.items():
        if plan.then is not None and plan.then.plan not in policy.plans:
            yield ("plans", name, "then"), unknown(plan.then.plan, "plan", policy.plans)
        way = [name]
        while (then := policy.plans[way[-1]].then) is not None and then.plan in policy.plans and then.plan not in way:
            way.append(then.plan)
        if then is not None and then.plan == name and not told & set(way):
            told |= set(way)
            yield (
                ("plans", name, "then"),
                f"goes round for ever: {' -> '.join([*way, name])}; end one of them without `then`",
            )


def _overlaps(policy: Policy) -> Iterator[Fault]:
    seen: dict[tuple[str | None, str], str] = {}
    for name, rota in policy.rotas.items():
        if (other := seen.setdefault((rota.unit, rota.role), name)) != name:
            yield ("rotas", name), f"is for the same unit and role as rota {other}; put their shifts into one"
    for loc, schedule in schedules(policy):
        weekly = [
            (start, end, number)
            for number, shift in enumerate(schedule.shifts)
            if shift.once_ms is None
            for start, end in spans(shift.days, *shift.minutes)
        ]
        once = [(*shift.once_ms, number) for number, shift in enumerate(schedule.shifts) if shift.once_ms is not None]
        told: set[tuple[int, int]] = set()
        for kind in (weekly, once):
            for before, after in pairwise(sorted(kind)):
                pair = (min(before[2], after[2]), max(before[2], after[2]))
                if after[0] < before[1] and pair not in told:
                    told.add(pair)
                    when = f" at {local_text(after[0])}" if kind is weekly else ""
                    yield (
                        (*loc, "shifts", pair[1]),
                        f"overlaps shift {pair[0] + 1}{when}; let one end where the other begins",
                    )


def _endless(policy: Policy) -> Iterator[Fault]:
    for number, quiet in enumerate(policy.quiet):
        whose: list[Quiet] = [
            q
            for q in policy.quiet[: number + 1]
            if (q.person, q.role, q.zone) == (quiet.person, quiet.role, quiet.zone)
        ]
        if not gaps(weekly_spans(whose)):
            yield (
                ("quiet", number),
                "covers the whole week with those before it, and would never end; leave some time open",
            )
            return


def _gaps(policy: Policy) -> Iterator[Fault]:
    for loc, schedule in schedules(policy):
        open_ = gaps(weekly_spans(s for s in schedule.shifts if s.once_ms is None))
        if open_ == [(0, WEEK)]:
            yield loc, "nobody is on duty but in the shifts with a date"
        elif open_:
            said = ", ".join(f"{local_text(start)} to {_end_text(end)}" for start, end in open_[:4])
            yield loc, f"nobody is on duty {said}{', …' if len(open_) > 4 else ''}"


def _end_text(minute: int) -> str:
    return f"{DAYS[6]} 24:00" if minute == WEEK else local_text(minute)


def _untaken(policy: Policy) -> Iterator[Fault]:
    open_ = [route for route in policy.routes if route.unit is None and route.condition is None]
    for lane in Lane:
        for priority in Priority:
            if not any(route.takes(None, lane, priority, "") for route in open_):
                yield ("routes",), f"no route takes every {lane} alarm of {priority} priority"


def _unreached(policy: Policy) -> Iterator[Fault]:
    for number, route in enumerate(policy.routes):
        before = next(
            (n for n, other in enumerate(policy.routes[:number]) if not other.continue_ and _covers(other, route)), None
        )
        if before is not None:
            yield ("routes", number), f"is never looked at: route {before + 1} takes all of its alarms"


def _covers(wide: Route, narrow: Route) -> bool:
    conditions = wide.condition is None or (
        narrow.condition is not None
        and (
            wide.condition == narrow.condition
            or (wide.condition.endswith("*") and narrow.condition.rstrip("*").startswith(wide.condition[:-1]))
        )
    )
    return (
        wide.unit in (None, narrow.unit)
        and wide.lane in (None, narrow.lane)
        and (not wide.priority or (bool(narrow.priority) and set(narrow.priority) <= set(wide.priority)))
        and conditions
    )


def browser_only(policy: Policy) -> list[str]:
    """Who can only be reached while their browser is open."""
    return [name for name, person in policy.people.items() if {address.channel for address in person.channels} <= _BROWSER]


def _browser_only(policy: Policy) -> Iterator[Fault]:
    for name in browser_only(policy):
        yield ("people", name, "channels"), "reaches an open browser only; add webhook, email or apprise"
