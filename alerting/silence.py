"""Silence: a device that sent before and sends no more. Decided by ticks alone, so it works when nothing arrives. Pure.

Silence is counted in time that was *listened* to: from tick to tick, at most `LONGEST_TICK_MS` at a time. When nobody
wrote ticks (the gateway was down), nobody could have received data either, and that time is nobody's silence.

Where nearly all devices fall silent together, one alarm of the group stands for theirs (`together.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints, Kind
from alerting.rules.equipment import SilenceRule
from alerting.thresholds import METRICS, code_of
from alerting.together import ALL_THE_TIME_MS, NOT_STANDING, Standing, TogetherDecision, decide
from contracts.readings import OF_DEVICE
from contracts.vitals import CATALOGUE

LONGEST_TICK_MS: Final = 10_000
MAX_PAIRS: Final = 200_000

# A patient and device. `heard_tick`, `heard_ms`: the tick, and the time listened, when it last sent data in time (0, 0:
# not yet). `any_ms`: the time listened when it last sent anything. `metrics`: a bit per metric it has sent. `limit_ms`: how
# long it may be silent. `onset`, `condition`, `priority`: of the active alarm, 0: none. `held`: it stands behind the group's.
# `changes`: events sent about it so far.
PAIR: Final = np.dtype(
    [
        ("slot", "<i4"),
        ("device", "<i4"),
        ("heard_tick", "<i8"),
        ("heard_ms", "<i8"),
        ("any_ms", "<i8"),
        ("metrics", "<u8"),
        ("limit_ms", "<i8"),
        ("onset", "<i8"),
        ("condition", "<i8"),
        ("priority", "u1"),
        ("held", "u1"),
        ("changes", "u1"),
    ]
)

_NEVER: Final = np.iinfo(np.int64).max
_EXPIRY_MS: Final = np.array([round(v.expiry_s * 1000) for v in CATALOGUE], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceDecision:
    """One change of one silence alarm. `quiet_ms`: how long the device may be silent. `old_data`: it does send, but only
    data that is too old. `withdrawn`: it ended because there is no rule any more. `number` counts the changes of this
    alarm from 1. `held`: until now it stood behind the group's alarm. `behind_ms`: the onset of the group's alarm that stands
    for it from now on, 0: none does."""

    kind: Kind
    slot: int
    device: int
    onset_ms: int
    condition_ms: int
    at_ms: int
    priority: int
    quiet_ms: int
    old_data: bool
    withdrawn: bool
    number: int
    held: bool
    behind_ms: int = 0


class SilenceWatch:
    """Every patient and device of one partition that has sent data in time at least once.

    A device never heard in time is not watched: history that is filled in later must not alarm. What a device says of itself
    (its battery) is no sign that it measures: it numbers the device, and is not heard.
    """

    def __init__(self) -> None:
        self._pairs = np.zeros(0, dtype=PAIR)
        self._count = 0
        self._index: dict[int, int] = {}  # slot << 32 | device -> pair
        self._home: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)  # device -> the pair it last belonged to
        self._rule: SilenceRule | None = None
        self.unwatched = 0  # pairs beyond MAX_PAIRS, by rows
        self.listened_ms = 0
        self.tick_ms = 0
        self.together = NOT_STANDING

    def export(self) -> npt.NDArray[np.void]:
        """The state, one row a pair, in `order`."""
        return self._known[self.order]

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """The pairs, ordered by patient and device."""
        return np.lexsort((self._known["device"], self._known["slot"]))

    def whose(self, pair: int) -> tuple[int, int]:
        """The slot of the patient and the number of the device of a pair."""
        return int(self._pairs["slot"][pair]), int(self._pairs["device"][pair])

    @property
    def _known(self) -> npt.NDArray[np.void]:
        return self._pairs[: self._count]

    @property
    def quiet_ms(self) -> Ints:
        """Since when each pair has sent nothing, in time listened."""
        return np.asarray(self.listened_ms - self._known["heard_ms"])

    @property
    def limit_ms(self) -> Ints:
        """How long each pair may be silent."""
        return np.asarray(self._known["limit_ms"])

    @property
    def active(self) -> int:
        """How many silence alarms call somebody, the group's included."""
        return int(np.count_nonzero(self._known["priority"] * (self._known["held"] == 0))) + self.together.active

    def use(self, rule: SilenceRule | None) -> None:
        """Put `rule` in force; what it ends is decided at the next tick."""
        self._rule = rule
        self._set_limits(np.arange(self._count))

    def hear(
        self, slot: Ints, device: npt.NDArray[np.int32], metric: npt.NDArray[np.int16], in_time: Bools
    ) -> npt.NDArray[np.int32]:
        """Take note of rows, and number the patient and device of each: -1 is not watched. `in_time`: recent enough to tell how
        the patient is now. Devices of -1 are not watched."""
        found = np.full(len(slot), -1, dtype=np.int32)
        known = device >= 0
        if not known.all():
            slot, device, metric, in_time = slot[known], device[known], metric[known], in_time[known]
        if not len(slot):
            return found
        pair = self._pair_of(slot, device, in_time)
        found[known] = pair
        watched = (pair >= 0) & ~OF_DEVICE[metric]
        if not watched.all():
            pair, metric, in_time = pair[watched], metric[watched], in_time[watched]
        pairs = self._pairs
        pairs["any_ms"][pair] = self.listened_ms
        now = pair[in_time]
        pairs["heard_tick"][now], pairs["heard_ms"][now] = self.tick_ms, self.listened_ms
        bit = np.uint64(1) << metric[in_time].astype(np.uint64)
        new = pairs["metrics"][now] & bit == 0
        if new.any():
            np.bitwise_or.at(pairs["metrics"], now[new], bit[new])
            self._set_limits(np.unique(now[new]))
        return found

    def tick(self, tick_ms: int, apart: int = -1) -> tuple[list[SilenceDecision], TogetherDecision | None]:
        """Move the clock to `tick_ms`, later than all before, and decide who is silent, and whether nearly all are. `apart`: the
        slot of somebody who does not count among them (the canary), -1: nobody."""
        if self.tick_ms:
            self.listened_ms += min(tick_ms - self.tick_ms, LONGEST_TICK_MS)
        else:
            self._known["heard_tick"] = tick_ms
        self.tick_ms = tick_ms
        pairs, rule = self._known, self._rule
        quiet = self.listened_ms - pairs["heard_ms"]
        active, held = pairs["priority"] > 0, pairs["held"] > 0
        self.together, decision = decide(
            self.together,
            rule.together if rule is not None else None,
            quiet_ms=quiet,
            limit_ms=pairs["limit_ms"],
            told=(active & ~held) | (pairs["slot"] == apart),
            heard_tick=pairs["heard_tick"],
            tick_ms=tick_ms,
            listened_ms=self.listened_ms,
        )
        silent = quiet > pairs["limit_ms"] if rule is not None else np.zeros(len(pairs), dtype=np.bool_)
        released = held & silent if not self.together.active else np.zeros(len(pairs), dtype=np.bool_)
        found: list[SilenceDecision] = []
        for i in np.flatnonzero((silent != active) | released).tolist():
            if released[i]:
                found.append(self._decision(Kind.RELEASED, i, held=True))
                pairs["held"][i] = 0
            elif rule is not None and silent[i]:
                behind = self.together.active and pairs["limit_ms"][i] <= ALL_THE_TIME_MS and pairs["slot"][i] != apart
                pairs["priority"][i], pairs["held"][i] = code_of(rule.priority), behind
                pairs["onset"][i], pairs["changes"][i] = pairs["heard_tick"][i], 0
                pairs["condition"][i] = tick_ms - int(quiet[i] - pairs["limit_ms"][i])
                found.append(self._decision(Kind.INHIBITED if behind else Kind.RAISED, i))
            else:
                found.append(self._decision(Kind.CLEARED, i, held=bool(held[i])))
                for name in ("priority", "held", "onset", "condition", "changes"):
                    pairs[name][i] = 0
        return found, decision

    def load(self, pairs: npt.NDArray[np.void], *, tick_ms: int, listened_ms: int, together: Standing) -> None:
        """Replace the state."""
        self.together = together
        self._pairs, self._count = pairs.copy(), len(pairs)
        self.tick_ms, self.listened_ms = tick_ms, listened_ms
        slots, devices = pairs["slot"].tolist(), pairs["device"].tolist()
        self._index = {slot << 32 | device: i for i, (slot, device) in enumerate(zip(slots, devices, strict=True))}
        self._home = np.full(max(devices, default=-1) + 1, -1, dtype=np.int32)
        self._home[pairs["device"]] = np.arange(len(pairs))

    def _decision(self, kind: Kind, i: int, *, held: bool = False) -> SilenceDecision:
        self._pairs["changes"][i] += 1
        pair = self._pairs[i]
        return SilenceDecision(
            kind=kind,
            slot=int(pair["slot"]),
            device=int(pair["device"]),
            onset_ms=int(pair["onset"]),
            condition_ms=int(pair["condition"]),
            at_ms=self.tick_ms,
            priority=int(pair["priority"]),
            quiet_ms=int(pair["limit_ms"]),
            old_data=bool(pair["any_ms"] > pair["heard_ms"]),
            withdrawn=self._rule is None,
            number=int(pair["changes"]),
            held=held,
            behind_ms=self.together.onset_ms if kind is Kind.INHIBITED else 0,
        )

    def _pair_of(self, slot: Ints, device: npt.NDArray[np.int32], in_time: Bools) -> npt.NDArray[np.int32]:
        """Each row's pair, -1 for one that is not watched. Most devices stay with one patient: those take no look-up."""
        most = int(device.max()) + 1
        if most > len(self._home):
            self._home = np.concatenate([self._home, np.full(max(most, 64) * 2 - len(self._home), -1, dtype=np.int32)])
        pair = self._home[device]
        wrong = pair < 0
        if self._count:
            wrong |= self._pairs["slot"][pair] != slot
        rows = np.flatnonzero(wrong)
        if len(rows):
            codes, place = np.unique(slot[rows] << 32 | device[rows], return_inverse=True)
            timely = np.zeros(len(codes), dtype=np.bool_)
            np.logical_or.at(timely, place, in_time[rows])
            found = [self._find(code, ok) for code, ok in zip(codes.tolist(), timely.tolist(), strict=True)]
            pair[rows] = np.array(found, dtype=np.int32)[place]
            if self._count >= MAX_PAIRS:
                self.unwatched += int(np.count_nonzero(in_time & (pair < 0)))
        return pair

    def _find(self, code: int, timely: bool) -> int:
        pair = self._index.get(code, -1)
        if pair >= 0 or not timely or self._count >= MAX_PAIRS:
            return pair
        if self._count == len(self._pairs):
            more = max(64, len(self._pairs))
            self._pairs = np.concatenate([self._pairs, np.zeros(more, dtype=PAIR)])
        pair, self._count = self._count, self._count + 1
        device = code & 0xFFFFFFFF
        self._pairs[pair] = np.zeros(1, dtype=PAIR)[0]
        self._pairs["slot"][pair], self._pairs["device"][pair] = code >> 32, device
        self._pairs["limit_ms"][pair] = _NEVER  # until it measures something
        self._index[code] = pair
        self._home[device] = pair
        return pair

    def _set_limits(self, pair: npt.NDArray[np.intp] | npt.NDArray[np.int32]) -> None:
        """The longer of the rule's limit and the shortest expiry among what the device sends."""
        after_ms = round(self._rule.after_s * 1000) if self._rule is not None else 0
        masks = self._pairs["metrics"][pair]
        shortest = np.full(len(pair), _NEVER)
        for metric in range(METRICS):
            sends = (masks >> np.uint64(metric)) & np.uint64(1) > 0
            shortest = np.where(sends, np.minimum(shortest, _EXPIRY_MS[metric]), shortest)
        self._pairs["limit_ms"][pair] = np.maximum(shortest, after_ms)
