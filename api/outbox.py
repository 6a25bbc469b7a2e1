"""What waits for one live connection, and in which order it leaves. Pure: no socket, no clock.

Alarms leave first, in the order they came, and are never dropped: when too many wait, `offer_alarm` says so and the
connection has to be closed. Nothing else waits here: a snapshot is taken in the moment it leaves, and for values the
outbox remembers the round of the ward that its client has seen, so a slow client gets the newest ones and costs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from contracts.canary import is_canary
from contracts.groups import is_group

# Their texts are shared by all viewers. A storm of a thousand alarms in one second must not close a viewer that reads.
MAX_ALARMS: Final = 4096
MAX_ALARM_CHARACTERS: Final = 8 * 1024 * 1024

Patients = frozenset[str] | None  # None: all but the canary


class Frame(NamedTuple):
    """A frame as it leaves: its type, and the whole JSON text."""

    type: str
    text: str


class Snapshot(NamedTuple):
    """Members of a snapshot, the round it stands for, and up to which number (and which beyond) it knows the alarm feed."""

    members: str
    round: int
    seen: int
    ahead: frozenset[int]

    def holds(self, feed_seq: int) -> bool:
        return feed_seq <= self.seen or feed_seq in self.ahead


class Source(Protocol):
    """Where frames come from: JSON members of a frame after its type and seq, as of now. None: nothing has changed."""

    @property
    def round(self) -> int: ...

    def snapshot(self, patients: Patients) -> Snapshot: ...

    def vitals(self, since: int, patients: Patients) -> str | None: ...

    def scores(self, since: int, patients: Patients) -> str | None: ...


class Outbox:
    """`take` gives the next frame, numbered from 1 without gaps, or None when nothing is due.

    Order: hello, alarms as they came, a resync, a snapshot if one is due (so it holds all that left before it and nothing that
    comes after it), replayed alarms, a heartbeat, scores, values.
    """

    def __init__(self, *, max_alarms: int = MAX_ALARMS) -> None:
        self.seq = 0
        self.snapshot: Snapshot | None = None  # the newest that has left
        self._patients: Patients = frozenset()  # nobody, before the first snapshot
        self._wanted: Patients = None
        self._snapshot_due = False
        self._max_alarms = max_alarms
        self._hello: str | None = None
        self._resync: str | None = None
        self._alarms: deque[str] = deque()
        self._characters = 0  # of the alarms in line
        self._replayed: deque[str] = deque()
        self._heartbeat: str | None = None
        self._vitals_since = 0
        self._scores_since = 0
        self._vitals_due = False
        self._scores_due = False

    def hello(self, members: str) -> None:
        """The first frame of a connection."""
        self._hello = members

    def subscribe(self, patients: Patients) -> None:
        """From the next frames on, only `patients`; a snapshot of them comes first."""
        self._wanted = patients
        self._snapshot_due = True

    def loses(self, patients: Patients) -> bool:
        """Whether the client is told of somebody who is not among `patients`."""
        told = self._patients
        return patients is not None and told is not patients and (told is None or not told <= patients)

    def narrow(self, patients: Patients) -> bool:
        """From this very moment nobody but `patients`; a snapshot of them comes next. False: alarms wait in line that may be of
        others, so the connection has to be closed."""
        if self._alarms or self._replayed:
            return False
        if self.snapshot is not None:
            self._patients = patients
            self.subscribe(patients)
        return True

    def offer_alarm(self, patient: str, members: str) -> bool:
        """Put an alarm in line, unless the client has not asked for this patient. False: too many wait, close it."""
        if not _has(self._patients, patient) and not (
            self.snapshot and self._snapshot_due and _has(self._wanted, patient)
        ):
            return True
        if len(self._alarms) >= self._max_alarms or self._characters + len(members) > MAX_ALARM_CHARACTERS:
            return False
        self._alarms.append(members)
        self._characters += len(members)
        return True

    @property
    def alarms_wait(self) -> bool:
        """Whether alarms are in line."""
        return bool(self._alarms)

    def resync(self, members: str) -> None:
        """Say that there is no replay; a snapshot follows."""
        self._resync = members
        self._snapshot_due = True

    def replay(self, alarms: Iterable[tuple[str, str]]) -> None:
        """Put older alarms (patient, members) in line, behind the live ones."""
        self._replayed.extend(members for patient, members in alarms if _has(self._patients, patient))

    @property
    def replaying(self) -> bool:
        """Whether replayed alarms still wait."""
        return bool(self._replayed)

    def heartbeat(self, members: str) -> None:
        """Only the newest heartbeat waits, and none before the first snapshot."""
        if self.snapshot is not None:
            self._heartbeat = members

    def flush(self) -> None:
        """Let what changed since the last flush leave. Called at most a few times a second: this is the coalescing."""
        self._vitals_due = self._scores_due = self.snapshot is not None

    def take(self, source: Source) -> Frame | None:
        """The next frame, or None."""
        if self._hello is not None:
            members, self._hello = self._hello, None
            return self._frame("hello", members)
        if self._alarms:
            members = self._alarms.popleft()
            self._characters -= len(members)
            return self._frame("alarm", members)
        if self._resync is not None:
            members, self._resync = self._resync, None
            return self._frame("resync", members)
        if self._snapshot_due:
            self._snapshot_due = False
            self._patients = self._wanted
            self.snapshot = source.snapshot(self._patients)
            self._vitals_since = self._scores_since = self.snapshot.round
            return self._frame("snapshot", self.snapshot.members)
        if self._replayed:
            return self._frame("alarm", self._replayed.popleft())
        if self._heartbeat is not None:
            members, self._heartbeat = self._heartbeat, None
            return self._frame("heartbeat", members)
        if self._scores_due:
            self._scores_due = False
            since, self._scores_since = self._scores_since, source.round
            if (scores := source.scores(since, self._patients)) is not None:
                return self._frame("scores", scores)
        if self._vitals_due:
            self._vitals_due = False
            since, self._vitals_since = self._vitals_since, source.round
            if (vitals := source.vitals(since, self._patients)) is not None:
                return self._frame("vitals", vitals)
        return None

    def last(self, members: str) -> Frame:
        """The frame that says why the connection is closed. Nothing may be taken after it."""
        return self._frame("error", members)

    def _frame(self, type_: str, members: str) -> Frame:
        self.seq += 1
        return Frame(type_, f'{{"type":"{type_}","seq":{self.seq},{members}}}')


def _has(patients: Patients, patient: str) -> bool:
    if patients is None:
        return not is_canary(patient)
    # The alarm of a whole group stands for those of its patients, whomever of them a viewer follows.
    return patient in patients or (is_group(patient) and len(patients) > 0)
