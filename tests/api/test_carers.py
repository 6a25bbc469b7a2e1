"""Who looks after whom, over REST: open alarms change hands, later ones are theirs, and a shift ends by itself."""

from __future__ import annotations

from api.carers import Carers, LookedAfter
from contracts.alarms import Change
from infra.runtime.sql.carers import Carer
from tests.api.conftest import Rest, now_ms, until
from tests.api.test_rest import ALARMS, check_problem

CARA = {"X-Vigil-Actor": "Cara"}
HOUR_MS = 3_600_000


def carer_of(patient: str) -> str:
    return f"/api/v1/patients/{patient}/carer"


async def known(rest: Rest, *patients: str) -> None:
    rest.patients.ensure(patients)
    await until(lambda: all(map(rest.node.ward.knows, patients)), "the roster")


async def test_whoever_takes_a_patient_has_the_open_alarms_and_those_that_come(rest: Rest) -> None:
    await known(rest, "p-001")
    open_one = rest.raise_alarm()
    await until(lambda: rest.node.board.get(open_one), "the alarm")
    answer = await rest.client.put(carer_of("p-001"), json={"to": " Ann ", "hours": 8}, headers=CARA)
    assert answer.status_code == 200, answer.text
    taken = LookedAfter.model_validate(answer.json())
    assert (taken.carer.person, taken.carer.assigned_by) == ("Ann", "Cara")
    assert [(a.id, a.assigned_to) for a in taken.alarms] == [(open_one, "Ann")]
    shown = rest.node.board.get(open_one)
    assert shown is not None
    assert shown.assigned_to == "Ann", "viewers see it at once"
    listed = Carers.model_validate(await rest.get("/api/v1/carers"))
    assert [c.patient for c in listed.items] == ["p-001"]

    later = rest.raise_alarm(condition="heart_rate_high")
    found = await rest.get(f"{ALARMS}/{later}")
    assert found["assigned_to"] == "Ann"
    history = (await rest.get(f"{ALARMS}/{later}/history"))["items"]
    assert [(t["change"], t["actor"], t["reason"]) for t in history] == [
        (Change.RAISED, None, None),
        (Change.ASSIGNED, "Cara", "looks after this patient"),
    ]
    await until(lambda: (a := rest.node.board.get(later)) and a.assigned_to == "Ann", "viewers are told")

    assert (await rest.client.delete(carer_of("p-001"))).status_code == 204
    assert (await rest.client.delete(carer_of("p-001"))).status_code == 204
    assert (await rest.get("/api/v1/carers"))["items"] == []
    assert (await rest.get(f"{ALARMS}/{later}"))["assigned_to"] == "Ann", "what is open stays"
    assert (await rest.get(f"{ALARMS}/{rest.raise_alarm(condition='spo2_high')}"))["assigned_to"] is None


async def test_a_shift_that_is_over_is_not_listed_and_a_handover_takes_the_patients_along(rest: Rest) -> None:
    now = now_ms()
    for patient, until_ms in (("p-001", now + HOUR_MS), ("p-002", now)):
        rest.alarms.look_after(
            Carer(patient=patient, person="Ann", assigned_by="Cara", since_ms=now - HOUR_MS, until_ms=until_ms)
        )
    moved = await rest.client.post(f"{ALARMS}/handover", json={"from": "Ann", "to": "Ben"})
    assert moved.json()["items"] == []
    listed = Carers.model_validate(await rest.get("/api/v1/carers"))
    assert [(c.patient, c.person) for c in listed.items] == [("p-001", "Ben")]


async def test_whoever_escalates_ends_what_was_quiet_and_is_named(rest: Rest) -> None:
    alarm = f"{ALARMS}/{rest.raise_alarm()}"
    await rest.client.post(f"{alarm}/acknowledge", headers=CARA)
    await rest.client.post(f"{alarm}/snooze", json={"minutes": 5, "reason": "suction"}, headers=CARA)
    answer = await rest.client.post(f"{alarm}/escalate", json={"reason": "needs a doctor"}, headers=CARA)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["state"], found["acknowledged_by"], found["snoozed_until"]) == ("active", None, None)
    last = (await rest.get(f"{alarm}/history"))["items"][-1]
    assert (last["change"], last["actor"], last["reason"]) == ("escalated", "Cara", "needs a doctor")
    shown = rest.node.board.get(found["id"])
    assert shown is not None
    assert (shown.state, shown.acknowledged_by, shown.snoozed_until) == ("active", None, None), "as viewers see it"
    await rest.client.post(f"{alarm}/resolve")
    check_problem(await rest.client.post(f"{alarm}/escalate"), 409, "not-possible-now")


async def test_what_is_wrong_is_named(rest: Rest) -> None:
    await known(rest, "p-001")
    for body, field in (({}, "to"), ({"to": "x" * 65}, "to"), ({"to": "Ann", "hours": 25}, "hours")):
        problem = check_problem(await rest.client.put(carer_of("p-001"), json=body), 422, "invalid-request")
        assert [e.field for e in problem.errors or []] == [field]
    check_problem(await rest.client.put(carer_of("nobody"), json={"to": "Ann"}), 404, "not-found")
