"""`vigil bench rules`: what many rules cost. One partition of a district in this process, the same frames under each rule set.

`shipped`: the rules of the release. `thirty_more`: thirty rules about several values besides (ten combinations, ten changes,
ten against the own usual). `own_limits`: those, and limits of their own for every patient. `chain_kept_*`: values per
core-second of processors, inference and alerting together as a share of those with the shipped rules; the goal is 0.7 or more.

`override_bytes_*`: what a patient's own limits cost an alerting process that has all eight partitions, one or four limits each, a
thousand different ones among them: the rule set as it is read, and what judging keeps of it. The goal is 1,024.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, Final

from alerting.room import AlertRoom
from alerting.rules.load import parse, parse_json, shipped
from alerting.rules.model import RuleSet
from contracts.readings import encode_readings
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, SCORES, WINDOWS
from inference.detectors.news2 import News2
from inference.detectors.personal_baseline import PersonalBaseline
from inference.room import InferenceRoom
from infra.runtime.records import Output, Record
from stream_processors.room import ProcessorRoom
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS, T0, names_of, patients_by_partition, seconds

Say = Callable[[str], None]
_PARTITION: Final = 0
_OWN: Final = (
    ("spo2_low", 85.0, 80.0), ("heart_rate_high", 125.0, 150.0), ("heart_rate_low", 45.0, 40.0),
    ("respiratory_rate_high", 31.0, None),
)  # fmt: skip
_MOVES: Final = ("heart_rate", "spo2", "respiratory_rate", "systolic_bp", "temperature")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, default=20_000, help="of the district; an eighth is in the partition")
    parser.add_argument("--seconds", type=int, default=90, help="of event time")
    parser.add_argument("--rows", type=int, default=2_000, help="values in a frame")
    parser.add_argument("--repeats", type=int, default=3)


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure."""
    names = names_of(_PARTITION, given.patients // PARTITIONS)
    feed = seconds(_PARTITION, names, first=0, count=given.seconds, frame_rows=given.rows)
    log = [[piece.record(offset) for offset, piece in enumerate(pieces)] for _, pieces in feed]
    values = len(names) * len(METRICS) * given.seconds
    found: dict[str, list[float]] = {}
    for _ in range(given.repeats):
        scores, others_s = upstream(log)
        for name, rules in rule_sets(names).items():
            alone_s = alerting(log, scores, rules)
            found.setdefault(f"alerting_values_per_core_second_{name}", []).append(values / alone_s)
            found.setdefault(f"chain_values_per_core_second_{name}", []).append(values / (alone_s + others_s))
            both_s = alone_s + others_s
            say(f"{name}: {values / alone_s:,.0f} values per core-second in alerting, {values / both_s:,.0f} in all")
    for limits in (1, 4):
        found[f"override_bytes_{limits}"] = [override_bytes(given.patients, limits)]
        say(f"{limits} own limits a patient: {found[f'override_bytes_{limits}'][0]:,.0f} bytes")
    for kind in ("alerting", "chain"):
        base = found[f"{kind}_values_per_core_second_shipped"]
        for name in ("thirty_more", "own_limits"):
            many = found[f"{kind}_values_per_core_second_{name}"]
            found[f"{kind}_kept_{name}"] = [m / b for m, b in zip(many, base, strict=True)]
    return Result(
        name="rules",
        inputs={"patients": given.patients, "seconds": given.seconds, "values": values, "repeats": given.repeats},
        figures={name: figure(measured, 3 if "kept" in name else 0) for name, measured in found.items()},
        goals={
            "chain_kept_thirty_more": ">= 0.7", "chain_kept_own_limits": ">= 0.7", "override_bytes_1": "<= 1,024",
            "override_bytes_4": "<= 1,024",
        },
    )  # fmt: skip


def override_bytes(patients: int, many: int) -> float:
    """Bytes a patient of rule set and rooms, `many` own limits each; a room finds hardly two patients alike."""
    by_partition = patients_by_partition(patients)
    own = {
        name: {
            rule: {"limit": limit + number % 1000 / 1000, "critical": critical} for rule, limit, critical in _OWN[:many]
        }
        for number, name in enumerate(name for names in by_partition for name in names)
    }
    document = {**shipped().model_dump(mode="json"), "patients": {}}
    frames = [
        encode_readings(next(seconds(number, names, first=0, count=1, frame_rows=10**9))[0])
        for number, names in enumerate(by_partition)
    ]
    text = json.dumps({**document, "patients": own})
    used: list[int] = []
    for rules in (json.dumps(document), text):
        gc.collect()
        tracemalloc.start()
        ruleset = parse_json(rules, version=0)
        rooms = [AlertRoom(partition, {0: ruleset}) for partition in range(PARTITIONS)]
        for partition, room in enumerate(rooms):
            headers = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
            room.step(
                [Record(topic=READINGS.name, partition=partition, offset=0, timestamp_ms=T0, key=None, value=frames[partition],
                        headers=headers)]
            )  # fmt: skip
        gc.collect()
        used.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del rooms, ruleset
    return (used[1] - used[0]) / patients


def rule_sets(names: Sequence[str]) -> dict[str, RuleSet]:
    """By name; see the module."""
    document: dict[str, Any] = shipped().model_dump(mode="json")
    parts = [
        {"metric": "spo2", "direction": "low", "limit": 90}, {"metric": "respiratory_rate", "direction": "high", "limit": 28},
        {"metric": "heart_rate", "direction": "high", "limit": 118}, {"metric": "systolic_bp", "direction": "low", "limit": 92},
    ]  # fmt: skip
    sided = [(metric, direction) for metric in _MOVES for direction in ("low", "high")]
    more = {
        **document,
        "combined": [{"name": f"pattern_{n}", "parts": parts, "needed": 2 + n % 3, "onset_s": 30 + n} for n in range(10)],
        "changes": [{"metric": m, "direction": d, "by": 9.0, "over_s": 60 * (1 + n)} for n, (m, d) in enumerate(sided)],
        "relative": [{"metric": m, "direction": d, "by": 18.0, "clear_by": 9.0} for m, d in sided],
    }
    own = {**more, "patients": {name: {"spo2_low": {"limit": 87, "critical": 80}} for name in names}}
    return {
        name: parse(found, version=0) for name, found in (("shipped", document), ("thirty_more", more), ("own_limits", own))
    }


def upstream(log: Sequence[Sequence[Record]]) -> tuple[list[list[Record]], float]:
    """The scores of each second, and the CPU seconds of processors and inference."""
    processors, inference = ProcessorRoom(_PARTITION), InferenceRoom(_PARTITION, (PersonalBaseline(), News2()))
    began = time.process_time()
    found = [_of(inference.step(_of(processors.step(records), WINDOWS.name)), SCORES.name) for records in log]
    return found, time.process_time() - began


def alerting(log: Sequence[Sequence[Record]], scores: Sequence[Sequence[Record]], rules: RuleSet) -> float:
    """CPU seconds of alerting."""
    room = AlertRoom(_PARTITION, {0: rules})
    began = time.process_time()
    for records, scored in zip(log, scores, strict=True):
        room.step([*records, *scored])
    return time.process_time() - began


def _of(outputs: Sequence[Output], topic: str) -> list[Record]:
    return [
        Record(topic=topic, partition=_PARTITION, offset=n, timestamp_ms=0, key=None, value=o.value, headers=o.headers)
        for n, o in enumerate(outputs)
        if o.topic == topic
    ]
