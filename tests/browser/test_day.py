"""A ward's whole day at sixty times the speed of life, and a scripted nurse who works the inbox: no high alarm is missed.

The day is simulated (`producers/sources/ward.py`, scenario `day`) and goes through the rooms that run live; the API, its SQL and
the page are real, on a clock that runs sixty times as fast. 24 minutes. `make faults`.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from alerting.room import AlertRoom
from alerting.rules.load import shipped
from api.columns import latest_rows
from cli.backtesting.one_partition import PARTITION, keys, named
from contracts.alarms import AlarmEvent, Change, Priority
from contracts.latest import decode_latest
from contracts.readings import encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ALARMS, ARROW_FRAME, CONTENT_TYPE, LATEST, READINGS, SCORES, TICK, WINDOWS
from inference.detectors.news2 import News2
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from infra.runtime.records import Output, Record
from infra.runtime.sql.patients import PatientStore
from producers.sources.ward import Ward
from stream_processors.room import ProcessorRoom
from tests.browser.screen import heap_of, window
from tests.browser.stage import Stage, stage

pytestmark = [pytest.mark.browser, pytest.mark.faults]

SPEED, HOURS, BEDS, SEED = 60, 24, 48, 3
STEP_S = 0.25  # of real time: fifteen seconds of the ward
SHOWN_WITHIN_S = 3.0
MOST_HEAP_MB = 10.0
REFUSED = "Failed to load resource: the server responded with a status of 409"


class FastClock:
    """The time of the ward: `SPEED` seconds to each real one, from `start_ms` on."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms, self._began_s = start_ms, time.monotonic()

    def now_ms(self) -> int:
        return self._start_ms + round((time.monotonic() - self._began_s) * 1000 * SPEED)

    def monotonic_s(self) -> float:
        return time.monotonic() * SPEED


class FastWard:
    """The simulated ward and the rooms of its partition, step by step onto a stage. `high`: when each alarm came to high
    priority, by real time in seconds."""

    def __init__(self, found: Stage, start_ms: int) -> None:
        self._stage, self._clock = found, FastClock(start_ms)
        self._ward = Ward(BEDS, SEED, "day", start_ms)
        self._patients = keys(BEDS)
        self._processors = ProcessorRoom(PARTITION)
        self._inference = InferenceRoom(PARTITION, (PersonalBaseline(), News2()))
        self._alerting = AlertRoom(PARTITION, {0: shipped()})
        self._offset = itertools.count()
        self.alarms = 0
        self.high: dict[str, float] = {}
        self.trouble: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="fast-ward")
        self.done = threading.Event()
        people = [dataclasses.replace(p, patient=k) for p, k in zip(self._ward.people, self._patients, strict=True)]
        PatientStore(found._engine).upsert([p.row() for p in people])

    @property
    def clock(self) -> FastClock:
        return self._clock

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self.done.set()
        self._thread.join()
        assert self.trouble == []

    def _run(self) -> None:
        try:
            while not self.done.is_set() and self._ward.second < HOURS * 3600:
                self._step()
                time.sleep(max(0.0, (self._ward.next_ms - self._clock.now_ms()) / 1000 / SPEED + STEP_S))
        except BaseException as error:
            self.trouble.append(error)
        finally:
            self.done.set()

    def _step(self) -> None:
        """Everything up to now."""
        records: list[Record] = []
        while self._ward.next_ms + 1000 <= self._clock.now_ms() and len(records) < 240:
            readings = encode_readings(named(self._ward.step(), self._patients))
            records.append(self._record(READINGS.name, readings, ARROW_FRAME))
            tick = Tick(tick_ms=self._ward.next_ms, config_version=0)
            records.append(self._record(READINGS.name, encode_tick(tick), TICK))
        made = self._processors.step(records)
        rows = [latest_rows(decode_latest(o.value)) for o in made if o.topic == LATEST.name]
        windows = [self._record(WINDOWS.name, o.value, ARROW_FRAME) for o in made if o.topic == WINDOWS.name]
        scores = [self._record(o.topic, o.value, ARROW_FRAME) for o in self._inference.step(windows) if o.topic == SCORES.name]
        if rows:
            self._stage.give(*rows)
        self._record_alarms(self._alerting.step([*records, *scores]))

    def _record_alarms(self, outputs: Any) -> None:
        events = [AlarmEvent.model_validate_json(o.value) for o in outputs if isinstance(o, Output) and o.topic == ALARMS.name]
        if not events:
            return
        self._stage.record(events)
        for event in events:
            self.alarms += event.change is Change.RAISED
            if event.priority is Priority.HIGH and event.change in (Change.RAISED, Change.WORSENED):
                self.high.setdefault(event.alarm_id, time.time())

    def _record(self, topic: str, value: bytes, kind: str) -> Record:
        return Record(
            topic=topic, partition=PARTITION, offset=next(self._offset), timestamp_ms=0, key=None, value=value,
            headers=((CONTENT_TYPE, kind.encode()),),
        )  # fmt: skip


@pytest.fixture
def day(tmp_path: Path) -> Iterator[tuple[Stage, FastWard]]:
    with stage(tmp_path, 1) as found:
        start_ms = time.time_ns() // 1_000_000 // 1000 * 1000
        fast = FastWard(found, start_ms)
        found.clock = fast.clock
        found.start(ticking=False)
        fast.start()
        try:
            yield found, fast
        finally:
            fast.join()


# Every card of high priority that was ever on the screen, and when, by the real clock.
WATCH = """() => {
  window.seenHigh = {};
  const look = () => document.querySelectorAll('[data-testid=alarm][data-priority=high]').forEach(e => {
    window.seenHigh[e.dataset.alarm] ??= Date.now() / 1000;
  });
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, attributes: true,
    attributeFilter: ['data-priority', 'data-alarm']});
  look();
}"""


def test_a_nurse_works_through_a_ward_s_day_and_misses_no_high_alarm(
    browser: Browser, day: tuple[Stage, FastWard], record_property: Callable[[str, object], None]
) -> None:
    found, fast = day
    with window(browser, found.url, 1920, 1080) as page:
        errors: list[str] = []
        refused: list[str] = []  # by the server, because the alarm was over before the nurse's hand came: the card says so

        def heard(said: ConsoleMessage) -> None:
            if said.type == "error":
                (refused if said.text.startswith(REFUSED) else errors).append(said.text)

        page.on("console", heard)
        expect(page.get_by_test_id("tile").nth(BEDS - 1)).to_be_attached(timeout=60_000)
        page.evaluate(WATCH)
        heap = heap_of(page)
        page.wait_for_timeout(60_000)
        before = heap()
        acted = 0
        for turn in itertools.count():
            if fast.done.is_set():
                break
            acted += work(page, turn)
        page.wait_for_timeout(SHOWN_WITHIN_S * 1000)
        seen: dict[str, float] = page.evaluate("window.seenHigh")
        grown = heap() - before
    late = sorted(seen[alarm] - at for alarm, at in fast.high.items() if alarm in seen)
    missed = fast.high.keys() - seen.keys()
    sys.stderr.write(
        f"\n{fast._ward.second / 3600:.1f} h of {BEDS} beds: {fast.alarms} alarms, {len(fast.high)} high, {len(missed)} missed; "
        f"shown after {statistics.median(late or [0]):.2f} s, at most {max(late, default=0):.2f} s; "
        f"{acted} things done, {len(refused)} refused; heap {grown:+.1f} MB; console errors {errors}\n"
    )
    for name, value in (("high", len(fast.high)), ("shown_s_max", max(late, default=0.0)), ("heap_mb", grown)):
        record_property(name, value)
    assert fast._ward.second >= HOURS * 3600
    assert fast.high, "a day without a high alarm proves nothing"
    assert not missed
    assert max(late) <= SHOWN_WITHIN_S
    assert errors == []
    assert grown <= MOST_HEAP_MB


def work(page: Page, turn: int) -> int:
    """One turn of the nurse: the most urgent alarm is read and acknowledged, some are put off, labelled or looked at with their
    patient; now and then the other pages. How many things were done."""
    press = page.keyboard.press
    press("Escape")
    press("Escape")
    press("j")
    page.wait_for_timeout(400)
    done = 0
    chosen = page.locator("[data-testid=alarm][data-selected=true]")
    if chosen.count() == 1:
        if turn % 5 == 3 and chosen.get_attribute("data-priority") != "high":
            press("s")
            page.wait_for_timeout(200)
            press("Enter")
        else:
            press("a")
        done += 1
        if turn % 4 == 1:
            press("p")
            page.wait_for_timeout(700)
            press("Escape")
            done += 1
    if turn % 20 == 7:
        page.get_by_test_id("page-charge").click()
        page.wait_for_timeout(800)
        page.get_by_test_id("page-system").click()
        page.wait_for_timeout(800)
        page.get_by_test_id("page-ward").click()
        done += 1
    page.wait_for_timeout(600)
    return done
