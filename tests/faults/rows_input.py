"""T-14 and T-29: messages that are poison, and values that are none."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import httpx2
import numpy as np
from confluent_kafka import KafkaException

from contracts.readings import Quality, encode_readings
from contracts.topics import ARROW_FRAME, JSON, LATEST, PARTITIONS, READINGS, REJECTED
from tests.faults.harness.deployment import Deployment
from tests.faults.harness.gaps import spread, tick_delays_s
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.oracle import frames
from tests.faults.harness.senders import KafkaSender
from tests.faults.harness.ward import Ward

CANARY = "Zz-Canary-91"
TOO_LARGE = 10 * 1024 * 1024


def _poison() -> dict[str, tuple[bytes | None, str | None, bytes | None]]:
    """Value, content type and key of each kind."""
    frame = encode_readings(Ward(beds=3, name=CANARY).second(0, now_ms()))
    return {
        "not_json": (f"{CANARY}: 61.8034 %".encode(), JSON, None),
        "truncated": (frame[: len(frame) // 2], ARROW_FRAME, None),
        "wrong_type": (json.dumps([CANARY, 61.8034]).encode(), JSON, None),
        "empty": (b"", ARROW_FRAME, None),
        "null": (None, ARROW_FRAME, None),
        "wrong_magic": (b"\x00\x01\x02\x03" + frame[4:], ARROW_FRAME, None),
        "bad_utf8_key": (f"{{{CANARY}".encode(), JSON, b"\xff\xfe\xfd"),
    }


@dataclass(frozen=True, kw_only=True)
class Poison:
    injected: int
    letters: int
    without_reason: int
    leaked: int  # lines of logs with what was in the poison
    too_large_refused: bool
    delay_before_s: dict[str, float]
    delay_during_s: dict[str, float]

    @property
    def stall_per_1000_s(self) -> float:
        """How much longer the latest values of a tick took at most, for a thousand bad messages."""
        added = self.delay_during_s["max"] - self.delay_before_s["max"]
        return round(max(0.0, added) / max(1.0, self.injected / 1000), 2)

    @property
    def met(self) -> bool:
        whole = self.injected == self.letters and not self.without_reason and not self.leaked
        return whole and self.too_large_refused and self.stall_per_1000_s <= 0.1

    def figures(self) -> dict[str, Any]:
        return {**asdict(self), "stall_per_1000_s": self.stall_per_1000_s}


def flood_with_poison(deployment: Deployment, *, each: int, pause: Callable[[], None] = lambda: None) -> Poison:
    """`each` messages of every kind of poison, spread over the partitions, between the readings of a ward that lives."""
    sender = KafkaSender(deployment.settings, Ledger())
    known = len(deployment.read(REJECTED.name))
    began_ms = now_ms()
    kinds = _poison()
    for value, content_type, key in kinds.values():
        for number in range(each):
            sender.raw(value, number % PARTITIONS, content_type, key=key)
        sender.flush()
        pause()
    refused = _refuses_what_is_too_large(sender)
    injected = each * len(kinds)
    deployment.until_done("processors")
    deployment.wait("all dead letters", lambda: len(deployment.read(REJECTED.name)) >= known + injected, 30)
    letters = [r for r in deployment.read(REJECTED.name) if r.timestamp_ms >= began_ms]
    origins = {(h[b"p"], h[b"o"]) for h in map(_origin, letters)}
    delays = tick_delays_s(deployment.read(READINGS.name), deployment.read(LATEST.name))
    return Poison(
        injected=injected,
        letters=len(origins),
        without_reason=sum(not dict(r.headers).get("reason") for r in letters),
        leaked=sum(CANARY in line or "61.8034" in line for p in deployment.settings.state_dir.glob("*.log")
                   for line in p.read_text(errors="replace").splitlines()),
        too_large_refused=refused,
        delay_before_s=spread([s for at, s in delays if began_ms - 8_000 <= at < began_ms], 3),
        delay_during_s=spread([s for at, s in delays if at >= began_ms], 3),
    )  # fmt: skip


def _origin(record: Any) -> dict[bytes, bytes]:
    headers = dict(record.headers)
    return {b"p": headers["origin-partition"], b"o": headers["origin-offset"]}


def _refuses_what_is_too_large(sender: KafkaSender) -> bool:
    """10 MB never get into the log: the client refuses them, as the broker would."""
    try:
        sender.raw(b"x" * TOO_LARGE, 0, JSON)
        sender.flush()
    except KafkaException:
        return True
    return sender.failed > 0


# T-29

BAD_VALUES = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "true", "false", "null", '"72"', '""', "[]", "{}", "[72]", "-0",
    "-0.0", "0", "900", "1e9", "-72", "1e-320", "3.5e38", '"NaN"', "01", "+72", "0x48", "72,5", "--72", "١٢",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fuzz:
    sent: int
    rejected: int
    accepted: int  # told as accepted
    good: int  # in the log with a quality that a limit or a window would use
    samples: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "samples"}


def fuzz_values(deployment: Deployment, count: int, seed: int) -> Fuzz:
    """`count` readings, one a line, whose value is bad: the fixed list, fields given twice, and random numbers outside
    what a sensor can report."""
    rng = random.Random(seed)
    device = f"d-fuzz-{seed}"
    stamp = np.datetime_as_string(np.datetime64(now_ms(), "ms"), timezone="UTC")
    lines: list[str] = []
    for number in range(count):
        head = f'"patient": "p-fuzz", "device": "{device}", "metric": "heart_rate", "unit": "/min", "time": "{stamp}"'
        kind = rng.randrange(4)
        if kind == 0:
            value = f'"value": 72, "value": {rng.choice(("72", "80", "NaN"))}'
        elif kind == 1:
            value = f'"value": {rng.choice((rng.uniform(-1e6, 9.9), rng.uniform(350.1, 1e6)))!r}'
        else:
            value = f'"value": {rng.choice(BAD_VALUES)}'
        lines.append(f'{{{head}, {value}, "boot": 1, "seq": {number}}}')
    answer = httpx2.post(
        f"{deployment.gateway_url}/v1/readings", content="\n".join(lines).encode(),
        headers={"content-type": "application/x-ndjson"}, timeout=30,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text[:300]
    document = answer.json()
    refused = {rejection["index"] for rejection in document["rejected"]}
    taken = Counter(line.split('"value"', 1)[1] for i, line in enumerate(lines) if i not in refused)
    return Fuzz(
        sent=count,
        rejected=len(refused),
        accepted=document["accepted"] + document["duplicates"],
        good=_usable_rows(deployment, device),
        samples=tuple(sorted(taken))[:5],
    )


def _usable_rows(deployment: Deployment, device: str) -> int:
    found = 0
    for _, rows in frames(deployment.read(READINGS.name)):
        mine = np.array([name == device for name in rows.device.names] or [False])[rows.device.codes]
        found += int(np.count_nonzero(mine & (rows.quality < Quality.BAD)))
    return found
