"""Escalation as a pure machine: what happened to an alarm and how much time went by in, whom to tell out.

    take    a change of the alarm: begins, restarts, stops or resumes its call; tells nobody by itself
    tell    what is to be done now: the first step, the next one, a reminder, or why nobody is told

Nothing here knows a clock: the shell says how much time went by on the monotonic one. A call that is behind does one step and
then waits for the next, so that an outage does not call everybody at once.

    WAITING --wait is over, nobody speaks for it--> CALLING --acknowledged, snoozed--> QUIET --lapsed, resumed--> CALLING
       |  ^                                          |   ^
       v  |  who spoke for it is silent              v   |
      COVERED <-----somebody more urgent speaks------+---+          any of them --ended--> OVER; worsened --> WAITING, anew
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from alerting.reach.call import NOBODY_REACHED, Call, Held, Phase
from alerting.reach.policy import Address
from alerting.reach.stages import Directory, Recipient, TimedStep
from contracts.alarms import OPEN, AlarmEvent, Change, Priority, State
from contracts.episodes import Grouping
from contracts.notices import NoticeKind

# How late a step may be and still have the next one at its own time; where it is later, the rest of the plan moves with it.
LATE_MS: Final = 5_000
# When to look again for somebody, where a plan has no reminders.
AGAIN_MS: Final = 60_000

GROUPING: Final = Grouping()
_NO_TIMES: Final[dict[str, Any]] = {"wait_ms": None, "step_ms": None, "remind_ms": None, "held": ()}
_BEGINNINGS: Final = frozenset({Change.RAISED, Change.RELEASED, Change.WORSENED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One person who is told, at these addresses, and why they."""

    step: int
    reminder: int
    kind: NoticeKind
    person: str
    addresses: tuple[Address, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The call after it, whom to tell, and what is to be kept of why somebody was told, or was not."""

    call: Call
    sends: tuple[Send, ...] = ()
    reasons: tuple[str, ...] = ()


def take(
    call: Call | None, event: AlarmEvent, *, episode: str | None = None, told_ago_ms: int | None = None
) -> Outcome | None:
    """The call after a change of its alarm, its times aged to now. `told_ago_ms`: since the same condition was told in the same
    episode; None: never. Gives None for an alarm that calls nobody, and never did."""
    if event.state in OPEN:
        after = _taken(call, event, episode, told_ago_ms)
    elif call is not None:
        after = replace(call, phase=Phase.OVER, state=event.state, **_NO_TIMES)
    else:
        return None
    ends = after.phase in (Phase.QUIET, Phase.OVER) and call is not None and call.phase not in (Phase.QUIET, Phase.OVER)
    untold = ends and not after.told
    return Outcome(call=after, reasons=(f"{event.change} before anybody was told",) if untold else ())


def _taken(call: Call | None, event: AlarmEvent, episode: str | None, told_ago_ms: int | None) -> Call:
    if call is None or event.change in _BEGINNINGS:
        call = _begun(call, event, episode, told_ago_ms)
    call = replace(call, state=event.state)
    match event.change:
        case Change.SNOOZED:
            call = replace(call, snoozed=True)
        case Change.RESUMED | Change.BROKEN | Change.ESCALATED:
            call = replace(call, snoozed=False)
        case Change.ASSIGNED | Change.HANDED_OVER:
            call = _assigned(call, event.assignee)
        case Change.CLEARED if call.told:
            # Latched: who was told is reminded, and nobody further is called for what is over.
            call = replace(call, step_ms=None)
    if call.snoozed or call.state is State.ACKNOWLEDGED:
        return replace(call, phase=Phase.QUIET, **_NO_TIMES)
    if event.change is Change.ESCALATED:
        return _pressed(call)
    return _resumed(call) if call.phase is Phase.QUIET else call


def tell(
    call: Call, directory: Directory, *, cover: str | None = None, dead: bool = False, reached: bool = False
) -> Outcome:
    """What is to be done for `call`, its times aged to now. `cover`: the alarm that speaks for it. `dead`: of the newest step
    that told anybody, a whole telling was given up and nothing came through; `reached`: something of the call came through.
    """
    dead, reached = dead and call.told, reached and call.told
    if call.phase is Phase.COVERED and cover is None:
        call = _resumed(call)
    if call.phase not in (Phase.WAITING, Phase.CALLING) or (call.phase is Phase.WAITING and (call.wait_ms or 0) > 0):
        return Outcome(call=call)
    if cover is not None:
        covered = replace(call, phase=Phase.COVERED, **_NO_TIMES)
        return Outcome(call=covered, reasons=(f"alarm {cover} of the same episode speaks for it",))
    telling = _Telling(call, directory, lost=not reached and (dead or not call.told))
    if call.phase is Phase.WAITING:
        telling.begin()
    elif dead:
        telling.go_on("every notice was given up")
    if reached:
        telling.change(unreached=False)
    telling.run()
    return Outcome(call=telling.call, sends=tuple(telling.sends), reasons=tuple(telling.reasons))


def put_off(call: Call, why: str) -> Outcome:
    """`call` waits on although its wait is over; said once."""
    return Outcome(call=replace(call, delayed=True), reasons=() if call.delayed else (why,))


def failed(call: Call, why: str) -> Outcome:
    """Our own code failed on `call`: nobody is known to be told, which is said; and it is tried again."""
    lost = replace(call, phase=Phase.CALLING, unreached=True, **(_NO_TIMES | {"remind_ms": AGAIN_MS}))
    return Outcome(call=lost, reasons=() if call.unreached else (f"{why}; tried again every {AGAIN_MS // 1000} s",))


class _Telling:
    """One run of `tell`; never leaves it."""

    def __init__(self, call: Call, directory: Directory, *, lost: bool) -> None:
        """`lost`: whatever the call told before now reached nobody."""
        self.call, self._lost = call, lost
        self.sends: list[Send] = []
        self.reasons: list[str] = []
        self._directory, self._steps = directory, directory.steps

    def change(self, **values: Any) -> None:
        self.call = replace(self.call, **values)

    def begin(self) -> None:
        """From waiting to calling: the first step, or the one that it had, again."""
        late_ms = 0 if self.call.delayed else max(self.call.wait_ms or 0, -LATE_MS)
        self.change(phase=Phase.CALLING, wait_ms=None, delayed=False)
        if self.call.step >= 0:
            self.change(remind_ms=0, step_ms=self._gap_ms(late_ms))
            self.reasons.append(f"it calls again, at step {self.call.step + 1}")
            return
        self.reasons += self._directory.routed.reasons
        if self._steps:
            self.change(step_ms=self._steps[0].after_ms + late_ms)
        else:
            self._unreached("nobody can be told")

    def go_on(self, why: str) -> None:
        """Nobody was told: the next step at once; where there is none, whoever is held back; else nobody is reached."""
        if self._next is not None:
            self.change(step_ms=0)
            self.reasons.append(f"{why}: the next step comes at once")
        elif self.call.held:
            self.change(held=tuple(replace(held, in_ms=0) for held in self.call.held))
        elif self._lost and not self.sends and not self.call.unreached:
            self._unreached(f"{why}, and no step is left")

    def run(self) -> None:
        """Do what is due. Ends: each round takes a step of the plan, or is the last."""
        while True:
            if self._due(self.call.step_ms) and (step := self._next) is not None:
                self._step(step)
                continue
            if due := [held for held in self.call.held if held.in_ms <= 0]:
                self.change(
                    held=tuple(held for held in self.call.held if held.in_ms > 0), reminder=self.call.reminder + 1
                )
                self._tell_held(due)
            if self._due(self.call.remind_ms):
                self._remind()
            if self._next is None:
                self.change(step_ms=None)  # the plan has become shorter, too
            if not self._due(self.call.step_ms):
                return

    @property
    def _next(self) -> TimedStep | None:
        number = self.call.step + 1
        return self._steps[number] if number < len(self._steps) else None

    @staticmethod
    def _due(ms: int | None) -> bool:
        return ms is not None and ms <= 0

    def _gap_ms(self, late_ms: int) -> int | None:
        """From the step just done to the next; None: there is none. Nobody further is called for what is over."""
        following = self._next
        if following is None or self.call.state is State.LATCHED:
            return None
        return following.after_ms - self._steps[self.call.step].after_ms + late_ms

    def _step(self, step: TimedStep) -> None:
        late_ms, waiting = max(self.call.step_ms or 0, -LATE_MS), self.call.held
        self.change(step=self.call.step + 1, reminder=0, held=(), remind_ms=step.remind_ms)
        self.change(step_ms=self._gap_ms(late_ms))
        named, before = f"step {self.call.step + 1}", len(self.sends)
        found = self._directory.audience(step)
        self.reasons += [f"{named}: {reason}" for reason in found.reasons]
        waited = {held.person for held in waiting}
        for person in found.people:
            if person.hold_ms and person.person not in waited:
                self.change(held=(*self.call.held, Held(person=person.person, why=person.why, in_ms=person.hold_ms)))
                self.reasons.append(
                    f"{named}: {person.person} has quiet hours and is told when they end, or with the next step"
                )
            else:
                self._send(person, self._kind, person.why)
        self._tell_held(held for held in waiting if held.person not in {person.person for person in found.people})
        if len(self.sends) == before and not self.call.held:
            self.go_on(f"{named} tells nobody")

    def _tell_held(self, due: Iterable[Held]) -> None:
        for held in due:
            person = self._directory.person(held.person, held.why)
            if person is None:
                self.reasons.append(f"{held.person} is not in the directory")
            else:
                self._send(person, self._kind, held.why)

    def _remind(self) -> None:
        """The newest step again, without those who have quiet hours. Where nobody was reached, whoever there is now."""
        if not self._steps or self.call.step < 0:
            self.change(remind_ms=AGAIN_MS, step_ms=0 if self._steps else None)
            return
        step = self._steps[min(self.call.step, len(self._steps) - 1)]
        self.change(remind_ms=AGAIN_MS if step.remind_ms is None and self.call.unreached else step.remind_ms)
        found = self._directory.audience(step).people
        if free := [person for person in found if not person.hold_ms]:
            self.change(reminder=self.call.reminder + 1)
        for person in free:
            self._send(person, NoticeKind.REMINDER, person.why)
        if not free and not self.call.held:
            self.change(held=tuple(Held(person=p.person, why=p.why, in_ms=p.hold_ms) for p in found))
        if not found and not self.call.held:
            self.go_on(f"nobody is left of step {self.call.step + 1}")

    def _unreached(self, why: str) -> None:
        self.change(unreached=True, remind_ms=self.call.remind_ms or AGAIN_MS)
        self.reasons.append(why)

    @property
    def _kind(self) -> NoticeKind:
        if self.call.condition == NOBODY_REACHED:
            return NoticeKind.SYSTEM
        if self.call.step > 0:
            return NoticeKind.ESCALATED
        return NoticeKind.WORSE if self.call.worse else NoticeKind.ALARM

    def _send(self, person: Recipient, kind: NoticeKind, why: str) -> None:
        self.change(told=True)
        self.sends.append(
            Send(
                step=self.call.step, reminder=self.call.reminder, kind=kind, person=person.person, addresses=person.addresses,
                why=why,
            )
        )  # fmt: skip


def _begun(call: Call | None, event: AlarmEvent, episode: str | None, told_ago_ms: int | None) -> Call:
    """A call at its beginning: high priority is told at once, others wait (`contracts.episodes.Grouping`)."""
    worse = event.change is Change.WORSENED
    wait_ms, _ = GROUPING.waits(event.priority, None if worse else told_ago_ms, event.condition)
    return Call(
        alarm_id=event.alarm_id, patient=event.patient, lane=event.lane, condition=event.condition, priority=event.priority,
        state=event.state, text=event.text, number=1 if call is None else call.number + 1,
        episode=episode if call is None else call.episode or episode,
        assigned_to=None if call is None else call.assigned_to, worse=worse, wait_ms=wait_ms,
    )  # fmt: skip


def _resumed(call: Call) -> Call:
    """Nobody takes care of it any more, or nobody speaks for it. What was told is told again at once, at the step that it had."""
    wait_ms = 0 if call.step >= 0 or call.priority is Priority.HIGH else GROUPING.wait_ms
    return replace(call, phase=Phase.WAITING, **(_NO_TIMES | {"wait_ms": wait_ms}))


def _pressed(call: Call) -> Call:
    """Somebody asks for help: the next step comes at once, and where there is none the newest again; a call that
    was not told yet begins."""
    if call.step < 0:
        return replace(call, phase=Phase.WAITING, **(_NO_TIMES | {"wait_ms": 0}))
    return replace(call, phase=Phase.CALLING, wait_ms=None, step_ms=0, remind_ms=0)


def _assigned(call: Call, to: str | None) -> Call:
    """Who is assigned while the alarm calls is told at once."""
    call = replace(call, assigned_to=to)
    if to is None or call.phase is not Phase.CALLING or call.step < 0:
        return call
    return replace(call, held=(*call.held, Held(person=to, why="the alarm was assigned to them", in_ms=0)))
