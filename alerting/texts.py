"""What an alarm says, as a bedside monitor says it: short, with the value and the limit that were judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from alerting.thresholds import Condition
from contracts.alarms import MARKS, Priority, Reason
from contracts.vitals import BY_NAME, Vital

MOST_CONTRIBUTIONS: Final = 3


def limit_reading(vital: Vital, value: float, limit: float, *, low: bool, priority: Priority) -> tuple[str, str]:
    """The alarm text and the sentence of its reason.

    >>> limit_reading(BY_NAME["spo2"], 86.0, 90.0, low=True, priority=Priority.MEDIUM)
    ('**SpO2 86 < 90', 'SpO2 86 % is below the limit of 90 %')
    """
    shown, bound = distinct(value, limit, vital.decimals)
    sign, word = ("<", "below") if low else (">", "above")
    unit = unit_text(vital)
    text = f"{MARKS[priority]}{vital.label} {shown} {sign} {bound}"
    return text, f"{vital.label} {shown}{unit} is {word} the limit of {bound}{unit}"


def limit_end(vital: Vital, value: float, extreme: float, *, low: bool) -> str:
    """The text of a limit alarm that ended, with how far it went.

    >>> limit_end(BY_NAME["spo2"], 95.0, 81.0, low=True)
    'SpO2 back at 95, lowest 81'
    """
    decimals = vital.decimals
    return f"{vital.label} back at {value:.{decimals}f}, {'lowest' if low else 'highest'} {extreme:.{decimals}f}"


def signal_text(vital: Vital, condition: Condition, value: float, held_s: float) -> str:
    """The text of a technical alarm about one metric.

    >>> signal_text(BY_NAME["heart_rate"], Condition.IMPLAUSIBLE, 0.0, 5)
    'HR 0 not plausible for 5 s: asystole, apnoea or sensor off?'
    >>> signal_text(BY_NAME["spo2"], Condition.SIGNAL, 71.0, 30)
    'SpO2 sensor off or no usable signal for 30 s'
    """
    if condition is Condition.IMPLAUSIBLE:
        return f"{vital.label} {plain(value)} not plausible for {held_s:g} s: asystole, apnoea or sensor off?"
    return f"{vital.label} sensor off or no usable signal for {held_s:g} s"


def silence_text(device: str, quiet_ms: int, *, old_data: bool) -> str:
    """The text of a silence alarm.

    >>> silence_text("d-17", 30_000, old_data=False)
    'Device d-17 silent for 30 s'
    """
    if old_data:
        return f"Device {device} has sent only old data for {quiet_ms / 1000:g} s"
    return f"Device {device} silent for {quiet_ms / 1000:g} s"


def together_text(silent: int, devices: int) -> str:
    """The text of the alarm that stands for those of a whole group.

    >>> together_text(12, 13)
    '12 of 13 devices of a group silent: network or gateway? Watch the bedside monitors'
    """
    return f"{silent} of {devices} devices of a group silent: network or gateway? Watch the bedside monitors"


def unchanging_text(vital: Vital, value: float, held_ms: int) -> str:
    """The text of an alarm about a value that does not change.

    >>> unchanging_text(BY_NAME["heart_rate"], 72.0, 600_000)
    'HR does not change: 72 for 10 min. Is it measured?'
    """
    return f"{vital.label} does not change: {plain(value)} for {span_text(held_ms)}. Is it measured?"


def missing_text(vital: Vital, device: str, limit_ms: int) -> str:
    """The text of an alarm about a vital sign that is not sent any more.

    >>> missing_text(BY_NAME["spo2"], "d-17", 30_000)
    'SpO2 missing: device d-17 has sent none for 30 s. Is it connected?'
    """
    return f"{vital.label} missing: device {device} has sent none for {span_text(limit_ms)}. Is it connected?"


def battery_text(device: str, level: float) -> str:
    """The text of an alarm about a battery; `level` in percent.

    >>> battery_text("d-17", 18.0)
    'Battery 18 %: charge or change that of device d-17'
    """
    return f"Battery {level:.0f} %: charge or change that of device {device}"


def late_text(late_ms: int) -> str:
    """How long after it was measured data came.

    >>> late_text(3_480_000)
    '58 min after it was measured'
    """
    return f"{span_text(late_ms)} after it was measured"


def span_text(span_ms: int) -> str:
    """A length of time as people say it.

    >>> span_text(45_000), span_text(600_000), span_text(7_200_000)
    ('45 s', '10 min', '2 h')
    """
    if span_ms < 120_000:
        return f"{max(span_ms, 0) / 1000:.0f} s"
    return f"{span_ms / 60_000:.0f} min" if span_ms < 7_200_000 else f"{span_ms / 3_600_000:.3g} h"


def score_text(
    score: float, limit: float, parts: Sequence[Reason], priority: Priority, *, name: str = "Risk score", whole: bool = False,
) -> str:  # fmt: skip
    """The text of a score alarm, with what drives it. `whole`: it is a sum of points.

    >>> score_text(7.25, 6.0, (), Priority.LOW)
    '*Risk score 7.2 >= 6'
    >>> score_text(7.0, 5.0, (), Priority.MEDIUM, name="NEWS2 at least")
    '**NEWS2 at least 7 >= 5'
    """
    driven = ": " + ", ".join(part.text for part in parts) if parts else ""
    shown = f"{score:g}" if whole or name.startswith("NEWS2") else score_number(score)
    return f"{MARKS[priority]}{name} {shown} >= {limit:g}{driven}"


def score_number(score: float) -> str:
    """A score as it is read: one decimal, or two digits that count where it is a small probability.

    >>> score_number(7.25), score_number(0.0312), score_number(0.0)
    ('7.2', '0.031', '0.0')
    """
    return f"{score:.1f}" if abs(score) >= 1 or score == 0 else f"{score:.2g}"


def deviation_reason(metric: str, deviation: float, since_ms: int, value: float | None = None) -> Reason:
    """One metric's part in a score: its value where it is known, and how far it is from the patient's own usual.

    >>> deviation_reason("heart_rate", 24.0, 0).text
    'HR +24 from own baseline'
    >>> deviation_reason("respiratory_rate", 9.0, 0, 27.0).text
    'RR 27, +9 from own baseline'
    >>> deviation_reason("spo2", 0.2, 0, 91.0).text  # as always, and yet what drives the score
    'SpO2 91'
    """
    vital = BY_NAME[metric]
    apart = f"{deviation:+.{vital.decimals}f}"
    if value is None:
        text = f"{vital.label} {apart} from own baseline"
    elif float(apart) == 0:
        text = f"{vital.label} {value:.{vital.decimals}f}"
    else:
        text = f"{vital.label} {value:.{vital.decimals}f}, {apart} from own baseline"
    return Reason(
        kind="score", metric=metric, value=number(deviation), unit=vital.unit, since_ms=since_ms, text=text
    )


def distinct(value: float, limit: float, decimals: int) -> tuple[str, str]:
    """Both numbers with the metric's decimals, or with as many as it takes to tell them apart.

    >>> distinct(89.6, 90.0, 0)
    ('89.6', '90')
    """
    bound = plain(limit)
    for places in range(decimals, 7):
        shown = f"{value:.{places}f}"
        if float(shown) != limit:
            return shown, bound
    return plain(value), bound


def plain(value: float) -> str:
    """A measured number without the noise of its binary form.

    >>> plain(np.float32(38.6)), plain(0.0)
    ('38.6', '0')
    """
    return f"{number(value):.10g}"


def number(value: float) -> float:
    """The shortest decimal number that is this float32.

    >>> number(float(np.float32(38.6)))
    38.6
    """
    return float(str(np.float32(value)))


def unit_text(vital: Vital) -> str:
    """The unit with its space; dimensionless ones are left out."""
    return f" {vital.unit}" if not vital.unit.startswith("{") else ""
