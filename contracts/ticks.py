"""Ticks: time as part of the log.

Whoever feeds the topics writes a tick at least once a second into every partition of `vitals.readings`. A processor's clock is
the highest tick it has seen in that partition; nothing else is "now" on the stream path, so the same log always gives the same
windows, scores and alarms. Several writers do no harm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from contracts.errors import InvalidInput
from contracts.readings import EARLIEST_MS, LATEST_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Everything before `tick_ms` (UTC) has been written; rule set number `config_version` is in force from here on."""

    tick_ms: int
    config_version: int


def encode_tick(tick: Tick) -> bytes:
    """The message value; header content-type is `topics.TICK`."""
    return b'{"tick_ms":%d,"config_version":%d}' % (tick.tick_ms, tick.config_version)


def decode_tick(payload: bytes) -> Tick:
    """Raises `InvalidInput` for anything that is not a tick of a plausible time."""
    try:
        document = json.loads(payload)
        tick_ms, version = document["tick_ms"], document["config_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput("tick", 'must be {"tick_ms": ..., "config_version": ...}') from error
    if type(tick_ms) is not int or not EARLIEST_MS <= tick_ms < LATEST_MS:
        raise InvalidInput("tick_ms", "must be milliseconds UTC between the years 2000 and 2100")
    if type(version) is not int or version < 0:
        raise InvalidInput("config_version", "must be a whole number from 0")
    return Tick(tick_ms=tick_ms, config_version=version)
