"""The state of an alert room as bytes: versioned, compressed, plain columns, never pickled.

Names instead of numbers wherever a number could change meaning later: metrics by name, score conditions by name.
Anything that does not fit together is refused as a whole: the log is read anew then. Snapshots of the formats before this one
are read as well: a release must not forget whose alarms are open.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from alerting.cells import OPEN
from alerting.clocks import CLOCK
from alerting.faults import NOBODY, Open
from alerting.missing import GAP
from alerting.missing import WATCHED as MISSABLE
from alerting.missing import WIDTH as MISSING_WIDTH
from alerting.patterns import MINUTES, PatternState
from alerting.silence import PAIR
from alerting.thresholds import CONDITIONS
from alerting.unchanging import CELL, WATCHED, WIDTH
from contracts.errors import InvalidInput
from contracts.readings import LATEST_MS
from contracts.vitals import CATALOGUE, INDEX

_MAGIC: Final = b"VGAR\x03"
_BEFORE: Final = b"VGAR\x02"
_FIRST: Final = b"VGAR\x01"
# What pairs had no column for in the first format, and cells in the first two.
_ADDED_TO_PAIRS: Final = ("held", "changes")
_ADDED_TO_CELLS: Final = ("quiet_until",)
_MOST_BYTES: Final = 1 << 30


class Patterns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `PatternState`. `past`: by metric, float32 of shape (patients, minutes). `doubtful` came later than the others: empty
    for none."""

    columns: list[str] = []
    cells: bytes = b""
    keys: bytes = b""
    values: bytes = b""
    times: bytes = b""
    hop: int = 0
    minutes: bytes = b""
    past: dict[str, bytes] = {}
    doubtful: bytes = b""
    past_good: dict[str, bytes] = {}


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an alert room knows. Columns are raw little-endian bytes.

    `history`: when versions came into force, by tick. `rules`: the one in force now, as JSON. `newest_*`: the keys with a
    value and their values. `waiting`: payloads of score frames ahead of the clock. `unchanging`: the cells of each pair, in the
    order of `pairs`, for the metrics of `unchanging_metrics`. `hole_*`: see `LateReview`.
    `late_cells`: conditions of late data. `fault_newest`: see `FaultWatch.newest`.
    `models`: those in trouble (`ModelWatch.export`). `clocks`: in the order of `pairs`, empty where none was ever ahead.
    `missing`, `missing_seen`: by pair and metric of `missing_metrics`, `missing_present` by pair (`MissingWatch.export`).
    What has a default came after format 1.
    """

    partition: int
    tick_ms: int
    listened_ms: int
    history: list[tuple[int, int]]
    rules: str
    metrics: list[str]
    patients: list[str]
    devices: list[str]
    newest_keys: bytes
    newest_times: bytes
    limit_cells: bytes
    pairs: bytes
    score_columns: list[str]
    score_newest: bytes
    score_cells: bytes
    waiting: list[bytes]
    together: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    unchanging_metrics: list[str] = []
    unchanging: bytes = b""
    hole_keys: bytes = b""
    hole_start: bytes = b""
    hole_stop: bytes = b""
    hole_tail: bytes = b""
    late_cells: bytes = b""
    faults: list[Open] = []
    fault_newest: dict[str, int] = {}
    models: list[tuple[str, int, int, int, str]] = []
    patterns: Patterns = Patterns()
    clocks: bytes = b""
    missing_metrics: list[str] = []
    missing: bytes = b""
    missing_seen: bytes = b""
    missing_present: bytes = b""


def pack(state: State) -> bytes:
    """The snapshot's bytes."""
    return _MAGIC + zlib.compress(msgspec.msgpack.encode(state), 1)


def unpack(payload: bytes) -> State:
    """Raises `InvalidInput` for anything but a whole snapshot of this format."""
    magic = payload[: len(_MAGIC)]
    if magic not in (_MAGIC, _BEFORE, _FIRST):
        raise InvalidInput("snapshot", "is not a snapshot of the alert room, or of another version")
    inflate = zlib.decompressobj()
    try:
        packed = inflate.decompress(payload[len(_MAGIC) :], _MOST_BYTES)
        if not inflate.eof or inflate.unused_data:
            raise InvalidInput("snapshot", "is cut off or too large")
        state = msgspec.msgpack.decode(packed, type=State)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput("snapshot", "is damaged") from error
    if magic == _FIRST:
        state = _from_first(state)
    return state if magic == _MAGIC else _from_before(state)


def _from_first(state: State) -> State:
    """Pairs of format 1 with the columns they lack: no alarm stood behind another, and one that is active was said once."""
    new = _widened(state.pairs, PAIR, _ADDED_TO_PAIRS, "pairs")
    new["changes"] = new["priority"] > 0
    return msgspec.structs.replace(state, pairs=new.tobytes())


def _from_before(state: State) -> State:
    """Cells of formats 1 and 2 with the column they lack: nothing waited after an end."""
    fields = ("limit_cells", "late_cells", "score_cells")
    new = {name: _widened(getattr(state, name), OPEN, _ADDED_TO_CELLS, name).tobytes() for name in fields}
    cells_of_patterns = _widened(state.patterns.cells, OPEN, _ADDED_TO_CELLS, "patterns").tobytes()
    return msgspec.structs.replace(state, **new, patterns=msgspec.structs.replace(state.patterns, cells=cells_of_patterns))


def _widened(payload: bytes, dtype: np.dtype[np.void], added: tuple[str, ...], field: str) -> npt.NDArray[np.void]:
    """Rows of an older form of `dtype`, which had no columns `added`, with 0 in these."""
    fields = [(name, dtype[name]) for name in dtype.names or () if name not in added]
    old = column(payload, np.dtype(fields), field)
    new = np.zeros(len(old), dtype=dtype)
    for name, _ in fields:
        new[name] = old[name]
    return new


def check(state: State, partition: int) -> None:
    """Raises `InvalidInput` when the state is another partition's or its clock or names cannot be."""
    if state.partition != partition:
        raise InvalidInput("snapshot", f"is of partition {state.partition}, not {partition}")
    clocks = [state.tick_ms, *(tick_ms for tick_ms, _ in state.history)]
    if not all(0 <= clock < LATEST_MS for clock in clocks) or not 0 <= state.listened_ms < LATEST_MS:
        raise InvalidInput("snapshot", "has an impossible clock")
    if sorted(state.history) != state.history or any(version < 0 for _, version in state.history):
        raise InvalidInput("snapshot", "has rule versions out of order")
    if not all(0 <= number < LATEST_MS for number in state.together):
        raise InvalidInput("snapshot", "has an impossible alarm of the group")
    slots = {item.slot for item in state.faults}
    if len(slots) != len(state.faults) or any(not NOBODY <= slot < len(state.patients) for slot in slots):
        raise InvalidInput("snapshot", "has a fault of somebody who is not there, or two of one")
    if not all(0 <= item.onset_ms < LATEST_MS and item.priority <= 3 for item in state.faults):
        raise InvalidInput("snapshot", "has an impossible fault")
    metrics = (state.metrics, state.unchanging_metrics, state.missing_metrics)
    for names in (state.patients, state.devices, state.score_columns, *metrics):
        if len(set(names)) != len(names):
            raise InvalidInput("snapshot", "names something twice")


def numbers(payload: bytes, field: str) -> npt.NDArray[np.int64]:
    """Raw bytes as 64-bit whole numbers."""
    if len(payload) % 8:
        raise InvalidInput("snapshot", f"{field} is not a whole column")
    return np.frombuffer(payload, dtype="<i8").astype(np.int64)


def times(payload: bytes, field: str, *, count: int) -> npt.NDArray[np.int64]:
    """Raw bytes as so many event times, 0 for none."""
    found = numbers(payload, field)
    if len(found) != count:
        raise InvalidInput("snapshot", f"{field} does not fit its keys or columns")
    if not _are_times(found):
        raise InvalidInput("snapshot", f"{field} holds an impossible time")
    return found


def keys(payload: bytes, *, slots: int, metrics: npt.NDArray[np.int64], field: str) -> npt.NDArray[np.int64]:
    """Keys (patient and metric) of known patients, as keys of this catalogue."""
    found = numbers(payload, field)
    if len(found) and (found.min() < 0 or found.max() >= slots * len(metrics)):
        raise InvalidInput("snapshot", f"{field} names a patient or metric that is not there")
    return renumber_keys(found, metrics)


def _are_times(found: npt.NDArray[np.int64]) -> bool:
    return not len(found) or (int(found.min()) >= 0 and int(found.max()) < LATEST_MS)


def column(payload: bytes, dtype: npt.DTypeLike, field: str) -> npt.NDArray[np.void]:
    """Raw bytes as a column. Raises `InvalidInput` when they are not a whole number of entries."""
    wanted = np.dtype(dtype)
    if len(payload) % wanted.itemsize:
        raise InvalidInput("snapshot", f"{field} is not a whole column")
    return np.frombuffer(payload, dtype=wanted).copy()


def cells(payload: bytes, *, slots: int, width: int, field: str) -> npt.NDArray[np.void]:
    """Open cells, each once, of known patients and terms."""
    found = column(payload, OPEN, field)
    cell = found["cell"]
    if len(cell) and (cell.min() < 0 or cell.max() >= slots * width or len(np.unique(cell)) != len(cell)):
        raise InvalidInput("snapshot", f"{field} names a patient or condition that is not there, or one twice")
    clocks = ("since", "condition", "critical_since", "inside_since", "run_to", "quiet_until")
    possible = all(_are_times(found[name]) for name in clocks) and bool(np.all(found["run_to"] > 0))
    if not possible or np.any(found["priority"] > 3) or np.any(found["count"] < 0):
        raise InvalidInput("snapshot", f"{field} holds an impossible condition")
    return found


def pairs(payload: bytes, *, slots: int, devices: int) -> npt.NDArray[np.void]:
    """Patients and devices, each pair once, both known."""
    found = column(payload, PAIR, "pairs")
    for name, count in (("slot", slots), ("device", devices)):
        if len(found) and (found[name].min() < 0 or found[name].max() >= count):
            raise InvalidInput("snapshot", f"pairs names a {name} that is not there")
    codes = found["slot"].astype(np.int64) << 32 | found["device"]
    if len(np.unique(codes)) != len(codes) or np.any(found["priority"] > 3) or np.any(found["held"] > 1):
        raise InvalidInput("snapshot", "pairs holds a pair twice or an impossible one")
    return found


def pack_patterns(state: PatternState, slots: int) -> Patterns:
    """The pattern conditions of the first `slots` patients, which are all there are."""
    return Patterns(
        columns=state.columns, cells=state.cells.tobytes(), keys=state.keys.astype("<i8").tobytes(),
        values=state.values.astype("<f4").tobytes(), times=state.times.astype("<i8").tobytes(), hop=state.hop,
        minutes=state.minutes.astype("<i8").tobytes(),
        past={name: past[:slots].astype("<f4").tobytes() for name, past in state.past.items()},
        doubtful=state.doubtful.astype("u1").tobytes(),
        past_good={name: past[:slots].astype("<f4").tobytes() for name, past in state.past_good.items()},
    )  # fmt: skip


def patterns(state: Patterns, *, slots: int, metrics: npt.NDArray[np.int64]) -> PatternState:
    """The other way round. A snapshot from before there were such rules has none of it."""
    if len(set(state.columns)) != len(state.columns):
        raise InvalidInput("snapshot", "names something twice")
    found = keys(state.keys, slots=slots, metrics=metrics, field="patterns")
    return PatternState(
        columns=list(state.columns),
        cells=cells(state.cells, slots=slots, width=len(state.columns), field="patterns"),
        keys=found,
        values=column(state.values, "<f4", "patterns").view("<f4"),
        times=times(state.times, "patterns", count=len(found)),
        doubtful=_flags(state.doubtful, len(found)),
        hop=state.hop,
        minutes=numbers(state.minutes, "patterns") if state.minutes else np.full(MINUTES, -1, dtype=np.int64),
        past=_minutes_of(state.past),
        past_good=_minutes_of(state.past_good),
    )


def _minutes_of(past: dict[str, bytes]) -> dict[str, npt.NDArray[np.float32]]:
    return {
        name: column(part, ("<f4", (MINUTES,)), "patterns").view("<f4").reshape(-1, MINUTES) for name, part in past.items()
    }


def _flags(payload: bytes, count: int) -> npt.NDArray[np.bool_]:
    found = np.frombuffer(payload, dtype="u1") if payload else np.zeros(count, dtype="u1")
    if len(found) != count or np.any(found > 1):
        raise InvalidInput("snapshot", "patterns holds impossible values")
    return np.asarray(found > 0)


def unchanging(state: State, pairs: int) -> npt.NDArray[np.void]:
    """The cells of so many pairs, for the metrics that are watched now."""
    found = column(state.unchanging, CELL, "unchanging")
    if len(found) != len(state.unchanging_metrics) * pairs:
        raise InvalidInput("snapshot", "unchanging does not fit its pairs and metrics")
    clocks = ("newest", "since", "heard", "onset")
    if not all(_are_times(found[name]) for name in clocks) or np.any(found["priority"] > 3):
        raise InvalidInput("snapshot", "unchanging holds an impossible value")
    before = found.reshape(pairs, len(state.unchanging_metrics))
    cells = np.zeros((pairs, WIDTH), dtype=CELL)
    for place, metric in enumerate(WATCHED):
        name = CATALOGUE[metric].name
        if name in state.unchanging_metrics:
            cells[:, place] = before[:, state.unchanging_metrics.index(name)]
    return cells.reshape(-1)


def clocks(state: State, pairs: int) -> npt.NDArray[np.void]:
    """The clocks of so many pairs, or of none."""
    found = column(state.clocks, CLOCK, "clocks")
    if len(found) not in (0, pairs) or np.any(found["priority"] > 3):
        raise InvalidInput("snapshot", "clocks does not fit its pairs")
    if not all(_are_times(found[name]) for name in CLOCK.names or () if name != "priority"):
        raise InvalidInput("snapshot", "clocks holds an impossible time")
    return found


def missing(state: State, pairs: int) -> tuple[npt.NDArray[np.void], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """What `MissingWatch.load` takes, for so many pairs and the metrics that are watched now."""
    width = len(state.missing_metrics)
    present = times(state.missing_present, "missing", count=pairs if width else 0)
    before, came = column(state.missing, GAP, "missing"), np.frombuffer(state.missing_seen, dtype="u1")
    if len(before) != width * pairs or len(came) != width * pairs or np.any(came > 1) or np.any(before["priority"] > 3):
        raise InvalidInput("snapshot", "missing does not fit its pairs and metrics")
    if not all(_are_times(before[name]) for name in ("heard", "last", "onset")):
        raise InvalidInput("snapshot", "missing holds an impossible time")
    gaps, seen = np.zeros((pairs, MISSING_WIDTH), dtype=GAP), np.zeros((pairs, MISSING_WIDTH), dtype=np.bool_)
    for place, metric in enumerate(MISSABLE):
        if (name := CATALOGUE[metric].name) in state.missing_metrics:
            at = state.missing_metrics.index(name)
            gaps[:, place] = before.reshape(pairs, width)[:, at]
            seen[:, place] = came.reshape(pairs, width)[:, at] > 0
    return gaps, seen, present if width else np.zeros(pairs, dtype=np.int64)


def metric_map(names: list[str]) -> npt.NDArray[np.int64]:
    """The catalogue index now of each metric the snapshot was written with."""
    if any(name not in INDEX for name in names):
        raise InvalidInput("snapshot", "knows a metric that this catalogue does not: upgrade the reader first")
    return np.array([INDEX[name] for name in names], dtype=np.int64)


def renumber_keys(keys: npt.NDArray[np.int64], metrics: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Keys (patient and metric) of the snapshot's catalogue as keys of this one."""
    slot, metric = np.divmod(keys, max(len(metrics), 1))
    return np.asarray(slot * len(CATALOGUE) + metrics[metric])


def renumber_cells(cell: npt.NDArray[np.int64], metrics: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Cells (patient, metric and condition) of the snapshot's catalogue as cells of this one."""
    key, condition = np.divmod(cell, CONDITIONS)
    return np.asarray(renumber_keys(key, metrics) * CONDITIONS + condition)
