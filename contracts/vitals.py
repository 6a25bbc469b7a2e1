"""The catalogue of what is measured: one row per metric, vital signs and what devices say of themselves.

A metric's name is a contract: quantity, method and site where they change the meaning (SDNN is not RMSSD), one unit.
Codes are LOINC, units UCUM. Hard ranges bound what a sensor can physically report on a living person: outside is
never shown as a value. Default limits are the ones common on adult bedside monitors and are meant to be edited by
the site. LOINC is copyright Regenstrief Institute; only codes are used, labels are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Alarm limits in the metric's unit: `low`/`high` warn (medium), `critical_*` are high priority; None = no limit."""

    low: float | None = None
    high: float | None = None
    critical_low: float | None = None
    critical_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """value in catalogue unit = value * factor + offset."""

    factor: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """One metric. `hard_low`/`hard_high` in `unit`; `cadence_s` is the expected time between values, `expiry_s` the age
    at which a value must no longer be shown as current. `centre` and `spread` (a robust standard deviation) describe
    resting adults and are the prior of the personal baseline; they are not limits.

    `stuck_s`: a device whose values have been exactly the same for so long is not measuring any more; None: standing still is
    natural (temperature, SpO2 at its ceiling) or a value is entered by hand. The limits stand well above the longest natural
    run of real monitors, which send whole numbers: `tests/contracts/natural_runs.py` measures it.

    `of_device`: it says how the device is, not how the patient is. No window, screen value, limit, score or baseline takes it,
    and a device that sends nothing else is silent."""

    name: str
    label: str
    loinc: str | None
    unit: str
    hard_low: float
    hard_high: float
    decimals: int
    cadence_s: float
    expiry_s: float
    centre: float
    spread: float
    limits: Limits = Limits()
    stuck_s: float | None = None
    of_device: bool = False
    other_loinc: tuple[str, ...] = ()
    also: Mapping[str, Conversion] = field(default_factory=lambda: MappingProxyType({}))

    def factor_for(self, unit: str) -> Conversion | None:
        """How to convert from `unit` to this metric's unit, or None when the unit does not measure this quantity."""
        if unit == self.unit:
            return _SAME
        return self.also.get(unit)


_SAME: Final = Conversion(factor=1.0)


_PER_MINUTE: Final = MappingProxyType({"{beat}/min": _SAME, "{breath}/min": _SAME, "1/min": _SAME})
_PERCENT: Final = MappingProxyType({"1": Conversion(factor=100.0)})
_PRESSURE: Final = MappingProxyType({"kPa": Conversion(factor=7.50062)})
# Fahrenheit is scaled before it is shifted: C = (F - 32) * 5/9.
_TEMPERATURE: Final = MappingProxyType({"[degF]": Conversion(factor=5.0 / 9.0, offset=-160.0 / 9.0)})
_GLUCOSE: Final = MappingProxyType({"mmol/L": Conversion(factor=18.016)})
_MILLISECONDS: Final = MappingProxyType({"s": Conversion(factor=1000.0)})
_MASS: Final = MappingProxyType({"[lb_av]": Conversion(factor=0.45359237), "g": Conversion(factor=0.001)})

# The order is part of the contract: a metric's position is its index in columnar state. Append, never insert.
CATALOGUE: Final[tuple[Vital, ...]] = (
    Vital(name="heart_rate", label="HR", loinc="8867-4", unit="/min", hard_low=10, hard_high=350, decimals=0,
          cadence_s=1, stuck_s=600, expiry_s=15, centre=78, spread=10, also=_PER_MINUTE,
          limits=Limits(low=50, high=120, critical_low=40, critical_high=150)),
    Vital(name="pulse_rate", label="PR", loinc="8867-4", unit="/min", hard_low=10, hard_high=350, decimals=0,
          cadence_s=1, stuck_s=600, expiry_s=15, centre=78, spread=10, also=_PER_MINUTE,
          limits=Limits(low=50, high=120, critical_low=40, critical_high=150)),
    Vital(name="spo2", label="SpO2", loinc="59408-5", other_loinc=("2708-6",), unit="%", hard_low=30, hard_high=100,
          decimals=0, cadence_s=1, expiry_s=15, centre=96.5, spread=1.5, also=_PERCENT,
          limits=Limits(low=90, critical_low=80)),
    Vital(name="respiratory_rate", label="RR", loinc="9279-1", unit="/min", hard_low=1, hard_high=100, decimals=0,
          cadence_s=1, stuck_s=1800, expiry_s=30, centre=16, spread=3, also=_PER_MINUTE,
          limits=Limits(low=8, high=30, critical_low=5)),
    Vital(name="systolic_bp", label="SYS", loinc="8480-6", unit="mm[Hg]", hard_low=30, hard_high=300, decimals=0,
          cadence_s=1, stuck_s=1800, expiry_s=900, centre=122, spread=14, also=_PRESSURE, limits=Limits(low=90, high=160)),
    Vital(name="diastolic_bp", label="DIA", loinc="8462-4", unit="mm[Hg]", hard_low=10, hard_high=220, decimals=0,
          cadence_s=1, stuck_s=1800, expiry_s=900, centre=72, spread=10, also=_PRESSURE, limits=Limits(low=50, high=90)),
    Vital(name="mean_bp", label="MAP", loinc="8478-0", unit="mm[Hg]", hard_low=20, hard_high=250, decimals=0,
          cadence_s=1, stuck_s=1800, expiry_s=900, centre=89, spread=11, also=_PRESSURE, limits=Limits(low=60, high=110)),
    Vital(name="temperature", label="Temp", loinc="8310-5", unit="Cel", hard_low=25, hard_high=45, decimals=1,
          cadence_s=1, expiry_s=900, centre=36.8, spread=0.35, also=_TEMPERATURE, limits=Limits(low=36, high=39)),
    Vital(name="etco2", label="EtCO2", loinc="19891-1", unit="mm[Hg]", hard_low=0, hard_high=150, decimals=0,
          cadence_s=1, stuck_s=1800, expiry_s=30, centre=38, spread=4, also=_PRESSURE, limits=Limits(low=25, high=50)),
    Vital(name="glucose", label="Glucose", loinc="41653-7", unit="mg/dL", hard_low=10, hard_high=1500, decimals=0,
          cadence_s=21_600, expiry_s=43_200, centre=110, spread=25, also=_GLUCOSE, limits=Limits(low=70, high=250)),
    Vital(name="glucose_interstitial", label="CGM", loinc="99504-3", unit="mg/dL", hard_low=20, hard_high=600,
          decimals=0, cadence_s=300, expiry_s=900, centre=115, spread=25, also=_GLUCOSE,
          limits=Limits(low=70, high=250)),
    Vital(name="oxygen_flow", label="O2 flow", loinc="3151-8", unit="L/min", hard_low=0, hard_high=80, decimals=1,
          cadence_s=14_400, expiry_s=43_200, centre=0, spread=2),
    Vital(name="inhaled_oxygen", label="FiO2", loinc="3150-0", unit="%", hard_low=21, hard_high=100, decimals=0,
          cadence_s=14_400, expiry_s=43_200, centre=21, spread=5, also=_PERCENT),
    # 0 alert, 1 new confusion, 2 voice, 3 pain, 4 unresponsive: the ACVPU scale of NEWS2, entered by a person.
    Vital(name="consciousness", label="ACVPU", loinc="67775-7", unit="{ACVPU}", hard_low=0, hard_high=4, decimals=0,
          cadence_s=14_400, expiry_s=43_200, centre=0, spread=0.5),
    Vital(name="activity", label="Activity", loinc="55423-8", unit="{steps}/min", hard_low=0, hard_high=400,
          decimals=0, cadence_s=60, expiry_s=300, centre=5, spread=15),
    Vital(name="hrv_sdnn", label="SDNN", loinc="80404-7", unit="ms", hard_low=1, hard_high=500, decimals=0,
          cadence_s=300, expiry_s=86_400, centre=50, spread=20, also=_MILLISECONDS),
    Vital(name="hrv_rmssd", label="RMSSD", loinc=None, unit="ms", hard_low=1, hard_high=500, decimals=0,
          cadence_s=300, expiry_s=86_400, centre=40, spread=20, also=_MILLISECONDS),
    Vital(name="resting_heart_rate", label="Resting HR", loinc="40443-4", unit="/min", hard_low=20, hard_high=150,
          decimals=0, cadence_s=86_400, expiry_s=172_800, centre=64, spread=9, also=_PER_MINUTE),
    Vital(name="weight", label="Weight", loinc="29463-7", unit="kg", hard_low=0.3, hard_high=400, decimals=1,
          cadence_s=86_400, expiry_s=172_800, centre=75, spread=15, also=_MASS),
    # What is left of the charge: MDC_ATTR_VAL_BATT_CHARGE, 67996, of IEEE 11073-10101; no LOINC code stands for it.
    Vital(name="battery", label="Battery", loinc=None, unit="%", hard_low=0, hard_high=100, decimals=0, cadence_s=300,
          expiry_s=900, centre=75, spread=25, also=_PERCENT, of_device=True),
)

INDEX: Final[MappingProxyType[str, int]] = MappingProxyType({v.name: i for i, v in enumerate(CATALOGUE)})
BY_NAME: Final[MappingProxyType[str, Vital]] = MappingProxyType({v.name: v for v in CATALOGUE})
BATTERY: Final = INDEX["battery"]


def loinc_check_digit(number: int) -> int:
    """The mod-10 check digit of a LOINC code's number (the part before the dash).

    >>> loinc_check_digit(8867)
    4
    """
    digits = str(number)
    odd = "".join(digits[-1::-2])
    doubled = str(int(odd) * 2)
    even = "".join(digits[-2::-2])
    total = sum(int(c) for c in doubled + even)
    return -total % 10
