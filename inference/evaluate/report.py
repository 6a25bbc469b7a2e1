"""The evaluation as one HTML file that stands alone: tables, and plots as SVG inside it. Nothing of a single patient is in it."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from contracts.errors import VigilError
from inference.evaluate.evaluation import Evaluation, Judged
from inference.evaluate.forecasts import Forecasts

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #d8dee4}
td{white-space:nowrap}th:first-child,td:first-child{text-align:left}
.note{color:#57606a}.plots{display:flex;flex-wrap:wrap;gap:1rem}.plots svg{width:31rem;height:auto}
"""
_COLOURS: Final = ("#0b6bcb", "#c2410c", "#15803d", "#7c3aed", "#b45309", "#0e7490", "#be123c", "#4b5563")


def report(evaluation: Evaluation) -> str:
    """The whole page. Raises `VigilError` when matplotlib is not installed."""
    judged = evaluation.scorers
    parts = [
        f"<h1>{_text(', '.join(n for n in judged if n not in ('random', 'news2')) or 'NEWS2')} on {_text(evaluation.data)}</h1>",
        f"<p>{evaluation.patients:,} patients ({_text(evaluation.part)}), {evaluation.events:,} with an event, "
        f"{evaluation.rows:,} moments scored, prevalence {evaluation.prevalence:.2%}. Intervals are 95 % over patients drawn "
        f"with replacement. Vigil is not a certified medical device.</p>",
        "<h2>Ranking</h2>",
        _ranking(judged, evaluation.prevalence),
    ]
    if any(j.at_budget for j in judged.values()):
        parts += ["<h2>At the same number of alarms</h2>", _budgets(judged)]
        parts.append(
            f"<p class=note>An alarm, then {evaluation.silence_h} h of silence for that patient. Found: an alarm came in the "
            "12 h before the event. "
            "The threshold of each row is the one that brings this many alarms on these patients.</p>"
        )
    parts += ["<h2>Plots</h2><div class=plots>", *_plots(evaluation), "</div>"]
    parts += [_calibration(judged), _subgroups(judged), _stress(judged), _forecasts(evaluation.forecasts)]
    parts.append(
        f"<p class=note>Data: {_text(evaluation.citation)} ({_text(evaluation.licence)}). Seed {evaluation.seed}.</p>"
    )
    title = f"Evaluation on {_text(evaluation.data)}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _ranking(judged: Mapping[str, Judged], prevalence: float) -> str:
    rows = [
        [
            name,
            f"{j.auroc:.3f} ({j.auroc_interval[0]:.3f}–{j.auroc_interval[1]:.3f})",
            f"{j.auprc:.4f} ({j.auprc_interval[0]:.4f}–{j.auprc_interval[1]:.4f})",
            f"{j.auprc / prevalence:.1f}" if prevalence else "",
            _number(j.utility, 3) if j.utility is not None else _number(j.event_1, 3),
            f"{j.scored:.1%}",
            j.note,
        ]
        for name, j in judged.items()
    ]
    measure = "utility" if any(j.utility is not None for j in judged.values()) else "min(Se, PPV)"
    return _table(["score", "AUROC", "AUPRC", "times prevalence", measure, "moments scored", ""], rows)


def _budgets(judged: Mapping[str, Judged]) -> str:
    rows = []
    for name, j in judged.items():
        for budget, at in j.at_budget.items():
            low, high = at.sensitivity_interval
            rows.append(
                [
                    name,
                    budget,
                    f"{at.alarms_per_patient_day:.3f}",
                    f"{at.sensitivity:.2f} ({low:.2f}–{high:.2f})",
                    _number(at.ppv, 3),
                    f"{_number(at.lead_hours_median, 1)} ({_number(at.lead_hours_quartiles[0], 0)}–"
                    f"{_number(at.lead_hours_quartiles[1], 0)})",
                    _number(at.alarms_per_found_event, 1),
                    f"{at.time_in_alarm:.1%}",
                    f"{at.alarmed:.1%}",
                    " / ".join(_number(hours, 0) for hours in at.first_alarm_h_quartiles),
                ]
            )
    head = [
        "score",
        "budget a patient-day",
        "alarms a patient-day",
        "events found",
        "PPV",
        "lead h, median (quartiles)",
    ]
    return _table(
        [*head, "alarms per event found", "time at or above", "patients alarmed", "hour of the first alarm, quartiles"], rows
    )


def _calibration(judged: Mapping[str, Judged]) -> str:
    rows = [
        [
            name,
            _number(j.calibration.slope, 2),
            _number(j.calibration.intercept, 2),
            f"{j.calibration.brier:.5f}",
            f"{j.calibration.brier_of_prevalence:.5f}",
            f"{j.calibration.ece:.4f}",
        ]
        for name, j in judged.items()
        if j.calibration is not None
    ]
    if not rows:
        return ""
    return "<h2>Calibration</h2>" + _table(
        ["score", "slope (1)", "intercept (0)", "Brier", "Brier of the prevalence alone", "calibration error"], rows
    )


def _subgroups(judged: Mapping[str, Judged]) -> str:
    names = list(judged)
    groups = next(iter(judged.values())).subgroups if judged else {}
    if not groups:
        return ""
    rows = [
        [group, f"{of.rows:,}", f"{of.events:,}", *(_number(judged[n].subgroups[group].auroc, 3) for n in names)]
        for group, of in groups.items()
    ]
    return "<h2>Subgroups: AUROC</h2>" + _table(["group", "moments", "patients with an event", *names], rows)


def _stress(judged: Mapping[str, Judged]) -> str:
    tested = {name: j for name, j in judged.items() if j.stress}
    if not tested:
        return ""
    kinds = next(iter(tested.values())).stress
    rows = [["as recorded", *(f"{j.auroc:.3f}" for j in tested.values())]]
    rows += [
        [kind, *(f"{j.stress[kind][0]:.3f} ({j.stress[kind][0] - j.auroc:+.3f})" for j in tested.values())]
        for kind in kinds
    ]
    return "<h2>When something is wrong: AUROC</h2>" + _table(["", *tested], rows)


def _forecasts(found: Mapping[str, Forecasts]) -> str:
    if not found:
        return ""
    head = ["forecaster", "of", "minutes ahead", "values", "gain over persistence, nats a value", "over the personal baseline"]
    rows = [
        [name, line.ground, str(line.ahead_minutes), f"{line.values:,}", *line.shown()]
        for name, each in found.items()
        for line in each.lines
    ]
    return "<h2>Forecasts</h2>" + _table([*head, "within the central 50 %", "90 %"], rows)


def figures() -> Any:
    """The class that plots are drawn with. Raises `VigilError` when matplotlib is not installed: to be asked before hours of
    scoring, not after them."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise VigilError(
            "The report's plots cannot be drawn: matplotlib is not installed.", fix="uv sync --extra train"
        ) from error
    return Figure


def _plots(evaluation: Evaluation) -> list[str]:
    drawing = figures()
    colour = dict(zip(evaluation.scorers, _COLOURS * 4, strict=False))

    def drawn(title: str, across: str, up: str, draw: Callable[[Any], None]) -> str:
        figure = drawing(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set(title=title, xlabel=across, ylabel=up)
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
        return out.getvalue()[out.getvalue().index("<svg") :]

    def roc(axes: Any) -> None:
        for name, j in evaluation.scorers.items():
            axes.plot((0, *j.roc.x), (0, *j.roc.y), color=colour[name], label=f"{name} {j.auroc:.3f}")

    def precision(axes: Any) -> None:
        for name, j in evaluation.scorers.items():
            # The first few alarms decide the left end by chance: they are left out of the picture.
            some = [(x, y) for x, y in zip(j.precision_recall.x, j.precision_recall.y, strict=True) if x >= 0.01]
            axes.plot([x for x, _ in some], [y for _, y in some], color=colour[name], label=f"{name} {j.auprc:.3f}")

    def budgets(axes: Any) -> None:
        for name, j in evaluation.scorers.items():
            points = [(a.alarms_per_patient_day, a.sensitivity, *a.sensitivity_interval) for a in j.at_budget.values()]
            x, y, low, high = np.array(points).T
            axes.errorbar(x, y, yerr=[y - low, high - y], color=colour[name], label=name, marker="o", capsize=3)

    def calibrated(axes: Any) -> None:
        for name, j in evaluation.scorers.items():
            if j.calibration is not None:
                said, happened, _ = np.array(j.calibration.deciles).T
                axes.plot(said, happened, color=colour[name], marker="o", label=name)
                axes.plot([0, said.max()], [0, said.max()], color="#8b949e", linestyle=":")

    def benefit(axes: Any) -> None:
        drawn_for = {name: j for name, j in evaluation.scorers.items() if j.benefit}
        for name, j in drawn_for.items():
            axes.plot([float(p) for p in j.benefit], [b.net for b in j.benefit.values()], color=colour[name], label=name)
        always = next(iter(drawn_for.values())).benefit
        shown = {float(p): b.everybody for p, b in always.items() if b.everybody > 0}
        axes.plot(list(shown), list(shown.values()), color="#8b949e", linestyle=":", label="act always")
        axes.axhline(0, color="#8b949e", linewidth=0.8)

    found = [
        drawn("ROC", "false alarms, share of moments without event", "share of moments with event", roc),
        drawn("Precision and recall", "recall", "precision", precision),
    ]
    if all(j.at_budget for j in evaluation.scorers.values()):
        found.append(drawn("Events found at an alarm budget", "alarms per patient-day", "events found", budgets))
    if any(j.calibration for j in evaluation.scorers.values()):
        found.append(drawn("Calibration by decile", "probability said", "share that happened", calibrated))
        found.append(drawn("Decision curve", "probability from which one acts", "net benefit, true alarms a moment", benefit))
    return found


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None or value != value else f"{value:.{decimals}f}"


def _text(value: str) -> str:
    return html.escape(value)
