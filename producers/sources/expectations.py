"""Which alarms an event must bring, and when: worked out from bounds, not from what the noise happened to do.

At each second of an event the signal lies between two curves (the personal range at rest, drawn to the event's level,
give or take the texture). A limit is *possibly* crossed from the first second on which one curve lies beyond it, and
*certainly* from the second after which the other does too. The alarm must come between the two, plus its onset delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.alarms import Priority
from contracts.errors import InvalidInput
from contracts.vitals import BY_NAME
from producers.sources.batteries import REPORT_S, Low
from producers.sources.courses import COURSES, Planned, Ramps, Signal
from producers.sources.physiology import (
    DIA,
    HR,
    MEAN_NOISE_MOST,
    METRICS,
    PULSE_NOISE_MOST,
    PULSE_SMOOTHING,
    RESOLUTION,
    RR,
    SIGNALS,
    SPO2,
    SYS,
    TEMP,
    TEXTURE_LOSS,
    Floats,
    mean_pressure,
)

# Values come once a second and time advances with the tick after it: an alarm may be this much later than its cause.
SLACK_MS: Final = 3_000
_SETTLE_S: Final = 30
LONGEST_DELAY_S: Final = 60
_SHIPPED_BY_METRIC: Final[Mapping[str, float]] = MappingProxyType(
    {"heart_rate": 10.0, "pulse_rate": 10.0, "respiratory_rate": 10.0, "temperature": 60.0}
)
_TEXTURE_MOST: Final = np.array([[s.texture_most] for s in SIGNALS], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetDelays:
    """How long a condition must hold before its alarm, in seconds of event time: limits (`by_metric`, else `limit_s`),
    critical limits, a signal that cannot be used, a device that sends nothing, a metric that it no longer sends, and a battery.
    Defaults are the shipped rules'."""

    limit_s: float = 15.0
    by_metric: Mapping[str, float] = field(default_factory=lambda: _SHIPPED_BY_METRIC)
    critical_s: float = 5.0
    signal_s: float = 30.0
    silence_s: float = 30.0
    missing_s: float = 30.0
    battery_s: float = 60.0

    def __post_init__(self) -> None:
        technical = (self.signal_s, self.silence_s, self.missing_s, self.battery_s)
        for value in (self.limit_s, self.critical_s, *technical, *self.by_metric.values()):
            if not 0 <= value <= LONGEST_DELAY_S:
                raise InvalidInput("delays", f"must be 0 to {LONGEST_DELAY_S} seconds, the time that every event holds")

    def of(self, metric: str) -> float:
        """The delay of a limit of `metric`."""
        return self.by_metric.get(metric, self.limit_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One alarm that must come: raised between the two times, at `priority` (its highest) by `priority_not_after_ms`.
    `primary` is the event's own alarm; others follow from it (pulse beside heart rate, mean beside systolic pressure)."""

    condition: str
    metric: str | None
    priority: Priority
    not_before_ms: int
    not_after_ms: int
    priority_not_after_ms: int
    primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Lowest and highest possible *measured* value of each metric at each second of an event, shape (8, seconds)."""

    low: Floats
    high: Floats


def bounds(event: Planned, slow_low: Floats, slow_high: Floats) -> Bounds:
    """Bounds from the event's start until `_SETTLE_S` after its end; `slow_*` are the bed's resting range, shape (6,)."""
    seconds = np.arange(event.end_s - event.start_s + _SETTLE_S, dtype=np.float32)
    ramps = Ramps.still(1)
    ramps.place(0, event, origin_s=event.start_s)
    weight = ramps.weight(seconds)
    texture = _TEXTURE_MOST * (1.0 - TEXTURE_LOSS * weight)
    low = slow_low[:, None] + weight * (ramps.level - slow_low[:, None]) - texture
    high = slow_high[:, None] + weight * (ramps.level - slow_high[:, None]) + texture
    return Bounds(low=_measured(low, -1), high=_measured(high, +1))


def _measured(signal: Floats, side: int) -> Floats:
    """From the 6 signals to the 8 metrics, widened by the noise of derived metrics and by rounding."""
    pulse = np.empty_like(signal[HR])
    state = float(signal[HR, 0])
    for i, value in enumerate(signal[HR]):
        state += PULSE_SMOOTHING * (float(value) - state)
        pulse[i] = state
    mean = mean_pressure(signal[SYS], signal[DIA])
    rows = [
        signal[HR],
        pulse + side * PULSE_NOISE_MOST,
        np.minimum(signal[SPO2], 100.0),
        np.maximum(signal[RR], BY_NAME["respiratory_rate"].hard_low),
        signal[SYS],
        signal[DIA],
        mean + side * MEAN_NOISE_MOST,
        signal[TEMP],
    ]
    rounding = np.array([[RESOLUTION[name]] for name in METRICS]) / 2.0
    return np.asarray(np.asarray(rows) + side * rounding, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """When a limit is possibly (`first`) and certainly (`sure .. sure_end`) crossed, in seconds after the event's start.
    `longest_possible` is the longest run of seconds on which crossing it cannot be excluded."""

    first: int | None
    sure: int | None
    sure_end: int | None
    longest_possible: int


def crossing(found: Bounds, metric: int, limit: float, side: int) -> Crossing:
    """How `limit` relates to the bounds of `metric`; `side` -1 for a low limit, +1 for a high one."""
    inner, outer = (found.high, found.low) if side < 0 else (found.low, found.high)
    # The limit itself counts as possibly crossed and not as certainly crossed: monitors differ in that.
    possible = side * (outer[metric] - limit) >= 0
    certain = side * (inner[metric] - limit) > 0
    first = int(np.argmax(possible)) if possible.any() else None
    start, length = _longest(certain)
    return Crossing(
        first=first,
        sure=start if length else None,
        sure_end=start + length if length else None,
        longest_possible=_longest(possible)[1],
    )


def _longest(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Start and length of the longest run of True."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return 0, 0
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best] - starts[best])


def expected_alarms(
    event: Planned, *, device: str, slow_low: Floats, slow_high: Floats, start_ms: int, delays: OnsetDelays
) -> tuple[Expected, ...]:
    """The alarms that must come of `event`, the event's own first. `device` is the bed's; `slow_*` its resting range, shape
    (6,); `start_ms` the start of the simulation. Conditions are named as the shipped rules name them."""
    begin_ms = start_ms + event.start_s * 1000
    if event.course.signal is not Signal.WHOLE:
        return _technical(event, device, begin_ms, delays)
    found = bounds(event, slow_low, slow_high)
    alarms = []
    for row, name in enumerate(METRICS):
        limits = BY_NAME[name].limits
        for side, label, limit, critical in (
            (-1, "low", limits.low, limits.critical_low),
            (+1, "high", limits.high, limits.critical_high),
        ):
            if limit is None:
                continue
            warn = crossing(found, row, limit, side)
            if warn.first is None or warn.sure is None or warn.sure_end is None:
                continue
            delay = delays.of(name)
            if warn.sure_end - warn.sure <= delay:
                continue
            severe = None if critical is None else crossing(found, row, critical, side)
            high = (
                severe is not None
                and severe.sure is not None
                and severe.sure_end is not None
                and severe.sure_end - severe.sure > delays.critical_s
            )
            before = (warn.first + delay) * 1000
            after = (warn.sure + 1 + delay) * 1000
            worst = after
            if severe is not None and severe.first is not None:
                # A critical limit with a shorter delay may speak before the warning limit does.
                before = min(before, (severe.first + delays.critical_s) * 1000)
            if high and severe is not None and severe.sure is not None:
                worst = (severe.sure + 1 + delays.critical_s) * 1000
            alarms.append(
                Expected(
                    condition=f"{name}_{label}",
                    metric=name,
                    priority=Priority.HIGH if high else Priority.MEDIUM,
                    not_before_ms=begin_ms + int(before),
                    not_after_ms=begin_ms + int(after) + SLACK_MS,
                    priority_not_after_ms=begin_ms + int(max(worst, after)) + SLACK_MS,
                    primary=name == event.course.targets[0].signal,
                )
            )
    return tuple(sorted(alarms, key=lambda a: (not a.primary, a.not_before_ms, a.condition)))


def _technical(event: Planned, device: str, begin_ms: int, delays: OnsetDelays) -> tuple[Expected, ...]:
    """Bursts of movement must bring no alarm. The last tick heard may be two seconds before the silence that follows it."""
    signal = event.course.signal
    if signal is Signal.SILENT:
        delay_ms = int(delays.silence_s * 1000)
        alarms: list[tuple[str, str | None, Priority, int]] = [(f"device_silent:{device}", None, Priority.MEDIUM, -2000)]
    elif signal is Signal.NOT_WORN:
        delay_ms = int(delays.signal_s * 1000)
        alarms = [(f"{metric}_signal", metric, Priority.LOW, 0) for metric in event.course.metrics]
    elif signal is Signal.MISSING:
        delay_ms = int(delays.missing_s * 1000)
        alarms = [(f"{metric}_missing:{device}", metric, Priority.LOW, -2000) for metric in event.course.metrics]
    else:
        return ()
    latest = begin_ms + 1000 + delay_ms + SLACK_MS
    return tuple(
        Expected(
            condition=condition,
            metric=metric,
            priority=priority,
            not_before_ms=begin_ms + delay_ms + earlier_ms,
            not_after_ms=latest,
            priority_not_after_ms=latest,
            primary=i == 0,
        )
        for i, (condition, metric, priority, earlier_ms) in enumerate(alarms)
    )


def expected_of_battery(low: Low, *, device: str, start_ms: int, delays: OnsetDelays) -> Expected:
    """The alarm that must come of a battery: at the first level that is low plus the delay, which is reported a little later
    where the device happens to be silent then."""
    delay_ms = int(delays.battery_s * 1000)
    slack_ms = 1000 + SLACK_MS + (COURSES["device_silent"].hold_s[1] + REPORT_S) * 1000
    worst_s = low.start_s if low.critical_s is None else low.critical_s
    return Expected(
        condition=f"battery_low:{device}",
        metric="battery",
        priority=Priority.LOW if low.critical_s is None else Priority.MEDIUM,
        not_before_ms=start_ms + low.start_s * 1000 + delay_ms,
        not_after_ms=start_ms + low.start_s * 1000 + delay_ms + slack_ms,
        priority_not_after_ms=start_ms + worst_s * 1000 + delay_ms + slack_ms,
        primary=True,
    )
