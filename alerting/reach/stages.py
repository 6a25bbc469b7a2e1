"""From an alarm to people: a line of pure stages, each of which says why.

    routed      which plans an alarm takes
    timeline    the steps of these plans, one after the other
    audience    who is meant by the targets of a step now, through which channels, and who has quiet hours

`Directory` is this line for one alarm at one moment.

Nobody is left out without a reason, and what cannot be answered is told, not hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from alerting.reach.faults import weekly_spans
from alerting.reach.policy import Address, Plan, Policy, Schedule
from contracts.alarms import Lane, Priority
from contracts.local_time import minute_of_week, next_ms, run_end

# However quiet hours of several people, roles and zones meet: a weekend, and then somebody is told.
MOST_QUIET_MS: Final = 72 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of an alarm decides who is told. `unit`: the ward of the patient, None where it is not known."""

    unit: str | None
    patient: str
    lane: Lane
    priority: Priority
    condition: str
    assigned_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The plans that an alarm takes, and why each."""

    plans: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStep:
    """A step `after_ms` after the call began; its people are reminded every `remind_ms`."""

    after_ms: int
    targets: tuple[str, ...]
    remind_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A person who is to be told, where, and why they. `hold_ms`: their quiet hours go on for so long; 0: they have none now."""

    person: str
    addresses: tuple[Address, ...]
    why: str
    hold_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who a step tells, each person once; and why a target is nobody."""

    people: tuple[Recipient, ...] = ()
    reasons: tuple[str, ...] = field(default=())


def routed(policy: Policy, facts: Facts) -> Routed:
    """The first route that fits, and those after it as long as it says `continue`."""
    plans: list[str] = []
    reasons: list[str] = []
    for number, route in enumerate(policy.routes, start=1):
        if not route.takes(facts.unit, facts.lane, facts.priority, facts.condition):
            continue
        if route.plan not in plans:
            plans.append(route.plan)
            reasons.append(f"route {number} takes plan {route.plan}")
        if not route.continue_:
            break
    if not plans:
        reasons.append("no route takes it")
    return Routed(plans=tuple(plans), reasons=tuple(reasons))


def timeline(policy: Policy, plans: Sequence[str]) -> tuple[TimedStep, ...]:
    """The steps of several plans and of those that go on after them, in the order of their times; steps of one time are one."""
    steps: dict[int, TimedStep] = {}
    for name in plans:
        begins_ms, plan = 0, policy.plans.get(name)
        while plan is not None:
            for step in _timed(plan, begins_ms):
                there = steps.get(step.after_ms)
                steps[step.after_ms] = step if there is None else _together(there, step)
            then = plan.then
            begins_ms += (plan.steps[-1].after_s + (then.after_s if then else 0)) * 1000
            plan = policy.plans.get(then.plan) if then else None
    return tuple(steps[after_ms] for after_ms in sorted(steps))


def audience(policy: Policy, targets: Sequence[str], facts: Facts, at_ms: int) -> Audience:
    """Who `targets` are at wall time `at_ms`."""
    people: dict[str, Recipient] = {}
    reasons: list[str] = []
    for target in targets:
        named, why = _meant(policy, target, facts, at_ms)
        known = [person for person in named if person in policy.people]
        if not known:
            reasons.append(f"{target}: {f'{named[0]} is not in the directory' if named else why}")
        for person in known:
            people.setdefault(person, _recipient(policy, person, f"{target}: {why}", facts.priority, at_ms))
    return Audience(people=tuple(people.values()), reasons=tuple(reasons))


def _timed(plan: Plan, begins_ms: int) -> Iterator[TimedStep]:
    remind_ms = None if plan.remind_s is None else plan.remind_s * 1000
    for step in plan.steps:
        yield TimedStep(after_ms=begins_ms + step.after_s * 1000, targets=step.to, remind_ms=remind_ms)


def _together(one: TimedStep, other: TimedStep) -> TimedStep:
    reminders = [ms for ms in (one.remind_ms, other.remind_ms) if ms is not None]
    targets = tuple(dict.fromkeys((*one.targets, *other.targets)))
    return TimedStep(after_ms=one.after_ms, targets=targets, remind_ms=min(reminders, default=None))


def _meant(policy: Policy, target: str, facts: Facts, at_ms: int) -> tuple[Sequence[str], str]:
    """The ids that a target stands for, and why they, or why nobody."""
    kind, _, name = target.partition(":")
    match kind:
        case "assigned":
            who = facts.assigned_to
            return ([who], "the alarm is assigned to them") if who else ([], "the alarm is assigned to nobody")
        case "team":
            return _team(policy, name, facts, at_ms)
        case "rota":
            rotas = [(n, r) for n, r in policy.rotas.items() if r.role == name and r.unit in (None, facts.unit)]
            if not rotas:
                return [], f"there is no rota for {facts.unit or 'a patient without a unit'}"
            rota, schedule = max(rotas, key=lambda entry: entry[1].unit is not None)
            return _on_duty(f"rota {rota}", schedule, at_ms)
        case "on_call":
            return _on_duty(f"on call {name}", policy.on_call[name], at_ms)
        case _:
            having = [person for person, entry in policy.people.items() if name in entry.roles]
            return having, "they have the role" if having else "nobody has the role"


def _team(policy: Policy, role: str, facts: Facts, at_ms: int) -> tuple[Sequence[str], str]:
    named: list[str] = []
    teams: list[str] = []
    for name, team in policy.teams.items():
        if facts.patient in team.patients or facts.unit in team.units:
            now = [member.person for member in team.members if member.role == role and member.holds(at_ms)]
            named += now
            teams += [name] if now else []
    return named, f"in team {', '.join(teams)}" if named else "no team of this patient or unit has one now"


def _on_duty(what: str, schedule: Schedule, at_ms: int) -> tuple[Sequence[str], str]:
    for shift in schedule.shifts:
        if (once := shift.once_ms) is not None and once[0] <= at_ms < once[1]:
            return shift.people, f"{what}, shift of {shift.from_}"
    minute = minute_of_week(at_ms, schedule.zone)
    for shift in schedule.shifts:
        if shift.once_ms is None and any(start <= minute < end for start, end in weekly_spans([shift])):
            return shift.people, f"{what}, shift {shift.from_} to {shift.to} {schedule.zone}"
    return [], f"{what} has nobody on duty now"


def _recipient(policy: Policy, person: str, why: str, priority: Priority, at_ms: int) -> Recipient:
    hold_ms = 0 if priority is Priority.HIGH else _quiet_ms(policy, person, at_ms)
    addresses = tuple(
        a if a.address else a.model_copy(update={"address": person}) for a in policy.people[person].channels
    )
    return Recipient(person=person, addresses=addresses, why=why, hold_ms=hold_ms)


def _quiet_ms(policy: Policy, person: str, at_ms: int) -> int:
    """For how long the quiet hours of a person go on; 0: they have none now."""
    entry = policy.people[person]
    zones: dict[str, list[tuple[int, int]]] = {}
    for quiet in policy.quiet:
        if quiet.person == person or quiet.role in entry.roles:
            zones.setdefault(quiet.zone, []).extend(weekly_spans([quiet]))
    end_ms = at_ms
    while end_ms - at_ms < MOST_QUIET_MS:
        ends = [
            next_ms(end_ms, zone, minute)
            for zone, spans in zones.items()
            if (minute := run_end(spans, minute_of_week(end_ms, zone))) is not None
        ]
        if not ends:
            return end_ms - at_ms
        end_ms = max(ends)
    return MOST_QUIET_MS


class Directory:
    """Who is told of one alarm, as the policy has it at wall time `at_ms`."""

    def __init__(self, policy: Policy, facts: Facts, at_ms: int) -> None:
        self._policy, self._facts, self._at_ms = policy, facts, at_ms
        self.routed = routed(policy, facts)
        self.steps = timeline(policy, self.routed.plans)

    def audience(self, step: TimedStep) -> Audience:
        """Who a step tells."""
        return audience(self._policy, step.targets, self._facts, self._at_ms)

    def person(self, person: str, why: str) -> Recipient | None:
        """Somebody who is told whatever their duty; None: the directory does not have them."""
        if person not in self._policy.people:
            return None
        return _recipient(self._policy, person, why, self._facts.priority, self._at_ms)
