"""The newest state of every patient, folded from the stream, and its JSON texts. Pure: no clock, no I/O.

Every fold that changes something gets the next *round*. A reader remembers the round it has seen and asks for what
changed since: latest values win, however slow the reader is, and nothing waits in memory for it. The text of a patient's
change is made once and shared by every reader that asks for the same rounds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

from api.columns import LatestRows, ScoreRow
from api.moments import rfc3339
from contracts.alarms import Priority
from contracts.canary import is_canary
from contracts.groups import is_group
from contracts.readings import Quality
from contracts.scores import BASELINE, SHADOW, Status
from contracts.vitals import BY_NAME, CATALOGUE

# A worker that restarts sends its last rows again. An older row is such a repetition when it is at most this much older
# and the row it would replace is not itself ahead of time; anything else is a feed that really went back.
REPEATED_MS: Final = 60_000
AHEAD_MS: Final = 10_000
# Another model takes the place of the shown one when that one has said nothing for this long.
RISK_EXPIRES_MS: Final = 120_000

_NOTHING: Final = frozenset[str]()
_QUALITY: Final = tuple(q.name.lower() for q in Quality)
_EXPIRY_MS: Final = {v.name: int(v.expiry_s * 1000) for v in CATALOGUE}
_ORDER: Final = {v.name: i for i, v in enumerate(CATALOGUE)}


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


class _Value(NamedTuple):
    """A reading as shown. `text` is its JSON up to the value of "stale", which depends on when it is asked."""

    value: float | None
    time_ms: int
    quality: int
    round: int
    text: str
    expires_ms: int


@dataclass(slots=True)
class _Bed:
    id_text: str
    canary: bool = False
    tick_ms: int = -1
    tick: str = ""
    round: int = 0
    values: dict[str, _Value] = field(default_factory=dict)
    delta: tuple[int, int, str] = (-1, -1, "")  # since, round, text
    risk: ScoreRow | None = None
    risk_round: int = 0
    risk_text: str = "null"


class Ward:
    """All patients seen on the stream or known to the registry, at most `max_patients` of them from the stream.

    The canary is followed like a patient and told only to those who ask for it by name; it is no sign that patients' data
    is fresh.
    """

    def __init__(self, *, max_patients: int = 20_000) -> None:
        self.round = 0
        self.as_of_ms: int | None = None
        self.refused = 0  # rows of patients beyond `max_patients`
        self._max_patients = max_patients
        self._beds: dict[str, _Bed] = {}
        self._people: dict[str, Person] = {}
        self._strangers: set[str] = set()
        self._doubtful: dict[str, frozenset[str]] = {}  # metrics whose values do not change
        self._by_vitals: OrderedDict[str, _Bed] = OrderedDict()  # in the order of their newest change
        self._by_risk: OrderedDict[str, _Bed] = OrderedDict()

    # --- what comes in -------------------------------------------------------------------------------------------

    def fold_latest(self, rows: LatestRows, now_ms: int) -> bool:
        """Take over the rows of a frame, in log order. Returns whether anything is new."""
        round_ = self.round + 1
        columns = [
            (c.metric, f"{_text(c.metric)}:{{\"value\":", f"\",\"unit\":{_text(BY_NAME[c.metric].unit)},\"stale\":",
             _EXPIRY_MS[c.metric], c.value, c.time_ms, c.time, c.quality)
            for c in rows.columns
        ]  # fmt: skip
        for row, patient in enumerate(rows.patient):
            bed = self._bed(patient)
            if bed is None:
                continue
            tick_ms = rows.tick_ms[row]
            if _repeated(tick_ms, bed.tick_ms, now_ms):
                continue
            bed.tick_ms = tick_ms
            bed.tick = rows.tick[row]
            if not bed.canary and (
                self.as_of_ms is None or tick_ms > self.as_of_ms or self.as_of_ms > now_ms + AHEAD_MS
            ):
                self.as_of_ms = tick_ms
            values = bed.values
            doubtful = self._doubtful.get(patient, _NOTHING)
            changed = False
            for metric, head, tail, expiry_ms, value, time_ms, time, quality in columns:
                moment = time[row]
                if moment is None:
                    continue
                v, t, q = value[row], time_ms[row], quality[row]
                old = values.get(metric)
                if old is not None and old.time_ms == t and old.value == v and old.quality == q:
                    continue
                number = "null" if v is None else repr(v)
                text = f'{head}{number},"time":"{moment}","quality":"{_shown(q, metric in doubtful)}{tail}'
                values[metric] = _Value(v, t, q, round_, text, t + expiry_ms)
                changed = True
            if changed:
                bed.round = round_
                self._by_vitals[patient] = bed
                self._by_vitals.move_to_end(patient)
                self.round = round_
        return self.round == round_

    def fold_scores(self, rows: Iterable[ScoreRow]) -> bool:
        """Take over scores, in log order. Returns whether anything is new."""
        round_ = self.round + 1
        for row in rows:
            bed = self._bed(row.patient)
            if bed is None or not _replaces(row, bed.risk):
                continue
            bed.risk = row
            bed.risk_round = round_
            bed.risk_text = _risk_text(row)
            self._by_risk[row.patient] = bed
            self._by_risk.move_to_end(row.patient)
            self.round = round_
        return self.round == round_

    def doubt(self, patient: str, metrics: frozenset[str]) -> None:
        """From now on the values of these metrics of `patient` are questionable at best, and those of no others: a value that
        does not change must not look like a measured one, however good its sensor thinks it is."""
        before = self._doubtful.pop(patient, _NOTHING)
        if metrics:
            self._doubtful[patient] = metrics
        bed = self._beds.get(patient)
        for metric in (before ^ metrics) & (bed.values.keys() if bed is not None else set()):
            assert bed is not None
            value = bed.values[metric]
            was, shown = (f'"quality":"{_shown(value.quality, metric in m)}"' for m in (before, metrics))
            self.round += 1
            bed.values[metric] = value._replace(text=value.text.replace(was, shown, 1), round=self.round)
            bed.round = self.round
            self._by_vitals[patient] = bed
            self._by_vitals.move_to_end(patient)

    def set_people(self, people: Mapping[str, Person]) -> bool:
        """Replace what is known about people; patients who are only on the stream stay. Returns whether a viewer would
        see a difference: a name, a bed, somebody new or gone."""
        before = {p: self.person(p) for p in self.patients()}
        self._people = {p: person for p, person in people.items() if not is_canary(p) and not is_group(p)}
        self._strangers = {p for p, bed in self._beds.items() if p not in self._people and not bed.canary}
        return before != {p: self.person(p) for p in self.patients()}

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
        return not is_canary(patient) and (patient in self._beds or patient in self._people)

    def patients(self) -> list[str]:
        """The ids of all patients, sorted."""
        return sorted(self._people.keys() | {p for p, bed in self._beds.items() if not bed.canary})

    def newest_ms(self, patient: str) -> int | None:
        """When the newest value of `patient` was measured; None: there is none."""
        bed = self._beds.get(patient)
        return None if bed is None else max((value.time_ms for value in bed.values.values()), default=None)

    def person(self, patient: str) -> Person:
        """What is known about `patient`: at least the id."""
        return self._people.get(patient) or Person(id=patient)

    def patient_text(self, patient: str, counts: Counts, now_ms: int, *, more: str = "") -> str:
        """The `Patient` document. `more` is put at its end: further members, each with a comma before it."""
        person = self.person(patient)
        bed = self._beds.get(patient)
        latest = "" if bed is None else ",".join(_value_text(v, now_ms) for v in _in_order(bed.values))
        risk = "null" if bed is None else bed.risk_text
        return (
            f'{{"id":{_text(patient)},"name":{_text(person.name)},"bed":{_text(person.bed)},"unit":{_text(person.unit)},'
            f'"age":{_text(person.age)},"sex":{_text(person.sex)},"latest":{{{latest}}},"risk":{risk},'
            f'"alarms":{{"high":{counts.high},"medium":{counts.medium},"low":{counts.low}}}{more}}}'
        )

    def vitals_since(self, since: int, patients: frozenset[str] | None, now_ms: int) -> str | None:
        """Members of a "vitals" frame: what changed after round `since` for `patients` (None: all); None: nothing did."""
        parts = [_delta(bed, since, now_ms) for bed in self._changed(self._by_vitals, since, patients, risk=False)]
        if not parts:
            return None
        return f'"patients":[{",".join(parts)}],"data_as_of":{self.as_of_text}'

    def scores_since(self, since: int, patients: frozenset[str] | None) -> str | None:
        """Members of a "scores" frame, as `vitals_since`."""
        parts = [
            f'{{"id":{bed.id_text},"risk":{bed.risk_text}}}'
            for bed in self._changed(self._by_risk, since, patients, risk=True)
        ]
        return f'"patients":[{",".join(parts)}]' if parts else None

    @property
    def as_of_text(self) -> str:
        """The newest tick as JSON: a text or null."""
        return "null" if self.as_of_ms is None else f'"{rfc3339(self.as_of_ms)}"'

    def _changed(
        self, order: OrderedDict[str, _Bed], since: int, patients: frozenset[str] | None, *, risk: bool
    ) -> Iterator[_Bed]:
        if patients is not None and len(patients) < len(order):
            for patient in patients:
                bed = order.get(patient)
                if bed is not None and (bed.risk_round if risk else bed.round) > since:
                    yield bed
            return
        for patient, bed in reversed(order.items()):
            if (bed.risk_round if risk else bed.round) <= since:
                return
            if not bed.canary if patients is None else patient in patients:
                yield bed

    def _bed(self, patient: str) -> _Bed | None:
        bed = self._beds.get(patient)
        if bed is None:
            if len(self._beds) >= self._max_patients:
                self.refused += 1
                return None
            bed = self._beds[patient] = _Bed(_text(patient), canary=is_canary(patient))
            if patient not in self._people and not bed.canary:
                self._strangers.add(patient)
        return bed


def _repeated(tick_ms: int, shown_ms: int, now_ms: int) -> bool:
    """Whether a row of tick `tick_ms` is an old one sent again, `shown_ms` being the newest so far."""
    return shown_ms - REPEATED_MS <= tick_ms < shown_ms <= now_ms + AHEAD_MS


def _replaces(row: ScoreRow, shown: ScoreRow | None) -> bool:
    """Whether `row` is shown instead of `shown`. One model is kept as long as it speaks, so that two do not flicker; the
    baseline before all others, for the wall shows and sorts by its deviations. A shadow is never shown."""
    if row.model.endswith(SHADOW):
        return False
    if shown is None:
        return True
    speaks = row.window_end_ms <= shown.window_end_ms + RISK_EXPIRES_MS
    if BASELINE in (row.model, shown.model) and row.model != shown.model and speaks:
        return row.model == BASELINE and row.window_end_ms > shown.window_end_ms - RISK_EXPIRES_MS
    if (row.model, row.version) == (shown.model, shown.version):
        return row.window_end_ms > shown.window_end_ms or (row.window_end_ms == shown.window_end_ms and row != shown)
    if row.window_end_ms > shown.window_end_ms + RISK_EXPIRES_MS or row.model == shown.model:
        return row.window_end_ms >= shown.window_end_ms
    return row.status is Status.OK and shown.status is not Status.OK and row.window_end_ms >= shown.window_end_ms


def _shown(quality: int, doubtful: bool) -> str:
    return _QUALITY[max(quality, Quality.QUESTIONABLE) if doubtful else quality]


def _delta(bed: _Bed, since: int, now_ms: int) -> str:
    """A patient's changed values. The text is kept: readers in step ask for the same rounds within milliseconds."""
    kept_since, kept_round, text = bed.delta
    if kept_since == since and kept_round == bed.round:
        return text
    values = ",".join(_value_text(v, now_ms) for v in bed.values.values() if v.round > since)
    text = f'{{"id":{bed.id_text},"latest":{{{values}}},"time":"{bed.tick}"}}'
    bed.delta = (since, bed.round, text)
    return text


def _value_text(value: _Value, now_ms: int) -> str:
    return f"{value.text}true}}" if now_ms > value.expires_ms else f"{value.text}false}}"


def _in_order(values: dict[str, _Value]) -> list[_Value]:
    return [values[m] for m in sorted(values, key=_ORDER.__getitem__)]


def _risk_text(row: ScoreRow) -> str:
    return msgspec.json.encode(
        {
            "score": row.score,
            "status": row.status.value,
            "model": row.model,
            "version": row.version,
            "time": row.time,
            "contributions": row.contributions,
            "deviations": row.deviations,
        }
    ).decode()


def _text(value: str | int | None) -> str:
    return msgspec.json.encode(value).decode()


def counts_of(priorities: Iterable[Priority]) -> Counts:
    """How many of each priority there are."""
    numbers = dict.fromkeys(Priority, 0)
    for priority in priorities:
        numbers[priority] += 1
    return Counts(high=numbers[Priority.HIGH], medium=numbers[Priority.MEDIUM], low=numbers[Priority.LOW])
