"""The newest state of every patient, folded from the stream, and its JSON texts. Pure: no clock, no I/O.

Every fold that changes something gets the next *round*. A reader remembers the round it has seen and asks for what
changed since: latest values win, however slow the reader is, and nothing waits in memory for it. The state is columns; the
text of a patient's change is made when somebody asks for it, and shared by every reader that asks for the same rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from api.columns import Ints, LatestColumn, LatestRows, Rows, ScoreRows
from api.moments import rfc3339, rfc3339_column
from api.newest import Newest
from api.risks import Risks
from contracts.alarms import Priority
from contracts.canary import is_canary
from contracts.groups import is_group

# A worker that restarts sends its last rows again. An older row is such a repetition when it is at most this much older
# and the row it would replace is not itself ahead of time; anything else is a feed that really went back.
REPEATED_MS: Final = 60_000
AHEAD_MS: Final = 10_000

_NOTHING: Final = frozenset[str]()
_NO_TICK: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What the registry knows about a patient. The stream carries only the key."""

    id: str
    name: str | None = None
    bed: str | None = None
    unit: str | None = None
    age: int | None = None
    sex: Literal["F", "M"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Open alarms of one patient."""

    high: int = 0
    medium: int = 0
    low: int = 0


NO_ALARMS: Final = Counts()


class Ward:
    """All patients seen on the stream or known to the registry, at most `max_patients` of them from the stream.

    The canary is followed like a patient and told only to those who ask for it by name; it is no sign that patients' data
    is fresh.
    """

    def __init__(self, *, max_patients: int = 200_000) -> None:
        self.round = 0
        self.as_of_ms: int | None = None
        self.refused = 0  # rows of patients beyond `max_patients`
        self.census = 0  # counts changes of who there is, and where
        self._max_patients = max_patients
        self._slots: dict[str, int] = {}  # patients of the stream
        self._id_texts: list[str] = []
        self._people: dict[str, Person] = {}
        self._strangers: set[str] = set()
        self._doubtful: dict[str, frozenset[str]] = {}  # metrics whose values do not change
        self._newest = Newest()
        self._risks = Risks()
        self._room = 0
        self._canary = np.empty(0, dtype=np.bool_)
        self._tick_ms = np.empty(0, dtype=np.int64)
        self._vitals_round = np.empty(0, dtype=np.int64)
        self._risk_round = np.empty(0, dtype=np.int64)
        self._deltas: dict[int, tuple[int, int, str]] = {}  # since, round, text; of patients that somebody follows

    # --- what comes in -------------------------------------------------------------------------------------------

    def fold_latest(self, rows: LatestRows, now_ms: int) -> bool:
        """Take over the rows of a frame, in log order. Returns whether anything is new."""
        round_ = self.round + 1
        slots = self._slots_of(rows.patient)
        for which in _one_each(slots):
            at = slots[which]
            shown_ms, tick_ms = self._tick_ms[at], rows.tick_ms[which]
            repeated = (shown_ms - REPEATED_MS <= tick_ms) & (tick_ms < shown_ms) & (shown_ms <= now_ms + AHEAD_MS)
            kept = ~repeated
            whole = len(which) == len(rows) and bool(kept.all())
            if not whole:
                which, at, tick_ms = which[kept], at[kept], tick_ms[kept]
            self._tick_ms[at] = tick_ms
            self._follow_ticks(tick_ms[~self._canary[at]], now_ms)
            changed = self._newest.fold(at, rows.columns if whole else _of(rows.columns, which), round_)
            if changed.any():
                self._vitals_round[at[changed]] = round_
                self.round = round_
        return self.round == round_

    def fold_scores(self, rows: ScoreRows) -> bool:
        """Take over scores, in log order. Returns whether anything is new."""
        round_ = self.round + 1
        slots = self._slots_of(rows.patient)
        for which in _one_each(slots):
            some = rows if len(which) == len(rows) else _scores_of(rows, which)
            shown = self._risks.fold(slots[which], some)
            if shown.any():
                self._risk_round[slots[which][shown]] = round_
                self.round = round_
        return self.round == round_

    def doubt(self, patient: str, metrics: frozenset[str]) -> None:
        """From now on the values of these metrics of `patient` are questionable at best, and those of no others: a value that
        does not change must not look like a measured one, however good its sensor thinks it is."""
        self._doubtful.pop(patient, None)
        if metrics:
            self._doubtful[patient] = metrics
        slot = self._slots.get(patient)
        if slot is not None and self._newest.doubt(slot, metrics, self.round + 1):
            self.round += 1
            self._vitals_round[slot] = self.round

    def set_people(self, people: Mapping[str, Person]) -> bool:
        """Replace what is known about people; patients who are only on the stream stay. Returns whether a viewer would
        see a difference: a name, a bed, somebody new or gone."""
        before, now = self._people, {p: person for p, person in people.items() if not is_canary(p) and not is_group(p)}
        if before == now:
            return False
        self.census += 1
        self._people = now
        self._strangers = {p for p in self._slots if p not in now and not is_canary(p)}
        return any(
            before.get(p, unnamed := Person(id=p)) != now.get(p, unnamed) or not (p in self._slots or (p in before and p in now))
            for p in before.keys() | now.keys()
        )

    def enrolled(self, patients: Iterable[str]) -> None:
        """These patients of the stream are in the registry now, with nothing but their keys."""
        for patient in patients:
            self._people.setdefault(patient, Person(id=patient))
            self._strangers.discard(patient)

    # --- what goes out -------------------------------------------------------------------------------------------

    @property
    def strangers(self) -> frozenset[str]:
        """Patients on the stream whom the registry does not know."""
        return frozenset(self._strangers)

    def knows(self, patient: str) -> bool:
        return not is_canary(patient) and (patient in self._slots or patient in self._people)

    def patients(self) -> list[str]:
        """The ids of all patients, sorted."""
        return sorted(self._people.keys() | {p for p in self._slots if not is_canary(p)})

    def newest_ms(self, patient: str) -> int | None:
        """When the newest value of `patient` was measured; None: there is none."""
        slot = self._slots.get(patient)
        return None if slot is None else self._newest.newest_ms(slot)

    def person(self, patient: str) -> Person:
        """What is known about `patient`: at least the id."""
        return self._people.get(patient) or Person(id=patient)

    def patient_text(self, patient: str, counts: Counts, now_ms: int, *, more: str = "") -> str:
        """The `Patient` document. `more` is put at its end: further members, each with a comma before it."""
        (text,) = self.patient_texts([patient], lambda _: counts, now_ms)
        return f"{text[:-1]}{more}}}"

    def patient_texts(self, patients: Sequence[str], counts: Callable[[str], Counts], now_ms: int) -> list[str]:
        """The `Patient` documents of some patients, in the order asked for."""
        slots = [self._slots.get(p, -1) for p in patients]
        known = np.array([s for s in slots if s >= 0], dtype=np.intp)
        measured = iter(zip(self._newest.texts(known, 0, now_ms), self._risks.texts(known), strict=True))
        texts = []
        for patient, slot in zip(patients, slots, strict=True):
            alarms = counts(patient)
            latest, risk = next(measured) if slot >= 0 else ("", "null")
            texts.append(
                f'{_text(self.person(patient))[:-1]},"latest":{{{latest}}},"risk":{risk},'
                f'"alarms":{{"high":{alarms.high},"medium":{alarms.medium},"low":{alarms.low}}}}}'
            )
        return texts

    def vitals_since(self, since: int, patients: frozenset[str] | None, now_ms: int) -> str | None:
        """Members of a "vitals" frame: what changed after round `since` for `patients` (None: all); None: nothing did."""
        slots = self._changed(self._vitals_round, since, patients)
        if not len(slots):
            return None
        return f'"patients":[{",".join(self._delta_texts(slots, since, now_ms))}],"data_as_of":{self.as_of_text}'

    def scores_since(self, since: int, patients: frozenset[str] | None) -> str | None:
        """Members of a "scores" frame, as `vitals_since`."""
        slots = self._changed(self._risk_round, since, patients)
        risks = zip(slots.tolist(), self._risks.texts(slots), strict=True)
        parts = [f'{{"id":{self._id_texts[slot]},"risk":{risk}}}' for slot, risk in risks]
        return f'"patients":[{",".join(parts)}]' if parts else None

    @property
    def as_of_text(self) -> str:
        """The newest tick as JSON: a text or null."""
        return "null" if self.as_of_ms is None else f'"{rfc3339(self.as_of_ms)}"'

    # --- inside --------------------------------------------------------------------------------------------------

    def _changed(self, rounds: Ints, since: int, patients: frozenset[str] | None) -> Rows:
        if patients is None:
            return np.flatnonzero((rounds > since) & ~self._canary)
        slots = np.array([s for p in patients if (s := self._slots.get(p)) is not None], dtype=np.intp)
        return slots[rounds[slots] > since]

    def _delta_texts(self, slots: Rows, since: int, now_ms: int) -> list[str]:
        """Patients' changed values. A text is kept: readers in step ask for the same rounds within milliseconds."""
        rounds = self._vitals_round[slots].tolist()
        kept = [self._deltas.get(slot, (-1, -1, "")) for slot in slots.tolist()]
        missing = np.array(
            [k[0] != since or k[1] != round_ for k, round_ in zip(kept, rounds, strict=True)], dtype=np.bool_
        )
        if missing.any():
            new = slots[missing]
            ticks = rfc3339_column(self._tick_ms[new])
            for slot, values, tick in zip(new.tolist(), self._newest.texts(new, since, now_ms), ticks, strict=True):
                text = f'{{"id":{self._id_texts[slot]},"latest":{{{values}}},"time":"{tick}"}}'
                self._deltas[slot] = (since, int(self._vitals_round[slot]), text)
        return [self._deltas[slot][2] for slot in slots.tolist()]

    def _follow_ticks(self, ticks_ms: Ints, now_ms: int) -> None:
        """The newest tick is how fresh the ward is; one that is ahead of time counts only until another comes."""
        if not len(ticks_ms):
            return
        for tick_ms in ticks_ms[np.flatnonzero(np.diff(ticks_ms, prepend=ticks_ms[0] - 1))].tolist():
            if self.as_of_ms is None or tick_ms > self.as_of_ms or self.as_of_ms > now_ms + AHEAD_MS:
                self.as_of_ms = tick_ms

    def _slots_of(self, patients: list[str]) -> Rows:
        """The slot of each row's patient; -1: there is no room for a new one."""
        known = self._slots
        slots = np.fromiter((known.get(p, -1) for p in patients), dtype=np.intp, count=len(patients))
        for row in np.flatnonzero(slots < 0).tolist():
            slots[row] = self._slot(patients[row])
        return slots

    def _slot(self, patient: str) -> int:
        slot = self._slots.get(patient)
        if slot is not None:
            return slot
        if len(self._slots) >= self._max_patients:
            self.refused += 1
            return -1
        slot = self._slots[patient] = len(self._slots)
        self._id_texts.append(_text(patient))
        if slot >= self._room:
            self._grow(max(64, 2 * self._room))
        self._canary[slot] = is_canary(patient)
        if patient not in self._people and not self._canary[slot]:
            self._strangers.add(patient)
        if (metrics := self._doubtful.get(patient)) is not None:
            self._newest.doubt(slot, metrics, self.round + 1)
        return slot

    def _grow(self, room: int) -> None:
        more = room - self._room
        self._newest.grow(room)
        self._risks.grow(room)
        self._canary = np.pad(self._canary, (0, more))
        self._tick_ms = np.pad(self._tick_ms, (0, more), constant_values=_NO_TICK)
        self._vitals_round = np.pad(self._vitals_round, (0, more))
        self._risk_round = np.pad(self._risk_round, (0, more))
        self._room = room


def _one_each(slots: Rows) -> Iterator[Rows]:
    """Rows in groups in which every patient stands once, in log order; rows without a slot are left out."""
    left = np.flatnonzero(slots >= 0)
    while len(left):
        _, first = np.unique(slots[left], return_index=True)
        if len(first) == len(left):
            yield left
            return
        first.sort()
        yield left[first]
        left = np.delete(left, first)


def _of(columns: Iterable[LatestColumn], which: Rows) -> list[LatestColumn]:
    return [
        LatestColumn(
            metric=c.metric, value=c.value[which], time_ms=c.time_ms[which], quality=c.quality[which], known=c.known[which]
        )
        for c in columns
    ]  # fmt: skip


def _scores_of(rows: ScoreRows, which: Rows) -> ScoreRows:
    return ScoreRows(
        model=rows.model,
        version=rows.version,
        patient=[],
        window_end_ms=rows.window_end_ms[which],
        score=rows.score[which],
        status=rows.status[which],
        contribution={m: part[which] for m, part in rows.contribution.items()},
        deviation={m: part[which] for m, part in rows.deviation.items()},
    )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def counts_of(priorities: Iterable[Priority]) -> Counts:
    """How many of each priority there are."""
    numbers = dict.fromkeys(Priority, 0)
    for priority in priorities:
        numbers[priority] += 1
    return Counts(high=numbers[Priority.HIGH], medium=numbers[Priority.MEDIUM], low=numbers[Priority.LOW])
