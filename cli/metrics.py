"""`vigil metrics`: the vitals catalogue, for whoever writes a device or an integration."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.vitals import CATALOGUE, Vital


def metrics(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False) -> None:
    """List the metrics a device may send: name, LOINC code, accepted units (UCUM), physical range, default limits."""
    if as_json:
        typer.echo(json.dumps([_document(v) for v in CATALOGUE], indent=2))
        return
    table = Table("metric", "LOINC", "units", "range", "limits")
    for vital in CATALOGUE:
        limits = vital.limits
        table.add_row(
            vital.name,
            vital.loinc or "-",
            ", ".join((vital.unit, *vital.also)),
            f"{vital.hard_low:g} to {vital.hard_high:g}",
            f"{_shown(limits.low)} to {_shown(limits.high)}" if (limits.low, limits.high) != (None, None) else "-",
        )
    Console().print(table)


def _document(vital: Vital) -> dict[str, object]:
    limits = vital.limits
    return {
        "name": vital.name,
        "label": vital.label,
        "loinc": vital.loinc,
        "unit": vital.unit,
        "units": [vital.unit, *vital.also],
        "range": [vital.hard_low, vital.hard_high],
        "cadence_s": vital.cadence_s,
        "expiry_s": vital.expiry_s,
        "limits": {
            "low": limits.low,
            "high": limits.high,
            "critical_low": limits.critical_low,
            "critical_high": limits.critical_high,
        },
    }


def _shown(limit: float | None) -> str:
    return "-" if limit is None else f"{limit:g}"
