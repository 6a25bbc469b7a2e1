"""What the windows of a partition are made of: one frozen object. Times are event time unless a name says tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contracts.readings import REFUSE_AFTER_MS
from contracts.windows import HOP_MS, LONG_MS, SHORT_MS

# A window is a whole number of hops of ten seconds; the ring moves a hop at a time, so that whole hops stand or fall.
HOP_S: Final = HOP_MS // 1000
SHORT_HOPS: Final = SHORT_MS // HOP_MS
LONG_HOPS: Final = LONG_MS // HOP_MS
# Hops ahead of the clock's own that have a place in the ring. Readings further ahead wait for their tick.
HOPS_AHEAD: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long to wait for readings, and how much to keep.

    `lateness_ms`: a patient's window waits this long after the patient's newest reading for stragglers. `grace_ms`: and at
    most this long by the ticks, when the patient is silent. `revise_ms`: a reading up to this old by the ticks (to whole
    hops) still enters the ring and revises the windows it belongs to; an older one is the series store's alone.
    `ahead_ms`: a reading further ahead of the ticks is refused. `latest_ms`: a latest row shows readings up to this old.
    `waiting_rows`: how many rows wait for their time; beyond it the first to come are let go and counted. `chunk_rows`:
    rows are written to the ring at a tick, or when so many have come. `frame_rows`: the most rows in one output frame.
    """

    lateness_ms: int = 2_000
    grace_ms: int = 15_000
    revise_ms: int = 120_000
    ahead_ms: int = REFUSE_AFTER_MS
    latest_ms: int = 300_000
    waiting_rows: int = 1_000_000
    chunk_rows: int = 262_144
    frame_rows: int = 4_096

    @property
    def grace_hops(self) -> int:
        return -(-self.grace_ms // HOP_MS)

    @property
    def revise_hops(self) -> int:
        return -(-self.revise_ms // HOP_MS)

    @property
    def ring_hops(self) -> int:
        """Hops in the ring: those behind the clock's own that a window may still need, that one, and those ahead.

        A window closes `grace` after its end, at most one hop of ticks later; a late reading needs the whole of the
        first window that it belongs to, five hops further back than its own.
        """
        behind = max(SHORT_HOPS + self.grace_hops, SHORT_HOPS - 1 + self.revise_hops)
        return behind + 1 + HOPS_AHEAD

    @property
    def idle_hops(self) -> int:
        """After so many hops without a reading nothing of the past can be sent any more, not even what waited ahead."""
        return -(-self.ahead_ms // HOP_MS) + LONG_HOPS + SHORT_HOPS + self.grace_hops + 2

    @property
    def lookback_ms(self) -> int:
        """How much of the log decides the whole state: the longest that a reading can wait ahead of its time, the
        longest window it can be part of, its revisions, and a margin for ticks that lag behind the broker's clock."""
        longest = max(self.latest_ms, LONG_MS + SHORT_MS + (self.revise_hops + self.grace_hops + 2) * HOP_MS)
        return self.ahead_ms + longest + MARGIN_MS


MARGIN_MS: Final = 60_000
# The default policy's, for the plan of the process.
LOOKBACK_MS: Final = Policy().lookback_ms
