"""The shell around the machine: the alarm feed and the clock in, one write out, four times a second.

Due times are durations from a wall time in SQL. The wall clock is asked once for each, when a call is first seen; what is left
runs on the monotonic clock. Whatever is decided is written at once or not at all, and only if nobody has written since it was
read: so of several escalators one tells, and one that is killed has told everything or nothing of a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from alerting.reach.call import NOBODY_REACHED, RANK, Call, Phase, cover_of
from alerting.reach.files import parse, shipped
from alerting.reach.flood import REASON, Flood, longest_waiting_first, takes_room, waits_for_room, would_begin
from alerting.reach.machine import GROUPING, Outcome, failed, put_off, take, tell
from alerting.reach.stages import Directory, Facts
from alerting.reach.stored import call_of, history, nobody_reached, notices, reached_again, stored
from contracts.alarms import OPEN, AlarmEvent, Change, Priority, State
from contracts.errors import InvalidInput
from contracts.quiet import QuietTimes
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.notices import Written
from infra.runtime.sql.people_time import Deadlines
from infra.runtime.sql.reach import Evidence, ReachStore, Reason, Seen, StoredCall, Turn
from infra.runtime.sql.rules import RuleStore

PAGE: Final = 500
QUIET_LOOK_S: Final = 1.0
# How long it is kept who was told of an alarm that is over, with addresses: a year and a month. The alarm stays for ever.
KEEP_MS: Final = 400 * 86_400_000
FORGET_EVERY_S: Final = 3600.0
# A clock that was set far ahead must not make a call older than any plan is long.
_OLDEST_MS: Final = 7 * 86_400_000
_ROUNDS: Final = 50

_log = get_logger("alerting.reach")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A call as it was at `at_s` of the monotonic clock, and its row."""

    call: Call
    at_s: float
    row: StoredCall

    def now(self, now_s: float) -> Call:
        return self.call.aged(round((now_s - self.at_s) * 1000))


@dataclass(slots=True)
class _Draft:
    """What one look changes: calls aged to now, and what is to be written. `flood`: first tellings of low priority."""

    calls: dict[str, Call] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    flood: int = 0
    notices: list[Written] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)

    def keep(self, outcome: Outcome) -> None:
        call = outcome.call
        self.calls[call.alarm_id] = call
        self.reasons += [Reason(alarm_id=call.alarm_id, number=call.number, text=text) for text in outcome.reasons]


class Escalator:
    """One process of it. `look` is not thread-safe; it blocks on SQL and raises its `Retryable`."""

    def __init__(
        self, store: ReachStore, alarms: AlarmStore, policies: RuleStore, clock: Clock, quiet: QuietTimes | None = None
    ) -> None:
        """`quiet`: for how long people may keep an alarm quiet."""
        self._store, self._alarms, self._policies, self._clock = store, alarms, policies, clock
        self._deadlines = Deadlines(quiet or QuietTimes())
        self._deadlines_s = self._forgets_s = float("-inf")
        self._policy = shipped()
        self._running: dict[str, _Running] = {}
        self._flood = Flood(GROUPING)
        self._writes = self._evidence = -1
        self._wrong_policy = 0
        self._said: int | None = -1  # for which time the alarm of nobody reached was last seen to; -1: not yet

    @property
    def calling(self) -> int:
        """How many calls are running."""
        return len(self._running)

    @property
    def unreached(self) -> int:
        """For how many calls nobody could be told."""
        return sum(running.call.unreached for running in self._running.values())

    @property
    def delayed(self) -> int:
        """How many calls of low priority a flood puts off."""
        return sum(waits_for_room(running.call) for running in self._running.values())

    def look(self) -> int:
        """Do everything that is due; how many notices were written."""
        self._end_quiet()
        while (written := self._look()) is None:
            continue
        self._forget()
        return written

    def _forget(self) -> None:
        """Delete what is kept for long enough: some of it at each look, until nothing of it is left for an hour."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._forgets_s and not self._store.forget(self._clock.now_ms(), KEEP_MS):
            self._forgets_s = now_s + FORGET_EVERY_S

    def _end_quiet(self) -> None:
        """Bring back what people made quiet when its time is over, as API nodes do: there may be none. SQL lets one win."""
        now_s = self._clock.monotonic_s()
        quiet = any(running.call.phase is Phase.QUIET for running in self._running.values())
        if not quiet or now_s < self._deadlines_s:
            return
        self._deadlines_s = now_s + QUIET_LOOK_S
        due = self._deadlines.due(self._alarms.quiet_alarms(), now_ms=self._clock.now_ms(), now_s=now_s)
        self._alarms.end_quiet(due, at_ms=self._clock.now_ms())

    def _look(self) -> int | None:
        """A page of the feed, and what is due if that is its end. None: it is not."""
        seen = self._store.seen()
        self._use(seen.policy)
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        if seen.writes != self._writes:
            self._load(seen, now_s, now_ms)
        self._say(seen.unreached_ms, now_ms)
        if seen.feed_seq < 0:
            return self._first(seen, now_s, now_ms)
        events = self._store.changes(seen.feed_seq, PAGE) if seen.last_seq > seen.feed_seq else []
        evidence = self._store.evidence() if seen.evidence != self._evidence else {}
        draft = _Draft()
        self._hear(draft, events, now_s, now_ms)
        if len(events) == PAGE:  # all of the past first: who was answered meanwhile is not called
            self._write(seen, draft, events, now_s, now_ms)
            return None
        self._tell(draft, evidence, now_s, now_ms)
        written = self._write(seen, draft, events, now_s, now_ms)
        if written is not None:
            self._evidence = seen.evidence
        return written or 0

    def _use(self, number: int) -> None:
        """Put the newest policy in force. One that cannot be read was not written by us: the last one stays."""
        if number in (self._policy.version, self._wrong_policy):
            return
        version = self._policies.get(number)
        try:
            self._policy = shipped() if version is None else parse(version.document, version=number)
        except InvalidInput as error:
            self._wrong_policy = number
            _log.error("policy not loaded, the last one stays in force", version=number, reason=error.message)
        else:
            _log.info("policy in force", version=number)

    def _load(self, seen: Seen, now_s: float, now_ms: int) -> None:
        """All running calls from SQL. Those that nobody else has changed keep their time on the monotonic clock."""
        found: dict[str, _Running] = {}
        for row in self._store.running():
            known = self._running.get(row.alarm_id)
            if known is not None and known.row == row:
                found[row.alarm_id] = known
                continue
            ago_ms = min(max(now_ms - row.since_ms, 0), _OLDEST_MS)
            call = call_of(row)
            found[row.alarm_id] = _Running(call=call, at_s=now_s - ago_ms / 1000, row=row)
            if row.told_ms is None or (known is not None and known.row.told_ms == row.told_ms):
                continue
            if call.priority is Priority.LOW and (call.step, call.reminder) == (0, 0):
                self._flood.others_told(now_s - max(now_ms - row.told_ms, 0) / 1000)
        self._running, self._writes, self._evidence = found, seen.writes, -1

    def _first(self, seen: Seen, now_s: float, now_ms: int) -> int:
        """The first look ever: the alarms that call now, and not all that ever did."""
        draft = _Draft()
        changes = [e for a in self._alarms.open_alarms() if a.feed_seq <= seen.last_seq for e in history(a)]
        self._hear(draft, changes, now_s, now_ms)
        self._tell(draft, {}, now_s, now_ms)
        return self._write(seen, draft, [], now_s, now_ms, feed_seq=seen.last_seq) or 0

    def _hear(self, draft: _Draft, events: Iterable[AlarmEvent], now_s: float, now_ms: int) -> None:
        """Take the changes of alarms, in order."""
        events = list(events)
        new = {e.alarm_id for e in events if e.change in (Change.RAISED, Change.RELEASED)}
        episodes = self._store.episodes(new) if new else {}
        told = self._store.told(set(episodes.values())) if episodes else {}
        for event in events:
            call = draft.calls.get(event.alarm_id)
            if call is None and (running := self._running.get(event.alarm_id)) is not None:
                call = running.now(now_s)
            if call is not None and call.phase is Phase.OVER and event.state not in OPEN:
                continue
            episode = episodes.get(event.alarm_id)
            told_ms = told.get((episode, event.condition)) if episode is not None else None
            ago_ms = None if told_ms is None else max(now_ms - told_ms, 0)
            if (outcome := take(call, event, episode=episode, told_ago_ms=ago_ms)) is not None:
                draft.keep(outcome)

    def _tell(self, draft: _Draft, evidence: dict[str, Evidence], now_s: float, now_ms: int) -> None:
        """Do what is due, until nothing follows from it any more: what happens to one alarm may silence, or let speak, the others
        of its episode."""
        touched, room = set(draft.calls), self._flood.room(now_s) > 0
        for alarm_id, running in self._running.items():
            due_ms, proof = running.call.due_ms, evidence.get(alarm_id)
            due = due_ms is not None and running.at_s + due_ms / 1000 <= now_s and (room or not waits_for_room(running.call))
            proven = proof is not None and (proof.dead or (proof.through and running.call.unreached))
            if due or proven:
                touched.add(alarm_id)
        if not touched:
            return
        members = self._members(draft)
        units = self._store.units({self._now(draft, alarm_id, now_s).patient for alarm_id in touched})
        for _ in range(_ROUNDS):
            if not (touched := self._round(draft, touched, members, evidence, units, now_s, now_ms)):
                return
        _log.error("calls of an episode do not come to rest", calls=len(touched))

    def _round(
        self, draft: _Draft, touched: set[str], members: dict[str, set[str]], evidence: dict[str, Evidence],
        units: dict[str, str], now_s: float, now_ms: int,
    ) -> set[str]:  # fmt: skip
        """Tell of `touched` and the others of their episodes, the most urgent first; those that have changed by it."""
        around = set(touched)
        for alarm_id in touched:
            episode = self._now(draft, alarm_id, now_s).episode
            around |= members.get(episode, set()) if episode is not None else set()
        before = {alarm_id: self._now(draft, alarm_id, now_s) for alarm_id in around}
        changed: set[str] = set()
        for alarm_id in sorted(around, key=lambda a: (-RANK[before[a].priority], longest_waiting_first(before[a]), a)):
            call = before[alarm_id]
            others = members.get(call.episode, set()) if call.episode is not None else set()
            cover = cover_of(call, tuple(self._now(draft, other, now_s) for other in others))
            facts = Facts(
                unit=units.get(call.patient), patient=call.patient, lane=call.lane, priority=call.priority,
                condition=call.condition, assigned_to=call.assigned_to,
            )  # fmt: skip
            proof = evidence.pop(alarm_id, None)
            low = takes_room(call)
            try:
                if low and cover is None and would_begin(call) and self._flood.room(now_s) <= draft.flood:
                    outcome = put_off(call, REASON)
                else:
                    outcome = tell(
                        call, Directory(self._policy, facts, now_ms), cover=cover, dead=proof is not None and proof.dead,
                        reached=proof is not None and proof.through,
                    )  # fmt: skip
            except Exception as error:  # a bug on one alarm must not keep the others from being told
                _log.error("whom to tell of an alarm was not found out", alarm=alarm_id, fault=type(error).__name__)
                outcome = failed(call, f"our own code failed ({type(error).__name__})")
            if outcome.call != call or outcome.reasons:
                changed.add(alarm_id)
                draft.keep(outcome)
            if outcome.sends:
                draft.told.add(alarm_id)
                draft.flood += low
                draft.notices += notices(
                    outcome.call, outcome.sends, unit=facts.unit, patient_data=self._policy.patient_data, at_ms=now_ms
                )
        return changed

    def _now(self, draft: _Draft, alarm_id: str, now_s: float) -> Call:
        call = draft.calls.get(alarm_id)
        return self._running[alarm_id].now(now_s) if call is None else call

    def _members(self, draft: _Draft) -> dict[str, set[str]]:
        """The running alarms of each episode."""
        found: dict[str, set[str]] = {}
        for call in [*(running.call for running in self._running.values()), *draft.calls.values()]:
            if call.episode is not None:
                found.setdefault(call.episode, set()).add(call.alarm_id)
        return found

    def _write(
        self, seen: Seen, draft: _Draft, events: list[AlarmEvent], now_s: float, now_ms: int, feed_seq: int | None = None
    ) -> int | None:
        """Write what was decided; the number of notices, None when somebody else was first."""
        if events:
            feed_seq = events[-1].feed_seq
        if feed_seq is None and not draft.calls:
            return 0
        rows: list[StoredCall] = []
        for alarm_id, call in draft.calls.items():
            known = self._running.get(alarm_id)
            told_ms = now_ms if alarm_id in draft.told else known.row.told_ms if known is not None else None
            rows.append(stored(call, now_ms, told_ms))
        answered = {a for a, c in draft.calls.items() if c.phase in (Phase.QUIET, Phase.OVER)}
        turn = Turn(
            feed_seq=seen.feed_seq if feed_seq is None else feed_seq, at_ms=now_ms, calls=rows, notices=draft.notices,
            reasons=draft.reasons, answered=answered, unreached_ms=self._unreached_ms(seen, draft, now_ms),
        )  # fmt: skip
        if not self._store.write(seen, turn):
            return None
        self._writes = seen.writes + 1
        for _ in range(draft.flood):
            self._flood.told(now_s)
        for row in rows:
            call = draft.calls[row.alarm_id]
            if call.phase is Phase.OVER:
                self._running.pop(row.alarm_id, None)
            else:
                self._running[row.alarm_id] = _Running(call=call, at_s=now_s, row=row)
        return len(draft.notices)

    def _unreached_ms(self, seen: Seen, draft: _Draft, now_ms: int) -> int | None:
        """Since when it is to be said that nobody is reached. A person who has ended that alarm is told again of the next one."""
        now = {alarm_id: running.call for alarm_id, running in self._running.items()} | draft.calls
        lost = {a for a, c in now.items() if c.unreached and c.phase is Phase.CALLING and c.condition != NOBODY_REACHED}
        if not lost:
            return None
        before = {a for a in lost if a in self._running and self._running[a].call.unreached}
        if seen.unreached_ms is None:
            return now_ms
        if lost == before:
            return seen.unreached_ms
        said = self._alarms.get(nobody_reached(seen.unreached_ms).alarm_id)
        return seen.unreached_ms if said is None or said.state in OPEN else now_ms

    def _say(self, since_ms: int | None, now_ms: int) -> None:
        """Begin or end the alarm that says that nobody is reached. Any of several processes does; its id is the same."""
        if since_ms == self._said:
            return
        wanted = None if since_ms is None else nobody_reached(since_ms)
        events = [
            reached_again(alarm, now_ms)
            for alarm in self._alarms.open_alarms()
            if alarm.condition == NOBODY_REACHED
            and alarm.state in (State.ACTIVE, State.ACKNOWLEDGED)
            and (wanted is None or alarm.alarm_id != wanted.alarm_id)
        ]
        self._alarms.record([*events, *([wanted] if wanted is not None else [])])
        self._said = since_ms
        if wanted is not None:
            _log.error("nobody could be told of an alarm")
