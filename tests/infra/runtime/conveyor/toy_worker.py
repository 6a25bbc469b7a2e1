"""A worker whose state is easy to check: each output carries the sum of the last numbers of its patient.

`python -m tests.infra.runtime.conveyor.toy_worker RECOVERY INSTANCE PORT [GROUP]`, settings from the environment. A message is
JSON `{"patient", "n"}`; the output, on vitals.scores, is `{"patient", "n", "sum", "topic", "offset"}`. RECOVERY is
`lookback`, `snapshots` (every 2 s) or `two-topics` (readings and windows, with look-back).

Other messages, to see what happens then: text that is no JSON is a dead letter; `"n": "bug"` raises in the room after the
state was changed; `"n": "block"` blocks the event loop for a minute.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from contracts.errors import InvalidInput
from contracts.topics import READINGS, SCORES, WINDOWS
from infra.runtime.dead_letters import dead_letter
from infra.runtime.logs import configure_logs
from infra.runtime.records import Output, Record
from infra.runtime.settings import load
from infra.runtime.worker import Lookback, Plan, Snapshots, run

REMEMBERED = 50


class SummingRoom:
    """Remembers the last 50 numbers of each patient, by topic."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._last: dict[str, list[int]] = defaultdict(list)

    def step(self, records: Sequence[Record]) -> Sequence[Output]:
        outputs = []
        for record in records:
            try:
                message = json.loads(record.value or b"")
                patient, number = message["patient"], message["n"]
            except (ValueError, KeyError, TypeError):
                outputs.append(dead_letter(record, "payload", "is not a number of this test"))
                continue
            key = f"{record.topic}/{patient}"
            if number == "bug":
                self._last[key] = [10**9]  # half changed: nobody may ever see this number
                raise RuntimeError("a bug on one record")
            if number == "block":
                time.sleep(60)
                continue
            self._last[key] = [*self._last[key], number][-REMEMBERED:]
            found = {
                "patient": patient, "n": number, "sum": sum(self._last[key]), "topic": record.topic,
                "offset": record.offset,
            }  # fmt: skip
            outputs.append(Output(topic=SCORES.name, partition=self._partition, value=json.dumps(found).encode()))
        return outputs

    def snapshot(self) -> bytes:
        return json.dumps(self._last).encode()

    def restore(self, snapshot: bytes) -> None:
        try:
            self._last = defaultdict(list, json.loads(snapshot))
        except ValueError as error:
            raise InvalidInput("snapshot", "is not ours") from error


def main() -> None:
    recovery, instance, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = load()
    configure_logs("console")
    plan = Plan(
        name="toy",
        group=sys.argv[4] if len(sys.argv) > 4 else "",
        topics=(READINGS, WINDOWS) if recovery == "two-topics" else (READINGS,),
        make_room=SummingRoom,
        recovery=Snapshots(2.0) if recovery == "snapshots" else Lookback(60_000),
        max_dead_letters_per_minute=100,
        max_faults_per_minute=5,
    )
    run(plan, settings, instance=instance, health_port=port)


if __name__ == "__main__":
    main()
