"""What would happen to an alarm that nobody answers: the same machine, run ahead of time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.reach.call import Call
from alerting.reach.machine import take, tell
from alerting.reach.policy import Policy
from alerting.reach.stages import Directory, Facts
from contracts.alarms import AlarmEvent, Change, State, alarm_id, digest
from contracts.notices import NoticeKind

# Reminders go on for ever; what is asked for are the steps, and each one's first reminder.
_MOST_MS: Final = 4 * 86_400_000
_MOST_ROUNDS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """`person` would be told `after_ms` after the alarm began. None: nobody, or not yet; `why` says it."""

    after_ms: int
    why: str
    kind: NoticeKind | None = None
    person: str | None = None
    channels: tuple[str, ...] = ()


def outlook(policy: Policy, facts: Facts, at_ms: int) -> list[Expected]:
    """Everything that would be told of an alarm that begins at `at_ms`, alone in its episode, until nothing new follows."""
    identity = alarm_id(facts.patient, facts.condition, at_ms)
    begins = AlarmEvent(
        event_id=digest("outlook", identity), alarm_id=identity, change=Change.RAISED, state=State.ACTIVE, alarm_version=1,
        patient=facts.patient, condition=facts.condition, rule_version=0, lane=facts.lane, priority=facts.priority, text="",
        onset_ms=at_ms, condition_ms=at_ms, at_ms=at_ms,
    )  # fmt: skip
    outcome = take(None, begins)
    assert outcome is not None, "an alarm that begins calls"
    call, now_ms, found = outcome.call, 0, list[Expected]()
    reminded: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        if (due_ms := call.due_ms) is None or now_ms + due_ms > _MOST_MS:
            break
        if due_ms and now_ms == 0 and call.step < 0:
            waits = f"{facts.priority} priority is told when it has stood for {due_ms // 1000} s"
            found.append(Expected(after_ms=0, why=waits))
        now_ms += due_ms
        outcome = tell(call.aged(due_ms), Directory(policy, facts, at_ms + now_ms))
        call = outcome.call
        found += [Expected(after_ms=now_ms, why=reason) for reason in outcome.reasons]
        for send in outcome.sends:
            if send.kind is NoticeKind.REMINDER and send.step in reminded:
                continue
            found.append(
                Expected(
                    after_ms=now_ms, kind=send.kind, person=send.person, why=send.why,
                    channels=tuple(address.channel.value for address in send.addresses),
                )
            )  # fmt: skip
        reminded |= {send.step for send in outcome.sends if send.kind is NoticeKind.REMINDER}
        if _over(call, reminded):
            break
    return found


def _over(call: Call, reminded: set[int]) -> bool:
    """Whether nothing new would follow: the last step is done and reminded of, or nobody is there to be told."""
    return (
        call.step_ms is None and not call.held and (call.unreached or call.remind_ms is None or call.step in reminded)
    )
