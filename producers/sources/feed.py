"""`vigil simulate`, `vigil replay` and what plays on a demo: a source, a way into the system, and a summary of what happened."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, Literal

from contracts.errors import InvalidInput
from contracts.readings import MAX_BOOT
from infra.runtime.clock import SystemClock
from infra.runtime.settings import Settings
from producers.sources.gateway_feed import GatewayFeed
from producers.sources.kafka_feed import KafkaFeed, require_topic
from producers.sources.recordings import Replay, Silence, find_recordings
from producers.sources.source import Say, Source, Summary, Tally, write_truth
from producers.sources.ward import Ward

__all__ = ["Summary", "play", "replay", "simulate", "write_truth"]

Via = Literal["gateway", "kafka"]
DRAIN_S: Final = 30
FASTEST: Final = 100_000.0


def simulate(
    settings: Settings,
    *,
    beds: int,
    scenario: str,
    seed: int,
    speed: float = 1.0,
    duration_s: float | None = None,
    via: Via = "gateway",
    gateway_url: str | None = None,
    truth_path: Path | None = None,
    on_progress: Say | None = None,
    start_ms: int | None = None,
    events_per_bed_hour: float | None = None,
    config_version: int = 0,
    drain_s: int = DRAIN_S,
    stop: threading.Event | None = None,
) -> Summary:
    """Run a simulated ward for `duration_s` seconds of event time (None: until Ctrl-C or `stop`).

    The truth is written to `truth_path`: all of it at the start when the duration is known, else whenever an event begins.
    `start_ms` None: now for real time, else so that event time never runs ahead of the clock on the wall.
    Raises `InvalidInput` for options that do not fit, `VigilError` when the other side will not take the readings.
    """
    seconds = None if duration_s is None else _whole_seconds(duration_s)
    begin = _start(start_ms, seconds, speed, via)
    boot = _boot(start_ms, begin)
    ward = Ward(beds, seed, scenario, begin, events_per_bed_hour=events_per_bed_hour, boot=boot)
    say = _say(on_progress)
    say(f"Simulated ward (demo data, no patients): {beds} beds, scenario {scenario}, seed {seed}.")
    write = _truth_writer(truth_path, ward, seconds)
    tally = _feed(
        settings, ward, seconds=seconds, speed=speed, via=via, gateway_url=gateway_url, seed=seed, begin=begin, say=say,
        after_second=write, config_version=config_version, drain_s=drain_s, stop=stop, real_time=start_ms is None,
    )  # fmt: skip
    return _summary(tally, seed, begin, f"simulated ward, scenario {scenario}")


def replay(
    settings: Settings,
    *,
    data_dir: Path | None = None,
    speed: float = 1.0,
    hours: float = 1.0,
    seed: int = 1,
    patients: int | None = None,
    via: Via = "gateway",
    gateway_url: str | None = None,
    silent: tuple[int, float, float] | None = None,
    on_progress: Say | None = None,
    start_ms: int | None = None,
    config_version: int = 0,
    drain_s: int = DRAIN_S,
    stop: threading.Event | None = None,
) -> Summary:
    """Replay recordings for `hours` of event time: of `data_dir`, of `shared/data` beside the project, else the generated
    sample. `silent`: the device of patient number 0 is silent from second 1 to second 2 of the triple.

    Times and errors as in `simulate`."""
    collection = find_recordings(data_dir or settings.data_dir, Path.cwd())
    seconds = _whole_seconds(hours * 3600)
    begin = _start(start_ms, seconds, speed, via)
    source = Replay(
        collection,
        hours=hours,
        seed=seed,
        start_ms=begin,
        patients=patients,
        boot=_boot(start_ms, begin),
        silent=None if silent is None else Silence(patient=silent[0], from_s=silent[1], to_s=silent[2]),
    )
    say = _say(on_progress)
    say(f"Replay of {source.about}: {len(source.recordings)} patients, seed {seed}.")
    tally = _feed(
        settings, source, seconds=source.length_s, speed=speed, via=via, gateway_url=gateway_url, seed=seed, begin=begin,
        say=say, after_second=lambda: None, config_version=config_version, drain_s=drain_s, stop=stop,
        real_time=start_ms is None,
    )  # fmt: skip
    return _summary(tally, seed, begin, source.about)


def play(
    settings: Settings,
    *,
    beds: int,
    recorded: int,
    seed: int,
    hours: float,
    gateway_url: str,
    on_progress: Say | None = None,
) -> None:
    """A simulated ward of `beds` and a replay of `recorded` patients side by side, in real time through the gateway, until
    Ctrl-C or the end of the replay. Either may be 0. What fails in one ends both, and is raised."""
    stop = threading.Event()
    with ThreadPoolExecutor(2) as both:
        running = []
        if beds:
            running.append(
                both.submit(
                    simulate, settings, beds=beds, scenario="demo", seed=seed, gateway_url=gateway_url,
                    on_progress=on_progress, stop=stop,
                )
            )  # fmt: skip
        if recorded:
            running.append(
                both.submit(
                    replay, settings, hours=hours, seed=seed, patients=recorded, gateway_url=gateway_url,
                    on_progress=on_progress, stop=stop,
                )
            )  # fmt: skip
        try:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
        except KeyboardInterrupt:
            done = set()
        stop.set()
    for finished in done:
        finished.result()


def _feed(
    settings: Settings,
    source: Source,
    *,
    seconds: int | None,
    speed: float,
    via: Via,
    gateway_url: str | None,
    seed: int,
    begin: int,
    say: Say,
    after_second: Callable[[], None],
    config_version: int,
    drain_s: int,
    stop: threading.Event | None,
    real_time: bool,
) -> Tally:
    stop = threading.Event() if stop is None else stop
    if via == "kafka":
        require_topic(settings)
        feed = KafkaFeed(settings, config_version=config_version)
        try:
            feed.run(
                source, seconds=seconds, speed=speed, drain_s=drain_s, stop=stop, say=say, after_second=after_second
            )
        except KeyboardInterrupt:
            feed.flush()
        return feed.tally
    url = gateway_url or f"http://127.0.0.1:{settings.gateway_port}"
    posts = GatewayFeed(url, seed=seed)
    # The start of event time on the monotonic clock; a start in the past would send the past at once.
    late_s = (SystemClock().now_ms() - begin) / 1000 if real_time else 0.0
    try:
        asyncio.run(
            posts.run(
                source, seconds=seconds, began=time.monotonic() - late_s, stop=stop, say=say, after_second=after_second
            )
        )
    except KeyboardInterrupt:
        say("Stopped.")
    return posts.tally


def _whole_seconds(seconds: float) -> int:
    whole = round(seconds)
    if whole < 1:
        raise InvalidInput("duration", "must be at least one second")
    return whole


def _start(start_ms: int | None, seconds: int | None, speed: float, via: Via) -> int:
    """When event time starts. Raises `InvalidInput` for a speed that does not fit the way in."""
    if not 0 <= speed <= FASTEST:
        raise InvalidInput("speed", f"must be 0 (as fast as it goes) to {FASTEST:g}")
    if via == "gateway" and speed != 1:
        raise InvalidInput("speed", "must be 1 through the gateway, whose clock is the wall's; use --via kafka for others")
    if speed == 0 and seconds is None:
        raise InvalidInput("duration", "must be given when speed is 0: there would be no end")
    if start_ms is not None:
        return start_ms
    now_ms = SystemClock().now_ms() // 1000 * 1000
    if seconds is None or speed == 1:
        return now_ms
    ahead_s = seconds if speed == 0 else seconds - seconds / speed
    return now_ms - max(0, round(ahead_s)) * 1000


def _boot(start_ms: int | None, begin: int) -> int:
    """1 for a run whose start was given, which must be the same again; else one that the last run did not have: the
    gateway takes the same device, boot and number for a repetition and does not pass it on."""
    return 1 if start_ms is not None else 1 + begin // 1000 % MAX_BOOT


def _truth_writer(path: Path | None, ward: Ward, seconds: int | None) -> Callable[[], None]:
    if path is None:
        return lambda: None
    write_truth(path, ward, seconds)
    if seconds is not None:
        return lambda: None
    begun = 0

    def when_something_began() -> None:
        nonlocal begun
        if ward.begun > begun:
            begun = ward.begun
            write_truth(path, ward)

    return when_something_began


def _say(on_progress: Say | None) -> Say:
    return on_progress if on_progress is not None else (lambda _: None)


def _summary(tally: Tally, seed: int, begin: int, about: str) -> Summary:
    return Summary(
        sent=tally.sent,
        accepted=tally.accepted,
        duplicates=tally.duplicates,
        rejected=tally.rejected,
        dropped=tally.dropped,
        seconds=tally.seconds,
        seed=seed,
        start_ms=begin,
        max_lag_s=round(tally.max_lag_s, 3),
        about=about,
    )
