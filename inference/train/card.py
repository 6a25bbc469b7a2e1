"""Model cards. Every number in one comes from the manifest, where `vigil train` has put what it printed."""

from __future__ import annotations

from inference.manifest import Manifest

_GATES = (
    "**Gates.** Whether this version passes the written gates of the registry (`inference/gates.toml`) on patients that it never "
    "saw, `vigil models list` tells; what does not pass scores as a shadow and alarms nobody."
)
_FINDING = (
    "The score at which a share of the events is found, by alarm policy, stands in the manifest (`finding`). All thresholds are "
    "those of patients who had not taught the model that was asked."
)
_WHAT_IT_IS_NOT = (
    "Not a medical device. A score is a reason to look at a patient, never a diagnosis, and no reason to look away: the rules on "
    "vital signs alarm whatever a model says."
)


def forecaster_card(manifest: Manifest, *, smoke: bool = False) -> str:
    """The card of the forecaster, Markdown."""
    training, metrics, forecast = manifest.training, manifest.metrics, manifest.forecast
    assert forecast is not None, "checked by the manifest of a forecaster"
    ahead = [
        f"| {steps} min | {metrics[f'minutes_{steps}_nll']:.3f} | {metrics[f'minutes_{steps}_nll_persistence']:.3f} |"
        for steps in forecast.steps_ahead
    ]
    charted = [
        f"| {name.removeprefix('charted_60_mae_')} | {value:.2f} | {metrics[name + '_persistence']:.2f} |"
        for name, value in metrics.items()
        if name.startswith("charted_60_mae_") and not name.endswith("_persistence")
    ]
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        *(["**A smoke run on a few patients: for tests of the machinery, not for use.**", ""] if smoke else []),
        f"{manifest.summary} One step a minute, with a state of {forecast.state} numbers carried for each patient.",
        "The score sums, over vitals, how unlikely each was under what had been forecast: evidence and explanation beside the",
        "other scores. It has no alarm threshold of its own.",
        "",
        f"**Intended use.** Shows what changed and when. {_WHAT_IT_IS_NOT}",
        "",
        f"**Trained on** {training.data} ({training.licence}; {training.citation}); {training.patients:,} patients, crops of",
        f"three hours from {training.rows:,} beginnings, seed {training.seed}.",
        "",
        "**Semi-synthetic minutes.** No open recording holds these vitals by the minute over hours. Values charted each hour",
        "are real; the minutes between are a random bridge with the texture of real 1 Hz numerics of heart rate, respiratory",
        "rate and SpO2 (8 minutes a patient), of another amplitude for each crop, rounded as monitors round; the other vitals",
        "are taken to change as much within an hour, for what they change from hour to hour. So the scale for 1 and",
        "15 minutes of blood pressure and temperature is an assumption, and a bridge ends where the next hour was charted,",
        "which real minutes do not know: figures by the minute are too good for real ones.",
        "",
        "**On validation patients**, negative log-likelihood in nats a value without its constant, lower is better; persistence",
        "is the newest value with the best fixed scale. Semi-synthetic minutes:",
        "",
        "| ahead | forecaster | persistence |",
        "| --- | --- | --- |",
        *ahead,
        "",
        "Real charted values an hour ahead, mean absolute error in the vital's unit (what lies between is semi-synthetic):",
        "",
        "| vital | forecaster | persistence |",
        "| --- | --- | --- |",
        *charted,
        "",
        f"Real minutes of patients that trained nothing, one minute ahead: {metrics['real_1_nll']:.3f}, persistence "
        f"{metrics['real_1_nll_persistence']:.3f}.",
        "",
        _GATES,
        "",
        f"    {training.command}",
        "",
    ]
    return "\n".join(lines)


def classifier_card(manifest: Manifest, *, smoke: bool = False) -> str:
    """The card of a classifier, Markdown."""
    training, metrics = manifest.training, manifest.metrics
    rows = [
        f"| {h:g} h | {metrics[f'validation_auroc_{h:g}h']:.3f} | {metrics[f'validation_auprc_{h:g}h']:.3f} "
        f"| {metrics[f'validation_prevalence_{h:g}h']:.4f} |"
        for h in manifest.horizons_h
    ]
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
        f"{training.patients:,} patients of intensive care, seed {training.seed}. A first fit on three quarters of them was "
        "stopped and calibrated on the rest, its *validation patients*; then all of them taught the weights that ship. A fifth "
        "of the patients of the recording was never looked at.",
        "",
        "**The first fit on validation patients**, as printed by the command below:",
        "",
        "| horizon | AUROC | AUPRC | prevalence |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "These patients chose the epoch of a net and the calibration, so the figures are a little too good; those of the locked",
        "patients, with intervals and rivals, are in `docs/models.md`.",
        "",
        *_thresholds(manifest),
        "**Known limits.** One group of hospitals, charted hourly: live, a minute's median stands for what was charted. How "
        "often a nurse measured is among the inputs and follows the practice of that site. Expect to lose at another site. "
        "Skin tone, children and pregnancy cannot be judged with this data.",
        "",
        f"    {training.command}",
        "",
    ]
    return "\n".join(lines)


def ensemble_card(manifest: Manifest) -> str:
    """The card of an ensemble, Markdown."""
    training, metrics = manifest.training, manifest.metrics
    members = [
        f"| `{column.name}` {manifest.architecture[column.name]} | {metrics[f'validation_auroc_{column.name}']:.3f} |"
        for column in manifest.inputs
    ]
    horizon = manifest.score_horizon_h
    lines = [
        f"# {manifest.name} {manifest.version}",
        "",
        f"{manifest.summary} The score is a calibrated probability.",
        "",
        f"**Intended use.** Ranks adults in monitored beds by risk, beside NEWS2 and the rules. {_WHAT_IT_IS_NOT}",
        "",
        "**How.** The mean of the logits of the members that have a score, calibrated for exactly those: a member that fails, or",
        "that was taken out, costs a little and not everything. Without any member there is no score. Members are the champions",
        "of these names; the versions below are those it was calibrated with.",
        "",
        f"**Calibrated on** {training.data} ({training.licence}; {training.citation}), on what the members said of the",
        f"validation patients before these taught them; {training.patients:,} patients taught or calibrated a member. A fifth of",
        "the patients of the recording was never looked at.",
        "",
        "**On validation patients**, as printed by the command below:",
        "",
        f"| | AUROC, {horizon:g} h |",
        "| --- | --- |",
        *members,
        f"| all together | {metrics[f'validation_auroc_{horizon:g}h']:.3f} |",
        "",
        f"AUPRC {metrics[f'validation_auprc_{horizon:g}h']:.3f} at a prevalence of "
        f"{metrics[f'validation_prevalence_{horizon:g}h']:.4f}. These patients calibrated it, so the figures are a little "
        "too good; those of the locked patients are in `docs/models.md`.",
        "",
        *_thresholds(manifest),
        "**Known limits.** Those of its members: see their cards. One group of hospitals, charted hourly.",
        "",
        f"    {training.command}",
        "",
    ]
    return "\n".join(lines)


def _thresholds(manifest: Manifest) -> list[str]:
    """When a score alarms, and whether it may."""
    return [
        "| alarms per patient-day (6 h refractory) | score |",
        "| --- | --- |",
        *(f"| {budget} | {value:.4f} |" for budget, value in manifest.thresholds.items()),
        "",
        _FINDING,
        "",
        _GATES,
        "",
    ]
