"""`vigil up`, `vigil demo` and `vigil run`: the whole system on one machine, or one room of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from cli import rooms, state_folder
from cli.database import prepare_apart
from cli.processes import (
    WATCH_STAGE,
    Demo,
    address,
    demo_settings,
    kafka_spec,
    ports,
    room_specs,
    source_specs,
)
from cli.status import View, view_for
from contracts.errors import Retryable, VigilError
from contracts.topics import PARTITIONS, TOPICS
from infra.local.kafka_jars import ensure_kafka
from infra.local.kafka_launch import KafkaFolder, diagnose, telling_line
from infra.local.ports import require_free_port
from infra.local.process_log import read_tail
from infra.local.process_status import ProcessStatus
from infra.local.supervisor import Supervisor
from infra.runtime.logs import configure_logs
from infra.runtime.settings import Settings, load

_KAFKA_TIMEOUT_S: Final = 90.0  # after a crash the broker checks its whole log first
_READY_TIMEOUT_S: Final = 60.0
_LOOK_S: Final = 0.25
_LOOK_WHEN_READY_S: Final = 1.0

_LOOK_AT: Final = (
    "DEMO: simulated and replayed patients; not for clinical use.",
    "Look at: the ward wall, sorted by risk; open a bed to see why; acknowledge an alarm.",
    "More: `vigil alarms tail` in another terminal shows alarms as they come.",
)
_NOT_CERTIFIED: Final = "Not a certified alarm system: a secondary display."

Host = Annotated[str | None, typer.Option(help="Address that the page, the API and the gateway listen on.")]
ApiPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the page and the API.")]
GatewayPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the gateway.")]
KafkaPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the local Kafka.")]
MetricsPort = Annotated[int | None, typer.Option(min=1, max=65000, help="First port of health and metrics.")]
StateDir = Annotated[Path | None, typer.Option(help="Where Kafka, the databases and the logs live.")]
Workers = Annotated[
    int, typer.Option(min=1, max=PARTITIONS, help="Processes each of processors, inference and alerting; they share the work.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per change.")]


def run(
    context: typer.Context,
    room: Annotated[str, typer.Argument(help="gateway, processors, sink, inference, alerting, api, reach or canary.")],
) -> None:
    """Run one room in this process; further arguments are the room's own (try `vigil run ROOM --help`)."""
    rooms.run_room(room, context.args)


def up(
    host: Host = None,
    api_port: ApiPort = None,
    gateway_port: GatewayPort = None,
    kafka_port: KafkaPort = None,
    metrics_port: MetricsPort = None,
    state_dir: StateDir = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Start everything on this machine: Kafka, the stream, the gateway and the page. Ctrl-C stops it in order."""
    settings = load(
        {
            "host": host,
            "api_port": api_port,
            "gateway_port": gateway_port,
            "kafka_port": kafka_port,
            "metrics_port": metrics_port,
            "state_dir": state_dir,
        }
    )
    _serve(settings, None, workers=workers, as_json=as_json)


def demo(
    beds: Annotated[int, typer.Option(min=0, max=2000, help="Simulated beds.")] = 20,
    recorded: Annotated[int, typer.Option(min=0, max=500, help="Patients replayed from real recordings.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same ward.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Go on with the data of the last demo instead of a fresh start.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    api_port: ApiPort = None,
    gateway_port: GatewayPort = None,
    kafka_port: KafkaPort = None,
    metrics_port: MetricsPort = None,
    state_dir: StateDir = None,
    workers: Workers = 1,
    as_json: AsJson = False,
) -> None:
    """Show a living ward on this machine: simulated and recorded patients, marked DEMO, apart from any real data."""
    settings = demo_settings(
        load(
            {
                "api_port": api_port,
                "gateway_port": gateway_port,
                "kafka_port": kafka_port,
                "metrics_port": metrics_port,
                "state_dir": state_dir,
            }
        )
    )
    plays = Demo(beds=beds, recorded=recorded, seed=seed)
    _serve(settings, plays, workers=workers, as_json=as_json, browser=not no_browser and not as_json, afresh=not keep)


def _serve(
    settings: Settings, plays: Demo | None, *, workers: int, as_json: bool, browser: bool = False, afresh: bool = False
) -> None:
    """Check, start, show, wait for Ctrl-C or SIGTERM, stop in order."""
    check_before_start(settings, workers)
    configure_logs(settings.log_format, "error")  # the supervisor's changes are shown as status
    lock = state_folder.hold(settings.state_dir)
    try:
        if afresh:
            state_folder.empty(settings.state_dir)
        _supervise(settings, plays, workers, view_for(sys.stdout, as_json=as_json), browser=browser)
    finally:
        lock.release()


def _supervise(settings: Settings, plays: Demo | None, workers: int, view: View, *, browser: bool) -> None:
    stop = threading.Event()
    # Stages say in which order to stop. The order of starting is ours: nothing waits for an earlier stage.
    supervisor = Supervisor(stage_timeout_s=0.0)
    restore = _on_signals(stop.set)
    try:
        stack = _Stack(settings, plays, workers, supervisor, view, stop)
        stack.start()
        stack.announce(open_browser=browser)
        stack.watch()
    except _Stopped:
        pass
    finally:
        restore()
        view.say("Stopping; Ctrl-C again ends everything at once")
        try:
            supervisor.stop()
        except KeyboardInterrupt:
            supervisor.stop(timeout_s=0.0)
        view.update(supervisor.status())
        view.say("Stopped")
        view.close()


def check_before_start(settings: Settings, workers: int = 1) -> None:
    """Raise `VigilError` for what would fail later: an address nobody may listen on, a port that is busy."""
    from api.access import check_listen_address

    check_listen_address(settings.host)
    wanted = ports(settings, workers)
    numbers = [use.port for use in wanted]
    for use in wanted:
        if numbers.count(use.port) > 1:
            raise VigilError(f"Port {use.port} is set for two things.", fix=f"choose another port with {use.option}")
        require_free_port(use.port, use=use.use, option=use.option)


class _Stopped(Exception):
    """A person asked to stop while the stack was starting."""


class _Stack:
    """One start of the stack, in the order in which its parts need each other."""

    def __init__(
        self,
        settings: Settings,
        plays: Demo | None,
        workers: int,
        supervisor: Supervisor,
        view: View,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._plays = plays
        self._rooms = room_specs(settings, workers)
        self._supervisor = supervisor
        self._view = view
        self._stop = stop

    def start(self) -> None:
        """Kafka first, the database while Java starts, then topics, rooms and sources."""
        kafka = kafka_spec(self._settings)
        if kafka is None:
            self._require_named_kafka()
        else:
            ensure_kafka(self._settings.cache_dir.absolute(), self._view.say)
            self._supervisor.start([kafka])
            self._view.say("Starting Kafka")
        self._prepare_database()
        self._view.say("Starting the rooms")  # they wait for Kafka and the topics by themselves
        self._supervisor.start(self._rooms)
        if kafka is not None:
            self._wait_for_local_kafka()
        self._create_topics()
        if self._plays is not None:  # they keep what they measure until the gateway takes it
            self._supervisor.start(source_specs(self._settings, self._plays))

    def announce(self, *, open_browser: bool) -> None:
        """Say where the page is once every room is ready, or keeps failing, or is too late; name those that are not."""
        # Not the canary: it is ready only when a first round went through everything.
        names = [room.name for room in self._rooms if room.stage != WATCH_STAGE]
        self._wait(lambda: self._settled(names), _READY_TIMEOUT_S)
        late = [status.name for status in self._supervisor.status() if status.name in names and status.state != "ready"]
        lines = [f"Not ready: {', '.join(late)}; logs are in {self._settings.state_dir / 'logs'}"] if late else []
        lines += [*(_LOOK_AT if self._plays is not None else ()), _NOT_CERTIFIED, "Ctrl-C stops it."]
        url = address(self._settings)
        self._view.ready(url, lines)
        if open_browser and "api" not in late and has_display(os.environ, sys.platform):
            webbrowser.open(url)

    def _settled(self, names: Sequence[str]) -> bool:
        states = {status.name: status.state for status in self._supervisor.status()}
        return all(states[name] in ("ready", "crash_loop") for name in names)

    def watch(self) -> None:
        """Show changes until it is time to stop."""
        while not self._stop.wait(_LOOK_WHEN_READY_S):
            self._view.update(self._supervisor.status())

    def _prepare_database(self) -> None:
        self._view.say("Preparing the database")
        prepare_apart(self._settings, self._plays)

    def _require_named_kafka(self) -> None:
        from infra.runtime.kafka import broker_answers

        if not broker_answers(self._settings, timeout_s=10.0):
            raise VigilError(
                f"Kafka at {self._settings.bootstrap} does not answer.",
                cause="no broker runs there, or it wants TLS or a login (VIGIL_KAFKA_OPTIONS)",
                fix="correct KAFKA_BOOTSTRAP_SERVERS, or unset it to use the local Kafka",
            )

    def _wait_for_local_kafka(self) -> None:
        from infra.runtime.kafka import broker_answers

        def settled() -> bool:
            state = self._kafka().state
            return state == "crash_loop" or (state == "ready" and broker_answers(self._settings, 1.0))

        in_time = self._wait(settled, _KAFKA_TIMEOUT_S)
        kafka = self._kafka()
        if not in_time or kafka.state != "ready":
            broker_log = KafkaFolder(root=self._settings.state_dir.absolute() / "kafka").broker_log
            said = [*read_tail(broker_log), *read_tail(kafka.log_path)]
            cause, fix = diagnose(said)
            raise VigilError(
                "The local Kafka cannot be started." if in_time else f"Kafka did not answer within {_KAFKA_TIMEOUT_S:g} s.",
                cause=cause or telling_line(said) or "a machine under heavy load",
                fix=(f"{fix}; " if fix else "") + f"see {broker_log} and {kafka.log_path}",
            )

    def _kafka(self) -> ProcessStatus:
        (kafka,) = [status for status in self._supervisor.status() if status.name == "kafka"]
        return kafka

    def _create_topics(self) -> None:
        from infra.runtime.kafka import create_topics

        deadline = time.monotonic() + _KAFKA_TIMEOUT_S
        while True:
            try:
                create_topics(self._settings, TOPICS)
                return
            except Retryable:  # a broker that has just started may still be electing itself
                if time.monotonic() > deadline:
                    raise
            if self._stop.wait(_LOOK_S):
                raise _Stopped

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Until `done` or too late; shows changes meanwhile, and gives up at once when asked to stop."""
        deadline = time.monotonic() + timeout_s
        while not done():
            self._view.update(self._supervisor.status())
            if time.monotonic() > deadline:
                return False
            if self._stop.wait(_LOOK_S):
                raise _Stopped
        self._view.update(self._supervisor.status())
        return True


def has_display(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a browser could show a page here: on a server or in a container none can."""
    if platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _on_signals(stop: Callable[[], None]) -> Callable[[], None]:
    """Stop in order on Ctrl-C and SIGTERM. The answer puts back what was there: a second Ctrl-C is then felt."""

    def handle(_: int, __: FrameType | None) -> None:
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    before = {number: signal.signal(number, handle) for number in numbers}

    def restore() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in numbers[1:]:
            signal.signal(number, before[number])

    return restore
