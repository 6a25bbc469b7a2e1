"""Replay of recorded numerics: real patients where the data is at hand, else a sample that the simulated ward makes.

Real recordings are eight minutes long. An hour is made by *chaining* several patients' recordings end to end, with a
`BLEND_S` cross-fade at each seam: that is semi-synthetic, `Replay.semi_synthetic` says so, and its figures must never be
mixed with those of recordings as they are. Values are passed on as recorded; only cross-faded ones are rounded.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import InvalidInput, VigilError
from contracts.frames import Labels
from contracts.readings import EARLIEST_MS, LATEST_MS, MAX_BOOT, Readings
from contracts.vitals import BY_NAME, INDEX
from producers.sources.physiology import METRICS, Floats
from producers.sources.roster import key_of
from producers.sources.ward import Ward

BIDMC: Final = Path("bidmc") / "numerics_1hz.parquet"
# Columns of the file and the metrics they hold, in the order of rows of a second.
COLUMNS: Final = (("hr", "heart_rate"), ("pulse", "pulse_rate"), ("spo2", "spo2"), ("resp", "respiratory_rate"))
REPLAYED: Final = tuple(metric for _, metric in COLUMNS)
BLEND_S: Final = 10
SHORTEST_S: Final = 60
_CATALOGUE_INDEX: Final = np.array([INDEX[name] for name in REPLAYED], dtype=np.int16)
_SCALE: Final = np.array([10.0 ** BY_NAME[name].decimals for name in REPLAYED], dtype=np.float32)
SAMPLE_PATIENTS: Final = 12
SAMPLE_SECONDS: Final = 480
_SAMPLE_SEED: Final = 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One patient's numerics: `values` of shape (4 metrics in the order of `REPLAYED`, seconds), NaN where not measured."""

    name: str
    values: Floats
    age: int | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Recordings that belong together. `about` says whose they are and must be shown with every figure."""

    about: str
    generated: bool
    recordings: tuple[Recording, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An injected fault: the device of patient number `patient` sends nothing in `[from_s, to_s)`."""

    patient: int
    from_s: float
    to_s: float


def find_data(data_dir: Path | None, working_dir: Path) -> Path | None:
    """The folder of recordings: the one given, or `shared/data` beside the project that `working_dir` lies in.

    Raises `VigilError` when a folder was given and holds no recordings that we know."""
    if data_dir is not None:
        if not (data_dir / BIDMC).is_file():
            raise VigilError(
                f"There are no recordings in {data_dir}.",
                cause=f"{BIDMC} is not there",
                fix="leave the folder out to replay the generated sample, or see docs/data",
            )
        return data_dir
    for folder in (working_dir, *working_dir.parents):
        if (folder / "pyproject.toml").is_file():
            beside = folder.parent / "shared" / "data"
            return beside if (beside / BIDMC).is_file() else None
    return None


def load_bidmc(folder: Path) -> Collection:
    """Read `<folder>/bidmc/numerics_1hz.parquet` and, when there, `patients.csv`. Recordings are cut to the same length.

    Raises `VigilError` when the file is damaged or lacks a column."""
    path = folder / BIDMC
    try:
        table = pq.read_table(path, columns=["record", "t_s", *(column for column, _ in COLUMNS)])
    except (pa.ArrowException, OSError, KeyError) as error:
        raise VigilError(
            f"The recordings in {path} cannot be read.", cause=str(error).partition("\n")[0], fix="get the file again"
        ) from error
    record = np.array(table["record"].to_pylist(), dtype=np.str_)
    second = table["t_s"].to_numpy().astype(np.int64)
    columns = np.asarray([table[column].to_numpy() for column, _ in COLUMNS], dtype=np.float32)
    about = _patients(path.with_name("patients.csv"))
    found = []
    for name in np.unique(record):
        rows = np.flatnonzero(record == name)
        values = np.full((len(COLUMNS), int(second[rows].max()) + 1), np.nan, dtype=np.float32)
        values[:, second[rows]] = columns[:, rows]
        age, sex = about.get(str(name), (None, None))
        found.append(Recording(name=str(name), values=values, age=age, sex=sex))
    return Collection(about="BIDMC (Pimentel 2016, ODC-By 1.0)", generated=False, recordings=tuple(found))


def _patients(path: Path) -> dict[str, tuple[int | None, str | None]]:
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {
            row["record"]: (int(row["age"]) if row["age"].isdecimal() else None, row["sex"] or None)
            for row in csv.DictReader(file)
        }


def generated_sample() -> Collection:
    """The sample that the project makes itself: a calm simulated ward, the same on every machine."""
    ward = Ward(SAMPLE_PATIENTS, _SAMPLE_SEED, "calm", EARLIEST_MS)
    order = [METRICS.index(name) for name in REPLAYED]
    rows = SAMPLE_PATIENTS * len(METRICS)  # batteries come after them
    values = np.stack(
        [r.value[:rows].reshape(SAMPLE_PATIENTS, len(METRICS))[:, order] for r in ward.seconds(SAMPLE_SECONDS)]
    )
    return Collection(
        about="generated sample (simulated, no patients)",
        generated=True,
        recordings=tuple(
            Recording(name=f"generated_{i + 1:02d}", values=values[:, i].T.copy(), age=person.age, sex=person.sex)
            for i, person in enumerate(ward.people)
        ),
    )


class Replay:
    """Patients who relive recordings, one second at a time, from `start_ms` on.

    Patient i begins with recording i; longer than that, others follow in an order that depends on `seed` alone. Event times
    are `start_ms` plus whole seconds. At most `patients` of the recordings are replayed. `boot` as for the simulated ward.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        hours: float,
        seed: int,
        start_ms: int,
        patients: int | None = None,
        silent: Silence | None = None,
        boot: int = 1,
    ) -> None:
        recordings = collection.recordings
        if not recordings:
            raise InvalidInput("data", "holds no recordings")
        if start_ms % 1000 or not EARLIEST_MS <= start_ms < LATEST_MS:
            raise InvalidInput("start_ms", "must be a whole second between the years 2000 and 2100, in milliseconds UTC")
        if not 0 <= boot <= MAX_BOOT:
            raise InvalidInput("boot", f"must be 0 to {MAX_BOOT}")
        if seed < 0:
            raise InvalidInput("seed", "must be 0 or more")
        length = min(r.values.shape[1] for r in recordings)
        if length < SHORTEST_S:
            raise InvalidInput("data", f"holds a recording shorter than {SHORTEST_S} s")
        count = len(recordings) if patients is None else min(patients, len(recordings))
        if silent is not None and not 0 <= silent.patient < count:
            raise InvalidInput("silent", f"patient must be 0 to {count - 1}")
        self.length_s: Final = round(hours * 3600)
        if self.length_s < 1:
            raise InvalidInput("hours", "must be more than 0")
        self.start_ms: Final = start_ms
        self.seed: Final = seed
        self.semi_synthetic: Final = self.length_s > length
        self.about: Final = collection.about + (", chained: semi-synthetic" if self.semi_synthetic else "")
        self.recordings: Final = recordings[:count]
        self._values = np.stack([r.values[:, :length] for r in recordings])
        # A hop is what one recording adds: its end fades into the next one's beginning.
        self._hop = length - BLEND_S
        self._silent = silent
        self._boot = boot
        self._second = 0
        self._sequence = np.zeros(count, dtype=np.int64)
        self._orders: dict[int, npt.NDArray[np.int64]] = {}
        names = [key_of(f"recording:{r.name}", 0, 0) for r in self.recordings]
        self._patients = tuple(f"p-{name}" for name in names)
        self._devices = tuple(f"d-{name}" for name in names)

    @property
    def second(self) -> int:
        """How many seconds have been replayed."""
        return self._second

    @property
    def next_ms(self) -> int:
        """The start of the next second, event time."""
        return self.start_ms + 1000 * self._second

    def roster(self) -> list[dict[str, str | int | None]]:
        """Who is replayed: patient, bed, name, unit, age, sex. Names say which recording it is."""
        return [
            {
                "patient": patient,
                "bed": f"R-{i + 1:02d}",
                "name": f"Recording {recording.name}",
                "unit": "Replay (demo)",
                "age": recording.age,
                "sex": recording.sex,
            }
            for i, (patient, recording) in enumerate(zip(self._patients, self.recordings, strict=True))
        ]

    def seconds(self, count: int) -> Iterator[Readings]:
        """The next `count` seconds, one batch each."""
        for _ in range(count):
            yield self.step()

    def step(self) -> Readings:
        """The next second: rows by patient, then metric, without what was not measured; `received_ms` is its end."""
        values = self._now()
        start = self.next_ms
        sent = ~np.isnan(values)
        silent = self._silent
        if silent is not None and silent.from_s <= self._second < silent.to_s:
            sent[silent.patient] = False
        patient, metric = np.nonzero(sent)
        position = (np.cumsum(sent, axis=1) - 1)[patient, metric]
        codes = patient.astype(np.int32)
        readings = Readings(
            patient=Labels(codes=codes, names=self._patients),
            device=Labels(codes=codes, names=self._devices),
            metric=_CATALOGUE_INDEX[metric],
            value=values[patient, metric],
            time_ms=np.full(len(codes), start, dtype=np.int64),
            received_ms=np.full(len(codes), start + 1000, dtype=np.int64),
            boot=np.full(len(codes), self._boot, dtype=np.int32),
            seq=self._sequence[patient] + position,
            quality=np.zeros(len(codes), dtype=np.uint8),
        )
        self._sequence += sent.sum(axis=1)
        self._second += 1
        return readings

    def _now(self) -> Floats:
        """Values of this second, shape (patients, 4)."""
        link, offset = divmod(self._second, self._hop) if self.semi_synthetic else (0, self._second)
        values = self._values[self._order(link), :, offset]
        if link == 0 or offset >= BLEND_S:
            return values
        before = self._values[self._order(link - 1), :, offset + self._hop]
        weight = np.float32((offset + 1) / (BLEND_S + 1))
        blended = np.rint((before + weight * (values - before)) * _SCALE) / _SCALE
        # What only one of the two measured is taken from it.
        return np.where(np.isnan(values), before, np.where(np.isnan(before), values, blended))

    def _order(self, link: int) -> npt.NDArray[np.int64]:
        """Which recording each patient relives as number `link` of the chain, shape (patients,)."""
        known = self._orders.get(link)
        if known is None:
            own = np.arange(len(self.recordings), dtype=np.int64)
            total = len(self._values)
            # Every patient moves on by the same step, which differs from link to link: all recordings are always in use.
            step = 0 if link == 0 else self._steps(link, total)
            known = (own + step) % total
            self._orders = {n: order for n, order in self._orders.items() if n >= link - 1} | {link: known}
        return known

    def _steps(self, link: int, total: int) -> int:
        """The step of `link`: a seeded permutation of 1 .. total - 1, then of 0 .. total - 1, again and again."""
        if link < total:
            return int(np.random.default_rng([self.seed, 4, 0]).permutation(np.arange(1, total))[link - 1])
        round_, place = divmod(link, total)
        return int(np.random.default_rng([self.seed, 4, round_]).permutation(total)[place])


def find_recordings(data_dir: Path | None, working_dir: Path) -> Collection:
    """Real recordings when they can be found, else the generated sample. Raises as `find_data` and `load_bidmc` do."""
    folder = find_data(data_dir, working_dir)
    return generated_sample() if folder is None else load_bidmc(folder)

