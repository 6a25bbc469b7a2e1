"""Processing faults: whoever's record our own code failed on has an alarm, until later records go well."""

from __future__ import annotations

from contracts.alarms import AlarmEvent, Lane, Priority, State
from contracts.canary import CANARIES
from contracts.faults import Fault, encode_fault
from contracts.groups import GROUPS
from contracts.topics import FAULT, READINGS
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, PARTITION, T0, Sample, brief, events, frame, new_room, patients, record, tick

BOB = patients(2)[1]


def notice(*names: str, offset: int = 7, room: str = "processors", topic: str = READINGS.name) -> Record:
    return record(READINGS.name, encode_fault(Fault(room=room, topic=topic, offset=offset, patients=names)), FAULT)


def seconds(start: int, stop: int, *, at: dict[int, Record] | None = None, people: tuple[str, ...] = (ADA,)) -> list[Record]:
    """Each second a tick and a reading of each of `people`, and what stands in the log after them."""
    log = []
    for second in range(start, stop):
        log.append(tick(second))
        if people:
            rows = [Sample(at=second, value=96 + second % 2, patient=p, device=f"d-{p}") for p in people]
            log.append(frame(rows))
        if at and second in at:
            log.append(at[second])
    return log


def faults(found: list[AlarmEvent]) -> list[AlarmEvent]:
    return [e for e in found if e.condition == "processing_fault"]


def test_the_patient_has_an_alarm_and_nobody_else() -> None:
    (event,) = faults(events(new_room().step(seconds(0, 12, at={10: notice(ADA)}, people=(ADA, BOB)))))
    assert brief([event]) == [(11, "processing_fault", "raised", "medium")]
    assert event.text == "Processing fault: this patient's data is not being processed. Watch the bedside monitor"
    assert (event.patient, event.lane, event.state, event.priority) == (ADA, Lane.TECHNICAL, State.ACTIVE, Priority.MEDIUM)
    assert [(r.kind, r.text) for r in event.reasons] == [
        ("fault", "processors failed on a record; the record is kept on vitals.rejected")
    ]


def test_it_ends_when_data_has_come_for_half_a_minute_without_another() -> None:
    found = faults(events(new_room().step(seconds(0, 60, at={10: notice(ADA)}))))
    # Data comes again at 11, the clock of ticks being at 11; 30 s later it is over.
    assert brief(found) == [(11, "processing_fault", "raised", "medium"), (41, "processing_fault", "cleared", "medium")]
    assert found[0].alarm_id == found[1].alarm_id
    assert found[1].text == "Processing fault over: this patient's data comes through again"


def test_while_records_go_on_failing_it_stays_one_alarm() -> None:
    at = {second: notice(ADA, offset=second) for second in range(10, 90, 20)}
    found = faults(events(new_room().step(seconds(0, 130, at=at))))
    assert [(when, change) for when, _, change, _ in brief(found)] == [(11, "raised"), (101, "cleared")]


def test_it_does_not_end_while_nothing_comes() -> None:
    """A patient whose devices are silent: nothing shows that the fault is over."""
    log = [*seconds(0, 11, at={10: notice(ADA)}), *seconds(11, 300, people=())]
    assert [e.change for e in faults(events(new_room().step(log)))] == ["raised"]


def test_a_notice_that_comes_again_changes_nothing() -> None:
    """The worker was killed after it had sent it, and before it committed."""
    log = seconds(0, 100, at={10: notice(ADA), 20: notice(ADA), 60: notice(ADA)})
    assert [(at, change) for at, _, change, _ in brief(faults(events(new_room().step(log))))] == [
        (11, "raised"), (41, "cleared"),
    ]  # fmt: skip


def test_two_rooms_that_fail_on_one_record_are_one_alarm() -> None:
    log = seconds(0, 60, at={10: notice(ADA), 20: notice(ADA, room="alerting")})
    assert [(at, change) for at, _, change, _ in brief(faults(events(new_room().step(log))))] == [
        (11, "raised"), (51, "cleared"),
    ]  # fmt: skip


def test_a_patient_whose_every_record_failed_is_told_too() -> None:
    (event,) = faults(events(new_room().step([tick(0), notice(BOB), tick(1)])))
    assert event.patient == BOB


def test_when_nobody_can_tell_whose_it_was_the_group_is_told() -> None:
    found = faults(events(new_room().step(seconds(0, 60, at={10: notice()}))))
    assert [(e.patient, e.change.value) for e in found] == [(GROUPS[PARTITION], "raised"), (GROUPS[PARTITION], "cleared")]
    assert found[0].text == "Processing fault: data of this group is not being processed. Watch the bedside monitor"


def test_before_the_first_tick_it_waits_for_it() -> None:
    (event,) = faults(events(new_room().step([notice(ADA), tick(5)])))
    assert event.onset_ms == event.at_ms == T0 + 5_000


def test_patients_of_other_partitions_and_the_canary_have_none() -> None:
    stranger = patients(1, partition=1)[0]
    assert events(new_room().step([tick(0), notice(stranger), notice(CANARIES[PARTITION], offset=8), tick(1)])) == []


def test_what_is_no_notice_is_counted_and_the_others_go_on() -> None:
    room = new_room()
    (event,) = faults(events(room.step([tick(0), record(READINGS.name, b"nonsense", FAULT), notice(ADA), tick(1)])))
    assert (event.patient, room.counts.unreadable, room.counts.faults) == (ADA, 1, 1)
