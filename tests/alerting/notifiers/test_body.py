"""What a message says about a patient: nothing, unless the site has put it there."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.notifiers.body import Site, compose
from contracts.alarms import Lane, Priority
from contracts.notices import Channel, Notice, NoticeKind

# Every word that a body may be made of, besides the ward and the link.
WORDS = set(
    re.findall(
        r"\w+",
        """demo test still waiting passed on to you now more urgent no alarm high medium low priority technical fault of
        vigil message from please look at once soon for your information nobody has answered yet who was told
        before it become since were itself needs attention alarms may not reach people somebody is trying out
        whether messages there nothing do open see simulated patients""",
    )
)
TEXT = st.text(max_size=40)
NOTICES = st.builds(
    Notice, notice_id=TEXT, alarm_id=TEXT, kind=st.sampled_from(NoticeKind), priority=st.sampled_from(Priority),
    lane=st.sampled_from(Lane), person=TEXT, channel=st.sampled_from(Channel), address=TEXT, created_ms=st.integers(0, 2**42),
    link=st.just("/#/alarms/0123"), unit=st.just("Ward 3") | st.none(), text=st.none(),
)  # fmt: skip


@given(NOTICES, st.booleans(), st.sampled_from(["", "https://vigil.example.org", "https://vigil.example.org/"]))
def test_a_body_is_made_of_known_words_the_ward_and_the_link(notice: Notice, demo: bool, url: str) -> None:
    """So neither a patient's key, name, value or bed, nor the person or the address, can be in it."""
    body = compose(notice, Site(url=url, demo=demo))
    assert body.link == ("https://vigil.example.org/#/alarms/0123" if url else "")
    said = f"{body.title} {body.text}"
    if notice.unit is not None:
        assert said.count("Ward 3") == 1
        said = said.replace("Ward 3", "")
    assert set(re.findall(r"\w+", said.lower())) <= WORDS
    if notice.kind is not NoticeKind.TEST:
        assert f"{notice.priority} priority" in said.lower()
    assert ("DEMO" in body.title) is demo


@given(NOTICES, st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_what_the_site_puts_in_stays_one_line(notice: Notice, text: str, unit: str) -> None:
    """Neither a header of a mail nor a second message can be made of it."""
    body = compose(notice.model_copy(update={"text": text, "unit": unit}), Site())
    for said in (body.title, body.text):
        assert said.isprintable()
        assert len(said.encode()) < 1500  # what a push message can hold, twice
        assert said == " ".join(said.split())


def test_what_the_site_allows_is_said() -> None:
    notice = Notice(
        notice_id="n", alarm_id="a", kind=NoticeKind.ALARM, priority=Priority.HIGH, lane=Lane.PHYSIOLOGICAL, person="mira",
        channel=Channel.EMAIL, address="mira@example.org", created_ms=0, link="/#/alarms/a", text="Bed 4: SpO2 low",
    )  # fmt: skip
    assert compose(notice, Site()).text == "Please look at once. Bed 4: SpO2 low Open Vigil to see more."


@pytest.mark.parametrize("module", ["answers", "body", "networks", "retry", "smtp", "webhook"])
def test_the_examples_hold(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"alerting.notifiers.{module}"))
    assert result.attempted
    assert not result.failed
