"""A canary goes through every rule, is answered on a topic of its own, and is nobody's alarm."""

from __future__ import annotations

from itertools import count

from contracts.alarms import AlarmEvent
from contracts.canary import CANARIES, CONDITION, PREFIX
from contracts.partitioning import partition_of
from contracts.topics import ALARMS, CANARY_ALARMS, PARTITIONS
from infra.runtime.records import Output
from tests.alerting.timeline import PARTITION, T0, Sample, frame, new_room, patients, tick

CANARY = CANARIES[PARTITION]


def answered(outputs: list[Output]) -> list[AlarmEvent]:
    return [AlarmEvent.model_validate_json(o.value) for o in outputs if o.topic == CANARY_ALARMS.name]


def beat(at: float, value: float = 70, patient: str = CANARY) -> Sample:
    return Sample(at=at, value=value, metric="heart_rate", patient=patient)


def test_each_reading_is_answered_with_its_own_time() -> None:
    room = new_room()
    found = answered([*room.step([tick(0), frame([beat(1)])]), *room.step([tick(2), frame([beat(3)]), tick(4)])])
    assert [(event.patient, event.condition, event.onset_ms) for event in found] == [
        (CANARY, CONDITION, T0 + 1000),
        (CANARY, CONDITION, T0 + 3000),
    ]
    assert room.counts.raised == 0


def test_what_is_late_is_not_answered() -> None:
    assert answered(list(new_room().step([tick(0), tick(60), frame([beat(30)])]))) == []


def test_nothing_about_a_canary_is_an_alarm_for_people() -> None:
    person = patients(1)[0]
    log = [tick(0), frame([beat(1, 0), beat(1, 0, person)]), *(tick(at) for at in range(2, 120))]
    outputs = new_room().step(log)
    alarmed = {output.key for output in outputs if output.topic == ALARMS.name}
    assert alarmed == {person.encode()}, "the same silence is an alarm for a patient"


def test_a_patient_whose_key_looks_like_a_canarys_is_alarmed_for() -> None:
    names = (f"{PREFIX}ward-{number}" for number in count())
    patient = next(name for name in names if partition_of(name, PARTITIONS) == PARTITION)
    log = [tick(0), frame([beat(1, 0, patient)]), *(tick(at) for at in range(2, 120))]
    outputs = new_room().step(log)
    assert patient.encode() in {output.key for output in outputs if output.topic == ALARMS.name}
    assert answered(list(outputs)) == []


def test_the_answer_is_the_same_however_often_the_log_is_read() -> None:
    log = [tick(0), frame([beat(1)]), frame([beat(1.5)]), tick(2)]
    assert answered(list(new_room().step(log))) == answered(list(new_room().step(log)))
