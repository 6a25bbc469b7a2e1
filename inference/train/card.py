"""Model cards. Every number in one comes from the manifest, where `vigil train` has put what it printed."""

from __future__ import annotations

from inference.bundles import Manifest

_WHAT_IT_IS_NOT = (
    "Not a medical device. A score is a reason to look at a patient, never a diagnosis, and no reason to look away: the rules on "
    "vital signs alarm whatever a model says."
)


def classifier_card(manifest: Manifest, *, smoke: bool = False) -> str:
    """The card of a classifier, Markdown."""
    training, metrics = manifest.training, manifest.metrics
    rows = [
        f"| {h:g} h | {metrics[f'validation_auroc_{h:g}h']:.3f} | {metrics[f'validation_auprc_{h:g}h']:.3f} "
        f"| {metrics[f'validation_prevalence_{h:g}h']:.4f} |"
        for h in manifest.horizons_h
    ]
    thresholds = [f"| {budget} | {value:.4f} |" for budget, value in manifest.thresholds.items()]
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        *(["**A smoke run on a few patients: for tests of the machinery, not for use.**", ""] if smoke else []),
        f"{manifest.summary} The score is the calibrated probability for {manifest.score_horizon_h:g} hours.",
        "",
        f"**Intended use.** Ranks adults in monitored beds by risk, beside NEWS2 and the rules. {_WHAT_IT_IS_NOT}",
        "",
        f"**Inputs.** Feature set `{manifest.feature_set}` ({manifest.input}, {len(manifest.inputs)} columns) of "
        f"{', '.join(manifest.vitals)}. No age, no sex, no hour of stay, no laboratory value. Missing stays missing.",
        "",
        f"**Trained on** {training.data} ({training.licence}; {training.citation}): {training.rows:,} hours of "
        f"{training.patients:,} patients of intensive care, seed {training.seed}. Another fifth of the patients stopped and "
        "calibrated it, and the last fifth was never looked at.",
        "",
        "**On validation patients**, as printed by the command below:",
        "",
        "| horizon | AUROC | AUPRC | prevalence |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "The epoch was chosen on these patients, so the figures are a little too good; those of the locked patients, with",
        "intervals and rivals, are in `docs/models.md`.",
        "",
        "| alarms per patient-day (6 h refractory) | score |",
        "| --- | --- |",
        *thresholds,
        "",
        "**Known limits.** One group of hospitals, charted hourly: live, a minute's median stands for what was charted. How "
        "often a nurse measured is among the inputs and follows the practice of that site. Expect to lose at another site. "
        "Skin tone, children and pregnancy cannot be judged with this data.",
        "",
        f"    {training.command}",
        "",
    ]
    return "\n".join(lines)
