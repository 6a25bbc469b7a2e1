"""From payloads to what is written and what each sender is told. Pure: no clock, no network.

    read     one payload -> readings in catalogue units, and what was refused on the way
    gather   payloads of many requests -> one batch of rows that know where they came from
    decide   the batch -> rows to write per partition, and one answer per request

A value outside its hard range is refused *and* written, marked bad: zero may be asystole, apnoea or a sensor that fell
off, so the sender hears of it and alerting raises a technical alarm. Every other refused reading is only told to its
sender and counted: it has the answer in its hands, so no dead letter is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import MAX_FRAME_BYTES
from contracts.reading_json import MAX_READINGS, Rejection, parse_readings
from contracts.readings import REFUSALS, Readings, concat, decode_readings, judge
from contracts.vitals import CATALOGUE
from producers.gateway.arrow_limits import check_arrow
from producers.gateway.dedup import Identities, Seen, first_of_each, identities
from producers.gateway.fast_json import read_each_fast, read_fast
from producers.gateway.inflate import inflate
from producers.gateway.limits import MAX_JSON_BRACKETS, MAX_JSON_COMMAS, TooMuch
from producers.gateway.problems import Problem, unreadable
from producers.split import PartitionCache, split_by_partition

Media = Literal["json", "ndjson", "arrow"]

_IMPLAUSIBLE: Final = tuple(
    f"is outside the physical range {v.hard_low:g}–{v.hard_high:g} {v.unit} of {v.name}: kept as a bad-quality reading, "
    + ("nobody is shown it" if v.of_device else "it raises a technical alarm")
    for v in CATALOGUE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The readings of one payload. `index[i]` is the place of reading i in it; `refused` holds those left out."""

    readings: Readings
    index: npt.NDArray[np.intp]
    refused: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a sender is told. Every reading is accepted, a duplicate or rejected, never two of them."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...] = ()

    def body(self) -> bytes:
        """As JSON."""
        if not self.rejected:
            return b'{"accepted":%d,"duplicates":%d,"rejected":[]}' % (self.accepted, self.duplicates)
        rejected = [{"index": r.index, "field": r.field, "reason": r.reason} for r in self.rejected]
        document = {"accepted": self.accepted, "duplicates": self.duplicates, "rejected": rejected}
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Readings of several requests: row i is reading `index[i]` of request `request[i]`."""

    readings: Readings
    request: npt.NDArray[np.intp]
    index: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Several requests as one batch. By number of request: what was refused of it, or why nothing could be read."""

    rows: Stack
    refused: Mapping[int, tuple[Rejection, ...]]
    unreadable: Mapping[int, Problem]
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows for one partition, and the ids to remember once Kafka has them."""

    readings: Readings
    ids: Identities


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a stack. Request r may be answered with `answers[r]` once all partitions `waits[r]` are durable."""

    parts: Mapping[int, Part]
    answers: tuple[Answer, ...]
    waits: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class _Count:
    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    waits: tuple[int, ...] = ()


def read(payload: bytes, media: Media, *, received_ms: int) -> Payload:
    """Read one payload received at `received_ms`, by our clock whatever the sender says.

    Raises `InvalidInput` when nothing of it could be read (`TooMuch` when it is too much).
    """
    if media == "arrow":
        return _read_arrow(payload, received_ms)
    _check_size(payload)
    usual = _read_usual(payload, media, received_ms)
    if usual is not None:
        return Payload(readings=usual, index=np.arange(len(usual), dtype=np.intp), refused=())
    try:
        parsed = parse_readings(payload, received_ms=received_ms, ndjson=media == "ndjson")
    except InvalidInput as error:
        if error.reason.startswith("holds more than"):
            raise TooMuch(error.field, error.reason) from error
        raise
    return Payload(readings=parsed.readings, index=np.array(parsed.rows, dtype=np.intp), refused=parsed.rejected)


def read_or_problem(payload: bytes, media: Media, *, received_ms: int, gzip: bool = False) -> Payload | Problem:
    """`read`, with the problem in place of an error.

    An error would keep the payload, and megabytes made from it, alive in the frames of its traceback.
    """
    try:
        return read(inflate(payload) if gzip else payload, media, received_ms=received_ms)
    except InvalidInput as error:
        return unreadable(error)


def _read_usual(payload: bytes, media: Media, received_ms: int) -> Readings | None:
    if media == "json":
        return read_fast(payload, received_ms=received_ms)
    lines = [line for line in payload.splitlines() if line.strip()]
    readings, places = read_each_fast(lines, received_ms=received_ms)
    return readings if 0 < len(lines) == len(places) <= MAX_READINGS else None


def _read_arrow(payload: bytes, received_ms: int) -> Payload:
    if not payload:
        raise InvalidInput("payload", "is empty; send at least one reading")
    if len(payload) > MAX_FRAME_BYTES:
        raise TooMuch("payload", f"is larger than {MAX_FRAME_BYTES} bytes; send smaller batches")
    check_arrow(payload)
    readings = decode_readings(payload, received_ms=received_ms)
    readings = replace(readings, received_ms=np.full(len(readings), received_ms, dtype=np.int64))
    return Payload(readings=readings, index=np.arange(len(readings), dtype=np.intp), refused=())


def _check_size(payload: bytes) -> None:
    if len(payload) < MAX_JSON_BRACKETS:
        return
    if (
        payload.count(b"{") > MAX_JSON_BRACKETS
        or payload.count(b"[") > MAX_JSON_BRACKETS
        or payload.count(b",") > MAX_JSON_COMMAS
        or payload.count(b"\n") > MAX_JSON_COMMAS
    ):
        raise TooMuch("readings", f"holds more than {MAX_READINGS} readings; send smaller batches")


def is_single(payload: bytes) -> bool:
    """Whether a JSON payload may be one reading on one line, so that many of them can be parsed together."""
    return payload[:1] == b"{" and len(payload) <= 1024 and b"\n" not in payload and b"\r" not in payload


def gather(payloads: Sequence[bytes | Payload], *, received_ms: int) -> Gathered:
    """Put the readings of many requests on top of each other.

    Bytes are payloads that are `is_single`: they are parsed in one go, since most of the cost of one is that of a
    batch. Those that turn out to be anything but one good reading are read again, each by itself, exactly as `read`
    would. `payloads` must not be empty.
    """
    problems: dict[int, Problem] = {}
    refused: dict[int, tuple[Rejection, ...]] = {}
    blocks: list[tuple[Readings, npt.NDArray[np.intp], npt.NDArray[np.intp]]] = []
    whole = {number: payload for number, payload in enumerate(payloads) if isinstance(payload, Payload)}
    if len(whole) < len(payloads):
        numbers = [number for number, payload in enumerate(payloads) if isinstance(payload, bytes)]
        lines = [payload for payload in payloads if isinstance(payload, bytes)]
        readings, places = read_each_fast(lines, received_ms=received_ms)
        blocks.append((readings, np.array(numbers, dtype=np.intp)[places], np.zeros(len(places), dtype=np.intp)))
        for place in sorted(set(range(len(lines))).difference(places.tolist())) if len(places) < len(lines) else ():
            alone = read_or_problem(lines[place], "json", received_ms=received_ms)
            if isinstance(alone, Problem):
                problems[numbers[place]] = alone
            else:
                whole[numbers[place]] = alone
    for number, payload in whole.items():
        blocks.append((payload.readings, np.full(len(payload.readings), number, dtype=np.intp), payload.index))
        if payload.refused:
            refused[number] = payload.refused
    rows = Stack(
        readings=concat([readings for readings, _, _ in blocks]),
        request=np.concatenate([request for _, request, _ in blocks]),
        index=np.concatenate([index for _, _, index in blocks]),
    )
    return Gathered(rows=rows, refused=refused, unreadable=problems, requests=len(payloads))


def decide(gathered: Gathered, *, seen: Seen, partitions: PartitionCache) -> Decision:
    """Judge all rows, leave out what was written before, and part the rest by partition.

    A repeat within the batch waits for the row it repeats. A repeat of an implausible value is told as such again, and
    not written again.
    """
    batch = gathered.rows
    judged = judge(batch.readings)
    rows = judged.accepted
    request, index = batch.request[judged.rows], batch.index[judged.rows]
    ids = identities(rows)
    known = seen.known(ids)
    first = first_of_each(ids)
    place = np.arange(len(rows), dtype=np.intp)
    fresh = ~known & (first == place)
    of_row = partitions.of(rows.patient.names)[rows.patient.codes] if len(rows) else np.zeros(0, dtype=np.int32)

    counts = [_Count() for _ in range(gathered.requests)]
    _count(counts, request, fresh & ~judged.implausible, ~fresh & ~judged.implausible)
    for number, rejections in gathered.refused.items():
        counts[number].rejected.extend(rejections)
    for row in np.flatnonzero(judged.refused).tolist():
        name, reason = REFUSALS[judged.refused[row]]
        counts[batch.request[row]].rejected.append(Rejection(index=int(batch.index[row]), field=name, reason=reason))
    for row in np.flatnonzero(judged.implausible).tolist():
        reason = _IMPLAUSIBLE[rows.metric[row]]
        counts[request[row]].rejected.append(Rejection(index=int(index[row]), field="value", reason=reason))
    _wait(counts, request[~known], of_row[first][~known], partitions.partitions)

    if not fresh.all():
        kept = np.flatnonzero(fresh)
        rows, ids, of_row = rows.take(kept), ids.take(kept), of_row[kept]
    parts = {
        partition: Part(readings=part, ids=ids.take(of_row == partition))
        for partition, part in split_by_partition(rows, partitions.partitions, partitions).items()
    }
    return Decision(
        parts=parts, answers=tuple(_answer(count) for count in counts), waits=tuple(count.waits for count in counts)
    )


def _count(
    counts: list[_Count],
    request: npt.NDArray[np.intp],
    accepted: npt.NDArray[np.bool_],
    duplicates: npt.NDArray[np.bool_],
) -> None:
    for number, amount in enumerate(np.bincount(request[accepted], minlength=len(counts)).tolist()):
        counts[number].accepted = amount
    if duplicates.any():
        for number, amount in enumerate(np.bincount(request[duplicates], minlength=len(counts)).tolist()):
            counts[number].duplicates = amount


def _wait(
    counts: list[_Count], request: npt.NDArray[np.intp], partition: npt.NDArray[np.int32], partitions: int
) -> None:
    for pair in np.unique(request * partitions + partition).tolist():
        number, of_request = divmod(pair, partitions)
        counts[number].waits += (of_request,)


def _answer(count: _Count) -> Answer:
    if not count.rejected:
        return _plain(count.accepted, count.duplicates)
    count.rejected.sort(key=lambda r: r.index)
    return Answer(accepted=count.accepted, duplicates=count.duplicates, rejected=tuple(count.rejected))


@lru_cache(maxsize=1024)
def _plain(accepted: int, duplicates: int) -> Answer:
    """Nearly all answers are one of a few."""
    return Answer(accepted=accepted, duplicates=duplicates)
