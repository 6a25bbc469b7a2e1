"""A policy is read whole, or refused with every fault at its line; and each stage from an alarm to people says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.reach.files import check, doubts, dump, parse, shipped, shipped_text
from alerting.reach.policy import Policy
from alerting.reach.stages import Facts, Recipient, audience, routed, timeline
from contracts.alarms import Lane, Priority
from contracts.local_time import instant_ms
from contracts.notices import Channel

TEXT = shipped_text()
PAGE = 'channels = [{ channel = "page" }]'
ROUTE = '[[routes]]\nplan = "p"\n'
PLAN = '[plans.p]\nsteps = [{ to = ["role:nurse"] }]\n'
ANN = f'[people.ann]\nroles = ["nurse"]\n{PAGE}\n'
BEN = f'[people.ben]\nroles = ["nurse", "doctor"]\n{PAGE}\n'
QUIET = '[[quiet]]\nzone = "UTC"\nfrom = "00:00"\nto = "24:00"\n'
DAY = '[rotas.r]\nrole = "nurse"\nzone = "Europe/Berlin"\n'


def shift(begin: str, end: str, person: str = "ann", more: str = "") -> str:
    return f'[[rotas.r.shifts]]\nfrom = "{begin}"\nto = "{end}"\npeople = ["{person}"]\n{more}'


def at(text: str) -> int:
    found = instant_ms(text)
    assert found is not None
    return found


def read(text: str) -> Policy:
    found = check(text)
    assert isinstance(found, Policy), [p.text("f") for p in found]
    return found


def facts(**more: object) -> Facts:
    given = {"unit": "A", "patient": "p-1", "lane": Lane.PHYSIOLOGICAL, "priority": Priority.MEDIUM, "condition": "spo2_low"}
    return Facts(**(given | more))  # type: ignore[arg-type]


def people(policy: Policy, target: str, when: str, **more: object) -> list[str]:
    return [r.person for r in audience(policy, [target], facts(**more), at(when)).people]


def test_the_shipped_file_is_the_shipped_policy_and_outlives_json() -> None:
    assert check(TEXT) == shipped() == parse(dump(shipped()), version=0)
    assert {p.place.partition(",")[0] for p in doubts(TEXT, shipped())} == {f"people.{name}" for name in shipped().people}


def test_the_example_of_the_page_is_a_policy() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reaching-people.md").read_text()
    policy = read(page.partition("```toml\n")[2].partition("```")[0])
    assert people(policy, "rota:nurse", "2026-12-24T20:00:00Z", unit="Ward 3") == ["ben"], "the shift with a date"
    assert [s.after_ms for s in timeline(policy, routed(policy, facts(unit="Ward 3")).plans)] == [0, 120_000, 300_000]


@pytest.mark.parametrize(
    ("text", "line", "place", "reason"),
    [
        (TEXT.replace(PAGE, "channels = []", 1), 8, "people.ward-nurse, channels", "has no channel"),
        (TEXT.replace(PAGE, "", 1), 6, "people.ward-nurse, channels", "has no channel"),
        (TEXT.replace("remind_s", "remind", 1), 89, "plans.urgent, remind", "did you mean remind_s"),
        (TEXT.replace("19:00", "20:00", 1), 40, "rotas.nurses, shifts.2", "overlaps shift 1 at mon 19:00"),
        (TEXT.replace('plan = "urgent"', 'plan = "urgnt"'), 77, "routes.3, plan", "did you mean urgent"),
        (TEXT.replace('to = ["on_call:doctor"]', 'to = ["on_call:dctor"]'), 93, "plans.urgent, steps.3", "did you mean doctor"),
        (TEXT.replace("after_s = 300", "after_s = 60"), 90, "plans.urgent, steps", "60 follows 120"),
        (TEXT.replace('people = ["ward-nurse"]', 'people = ["nurse"]'), 38, "rotas.nurses, shifts.1.people", "no such person"),
        (TEXT.replace('zone = "UTC"', 'zone = "Berlin"', 1), 33, "rotas.nurses, zone", "Europe/Berlin"),
        (ROUTE + PLAN + 'then = { plan = "q", after_s = 9 }\n[plans.q]\nsteps = [{ to = ["assigned"] }]\n'
         'then = { plan = "p", after_s = 9 }\n' + ANN, 5, "plans.p, then", "p -> q -> p"),
        (ROUTE + PLAN + ANN + QUIET + 'role = "nurse"\n', 8, "quiet.1", "would never end"),
        (ROUTE + PLAN + ANN + QUIET, 8, "quiet.1", "person or role must be named"),
        (ROUTE + PLAN + ANN + QUIET.replace("24", "23") + 'person = "bob"\n', 12, "quiet.1, person", "no such person"),
        (ROUTE + PLAN + '[people.ann]\nroles = ["nurse"]\nchannels = [\n  { channel = "page" },\n  { channel = "email" },\n]\n',
         9, "people.ann, channels.2.address", "e-mail address"),
        (ROUTE + PLAN + ANN + DAY + shift("07:00", "2026-01-01T00:00:00Z"), 12, "rotas.r, shifts.1.from", "both"),
        (ROUTE + PLAN + ANN + DAY + shift("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
         + shift("2026-01-01T12:00:00Z", "2026-01-03T00:00:00Z"), 15, "rotas.r, shifts.2", "overlaps shift 1"),
        (ROUTE + PLAN + ANN + DAY + shift("07:00", "08:00") + DAY.replace("rotas.r", "rotas.s")
         + shift("08:00", "09:00").replace("rotas.r", "rotas.s"), 15, "rotas.s", "same unit and role as rota r"),
        ("[people]\nx = \n", 2, "reach", "is not TOML"),
        ("", None, "people", "is missing"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_the_fix(text: str, line: int | None, place: str, reason: str) -> None:
    found = check(text)
    assert isinstance(found, list), "nothing of a wrong file is taken"
    assert (found[0].line, found[0].place) == (line, place), found
    assert reason in found[0].reason


def test_a_gap_and_a_route_that_is_never_looked_at_are_told_and_hinder_nothing() -> None:
    text = ROUTE + '[[routes]]\nunit = "A"\nplan = "p"\n' + PLAN + ANN + DAY + shift("07:00", "06:00")
    said = [(p.line, p.reason) for p in doubts(text, read(text))]
    assert said[0] == (3, "is never looked at: route 1 takes all of its alarms")
    assert said[2] == (11, "nobody is on duty mon 06:00 to mon 07:00, tue 06:00 to tue 07:00, wed 06:00 to wed 07:00, "
                           "thu 06:00 to thu 07:00, …")  # fmt: skip


def test_who_is_on_duty_goes_by_the_local_clock_and_a_shift_with_a_date_stands_in() -> None:
    once = shift("2026-12-24T18:00:00+01:00", "2026-12-25T07:00:00+01:00", "ben")
    policy = read(ROUTE + PLAN + ANN + BEN + DAY + shift("07:00", "19:00") + shift("19:00", "07:00", "ben") + once)
    on = {
        "2026-07-01T05:30:00Z": ["ann"],  # 07:30 in summer
        "2026-01-14T05:30:00Z": ["ben"],  # 06:30 in winter
        "2026-03-29T01:30:00Z": ["ben"],  # the hour that the clocks skip
        "2026-12-24T17:30:00Z": ["ben"],  # 18:30: the one with a date, an hour before the weekly one
        "2026-12-23T17:30:00Z": ["ann"],
    }
    assert {when: people(policy, "rota:nurse", when) for when in on} == on


def test_each_target_is_somebody_or_says_why_not() -> None:
    team = ('[teams.red]\nunits = ["A"]\npatients = ["p-9"]\nmembers = [{ person = "ann", role = "nurse", '
            'from = "2026-01-01T00:00:00Z", to = 2026-02-01T00:00:00Z }]\n')  # fmt: skip
    unit = DAY.replace("rotas.r", "rotas.b").replace("role", 'unit = "B"\nrole') + shift("00:00", "00:00", "ben").replace(
        "rotas.r", "rotas.b"
    )
    text = ROUTE + PLAN + ANN + BEN + team + DAY + shift("00:00", "00:00") + unit
    policy, day = read(text), "2026-01-15T10:00:00Z"
    assert people(policy, "team:nurse", day) == people(policy, "team:nurse", day, unit="B", patient="p-9") == ["ann"]
    assert people(policy, "team:nurse", "2026-02-01T00:00:00Z") == people(policy, "team:nurse", day, unit="B") == []
    assert people(policy, "rota:nurse", day) == ["ann"]
    assert people(policy, "rota:nurse", day, unit="B") == ["ben"], "a unit's own rota comes first"
    assert people(policy, "role:nurse", day) == ["ann", "ben"]
    assert people(policy, "assigned", day, assigned_to="ben") == ["ben"]
    nobody = audience(policy, ["assigned", "team:nurse"], facts(unit="B", assigned_to="Zoe"), at(day))
    assert nobody.people == ()
    assert nobody.reasons == (
        "assigned: Zoe is not in the directory", "team:nurse: no team of this patient or unit has one now"
    )  # fmt: skip
    (told,) = audience(policy, ["rota:nurse", "role:nurse", "assigned"], facts(assigned_to="ann"), at(day)).people[:1]
    assert (told.person, told.why) == ("ann", "rota:nurse: rota r, shift 00:00 to 00:00 Europe/Berlin")
    assert [(a.channel, a.address) for a in told.addresses] == [(Channel.PAGE, "ann")]


def test_the_first_route_decides_unless_it_goes_on_and_plans_are_one_line_of_steps() -> None:
    text = ('[[routes]]\nunit = "A"\nplan = "p"\ncontinue = true\n[[routes]]\nlane = "physiological"\n'
            'priority = ["high", "medium"]\ncondition = "spo2_*"\nplan = "q"\n[[routes]]\nplan = "r"\n'
            '[plans.p]\nremind_s = 60\nsteps = [{ to = ["assigned"] }, { after_s = 60, to = ["role:nurse"] }]\n'
            'then = { plan = "r", after_s = 30 }\n[plans.q]\nremind_s = 40\nsteps = [{ to = ["role:doctor"] }]\n'
            '[plans.r]\nsteps = [{ after_s = 5, to = ["role:doctor"] }]\n' + ANN + BEN)  # fmt: skip
    policy = read(text)
    assert routed(policy, facts()).plans == ("p", "q")
    assert routed(policy, facts(condition="glucose_low")).plans == ("p", "r")
    assert routed(policy, facts(unit=None, priority=Priority.LOW)).plans == ("r",)
    steps = [(s.after_ms, s.targets, s.remind_ms) for s in timeline(policy, ("p", "q"))]
    assert steps == [
        (0, ("assigned", "role:doctor"), 40_000), (60_000, ("role:nurse",), 60_000), (95_000, ("role:doctor",), None)
    ]  # fmt: skip
    assert routed(read(ROUTE.replace("plan", 'unit = "B"\nplan') + PLAN + ANN), facts()).reasons == ("no route takes it",)


def test_quiet_hours_hold_medium_and_low_until_they_end_and_never_high() -> None:
    night = '[[quiet]]\nrole = "doctor"\nzone = "Europe/Berlin"\nfrom = "22:00"\nto = "06:00"\n'
    policy = read(ROUTE + PLAN + ANN + BEN + night + night.replace("22:00", "06:00").replace('"06:00"\n', '"07:00"\n', 2).replace(
        'from = "07:00"', 'from = "06:00"'))  # fmt: skip

    def hold(when: str, priority: Priority, person: str = "ben") -> int:
        found: dict[str, Recipient] = {
            r.person: r for r in audience(policy, ["role:nurse"], facts(priority=priority), at(when)).people
        }
        return found[person].hold_ms

    for priority in (Priority.LOW, Priority.MEDIUM):
        assert hold("2026-01-15T22:00:30Z", priority) == 7 * 3_600_000 + 59 * 60_000 + 30_000, "until 07:00, both together"
        assert hold("2026-01-15T20:59:59Z", priority) == hold("2026-01-15T06:00:00Z", priority) == 0
        assert hold("2026-01-15T22:00:30Z", priority, "ann") == 0
    assert hold("2026-01-15T22:00:30Z", Priority.HIGH) == 0
