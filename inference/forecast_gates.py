"""What the gates ask of a forecaster, by the lines of one evaluation (`inference.evaluate.forecasts`). Pure: whether it is
passed, and the numbers. A line or a number that is missing raises, which the caller takes for not passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Said = tuple[bool, str]
Line = Mapping[str, Any]

_CHARTED: Final = ("charted", 60)
_REAL: Final = ("real minutes", 1)


def enough(judged: Line, steps_ahead: Sequence[int], patients: int, real_minutes: int) -> Said:
    """Whether there is enough to judge by: patients with charted values an hour ahead, and real minutes."""
    lines = _asked(judged, steps_ahead)
    many, real = int(lines[_CHARTED]["patients"]), int(lines[_REAL]["values"])
    return many >= patients and real >= real_minutes, (
        f"{many} patients of at least {patients}, {real} real minutes of at least {real_minutes}"
    )


def beats(judged: Line, steps_ahead: Sequence[int], rival: str) -> Said:
    """Whether what came was likelier under every line's forecasts than under a rival's, beyond what chance allows."""
    lines = _asked(judged, steps_ahead)
    gains = {key: _gain(line, rival) for key, line in lines.items()}
    worst = min(gains, key=lambda key: gains[key][1])
    gain, low, high = gains[worst]
    return all(each[1] > 0 for each in gains.values()), (
        f"{len(gains)} lines, the worst is {_named(worst)}: {gain:+.4f} ({low:+.4f} to {high:+.4f}) nats a value"
    )


def beats_champion(judged: Line, champion: Line, steps_ahead: Sequence[int], label: str) -> Said:
    """Whether it is better than the champion on charted values beyond what chance allows, and nowhere worse beyond it. Both are
    compared by what they gain over persistence, which is the same for both."""
    lines, theirs = _asked(judged, steps_ahead), _asked(champion, steps_ahead)
    worse = [key for key in lines if _gain(lines[key], "persistence")[2] < _gain(theirs[key], "persistence")[0]]
    gain, low, high = _gain(lines[_CHARTED], "persistence")
    there = _gain(theirs[_CHARTED], "persistence")[0]
    lost = f"; worse at {', '.join(map(_named, worse))}" if worse else ""
    return low > there and not worse, (
        f"{_named(_CHARTED)}: {gain:+.4f} ({low:+.4f} to {high:+.4f}) over persistence against {there:+.4f} of {label}{lost}"
    )


def honest(judged: Line, steps_ahead: Sequence[int], off_50: float, off_90: float) -> Said:
    """Whether central intervals hold as many values as they claim to."""
    off = {
        (key, share): (float(line[f"within_{share}"]), abs(float(line[f"within_{share}"]) - share / 100) - most)
        for key, line in _asked(judged, steps_ahead).items()
        for share, most in ((50, off_50), (90, off_90))
    }
    key, share = max(off, key=lambda each: off[each][1])
    return all(excess <= 0 for _, excess in off.values()), (
        f"the worst is {_named(key)}: {off[key, share][0]:.3f} within the central {share} %; "
        f"at most {off_50:g} off 50 % and {off_90:g} off 90 %"
    )


def no_vital_lost(judged: Line, steps_ahead: Sequence[int], loss: float, values: int) -> Said:
    """Whether no vital is foretold worse than by its newest value, where there are enough of its values to tell."""
    gains = {
        (key, vital): float(found["gain"])
        for key, line in _asked(judged, steps_ahead).items()
        for vital, found in line["vitals"].items()
        if int(found["values"]) >= values
    }
    if not gains:
        return False, f"no vital has {values} values"
    key, vital = min(gains, key=lambda each: gains[each])
    return all(gain >= -loss for gain in gains.values()), (
        f"the worst is {vital}, {_named(key)}: {gains[key, vital]:+.4f} nats a value, at least {-loss:g}"
    )


def _asked(judged: Line, steps_ahead: Sequence[int]) -> dict[tuple[str, int], Line]:
    """The lines that count: semi-synthetic minutes at every distance, and real values at both ends of the range. Raises
    `KeyError` for one that is missing."""
    have = {(str(line["ground"]), int(line["ahead_minutes"])): line for line in judged["lines"]}
    wanted = [*(("minutes", ahead) for ahead in steps_ahead), _CHARTED, _REAL]
    for key in wanted:
        if key not in have:
            raise KeyError(_named(key))
    return {key: have[key] for key in wanted}


def _gain(line: Line, rival: str) -> tuple[float, float, float]:
    gain = float(line[f"gain_{rival}"])
    low, high = (float(bound) for bound in line[f"gain_{rival}_interval"])
    if not low <= gain <= high:
        raise ValueError("an interval that does not hold its value")
    return gain, low, high


def _named(key: tuple[str, int]) -> str:
    return f"{key[0]} {key[1]} ahead"
