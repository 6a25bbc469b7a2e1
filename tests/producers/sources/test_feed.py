"""The two commands as a whole: which way in, what start, what is written, what is said."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import InvalidInput
from contracts.readings import concat, decode_readings
from contracts.topics import ARROW_FRAME
from infra.runtime.settings import Settings
from producers.sources import feed
from producers.sources.kafka_feed import KafkaFeed
from producers.sources.source import write_truth
from producers.sources.ward import Ward
from tests.producers.sources.test_kafka_feed import Client

START_MS = 1_767_225_600_000


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Kafka replaced by a client that keeps everything."""
    kept = Client()

    def with_client(settings: Settings, *, config_version: int = 0) -> KafkaFeed:
        return KafkaFeed(settings, config_version=config_version, client=kept)

    monkeypatch.setattr(feed, "KafkaFeed", with_client)
    monkeypatch.setattr(feed, "require_topic", lambda _: None)
    return kept


def simulate(**options: Any) -> feed.Summary:
    given: dict[str, Any] = {"beds": 4, "scenario": "demo", "seed": 3, "speed": 0, "duration_s": 60, "via": "kafka"}
    return feed.simulate(Settings(), **{**given, **options})


def test_a_summary_reports_the_seed_and_whose_data_it_was(client: Client) -> None:
    summary = simulate(start_ms=START_MS)
    assert (summary.seed, summary.seconds, summary.start_ms) == (3, 60, START_MS)
    assert summary.sent == summary.accepted
    assert summary.sent > 4 * 8 * 50
    assert "simulated" in summary.about


@pytest.mark.parametrize(("speed", "earlier_s"), [(0, 60), (60, 59), (1, 0)])
def test_event_time_never_runs_ahead_of_the_wall_clock(speed: float, earlier_s: int) -> None:
    begin = feed._start(None, 60, speed, "kafka")
    assert begin % 1000 == 0
    assert abs(time.time() - earlier_s - begin / 1000) < 2


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"via": "gateway", "speed": 10}, "speed"), ({"speed": -1}, "speed"), ({"duration_s": None}, "duration"),
        ({"duration_s": 0.2}, "duration"), ({"scenario": "party"}, "scenario"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused_before_anything_is_sent(
    client: Client, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        simulate(**options)
    assert refused.value.field == field
    assert not client.log


def test_the_truth_of_a_known_duration_is_written_whole(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "truth.json"
    simulate(truth_path=path, duration_s=600, beds=24, start_ms=START_MS)
    document = json.loads(path.read_text())
    assert document["seed"] == 3
    assert document["until_ms"] == START_MS + 600_000
    expected = Ward(24, 3, "demo", START_MS).truth(600)
    assert document["events"] == json.loads(json.dumps([e.document() for e in expected]))
    assert len(document["events"]) >= 4
    assert list(path.parent.iterdir()) == [path], "no scratch file is left"


def test_the_truth_of_an_endless_run_follows_what_begins(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    stop = threading.Event()
    ward = Ward(24, 3, "demo", START_MS)
    first = ward.truth(60)[0]

    def watch(_: str) -> None:
        if path.exists() and json.loads(path.read_text())["events"]:
            stop.set()

    timer = threading.Thread(target=poll, args=(stop, watch))
    timer.start()
    summary = simulate(truth_path=path, duration_s=None, speed=1000, beds=24, start_ms=START_MS, stop=stop)
    timer.join()
    written = json.loads(path.read_text())["events"]
    assert written[0]["patient"] == first.patient
    assert summary.seconds >= (first.start_ms - START_MS) / 1000


def poll(stop: threading.Event, watch: Any) -> None:
    deadline = time.monotonic() + 20
    while not stop.is_set() and time.monotonic() < deadline:
        watch("")
        stop.wait(0.01)
    stop.set()


def test_replay_falls_back_to_the_sample_and_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIGIL_DATA_DIR", raising=False)
    said: list[str] = []
    summary = feed.replay(
        Settings(), speed=0, hours=0.05, seed=2, via="kafka", silent=(0, 10, 20), on_progress=said.append
    )
    assert summary.seconds == 180
    assert summary.sent == summary.accepted == 12 * 4 * 180 - 4 * 10
    assert "generated" in summary.about
    assert said == ["Replay of generated sample (simulated, no patients): 12 patients, seed 2."]


def test_truth_is_never_seen_half_written(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    ward = Ward(24, 1, "demo", START_MS)
    for _ in range(3):
        list(ward.seconds(60))
        write_truth(path, ward)
        assert json.loads(path.read_text())["until_ms"] == ward.next_ms


def test_a_ward_that_starts_again_does_not_look_like_a_repetition(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = set()
    for now_ms in (START_MS, START_MS + 20_000, START_MS + 86_400_000):
        monkeypatch.setattr(feed, "SystemClock", lambda now_ms=now_ms: FixedClock(now_ms))
        client.log.clear()
        simulate(speed=1000, duration_s=2)
        frames = [decode_readings(v) for m in client.log.values() for kind, v in m if kind == ARROW_FRAME]
        boots |= set(concat(frames).boot.tolist())
    assert len(boots) == 3
    client.log.clear()
    simulate(duration_s=2, start_ms=START_MS)
    again = [decode_readings(v) for m in client.log.values() for kind, v in m if kind == ARROW_FRAME]
    assert set(concat(again).boot.tolist()) == {1}


class FixedClock:
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms
