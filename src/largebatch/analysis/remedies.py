"""Which remedies close the gap between SB and LB, whether they flatten, and what they cost.

Appendix E of the paper says (as recalled) of its remedies that accuracy improves and the minimizer
stays sharp. For every arm:

- `accuracy improves` is decided by the paired difference in testing accuracy to LB and its 95%
  Student interval: `yes` above 0, `no` below 0, else `undecided`;
- `stays sharp` by the share of log(phi_LB / phi_SB) that the remedy closes, full space, and its
  95% set by Fieller: `yes` if all of it lies below one half, `no` if above, else `undecided`. The
  half is our choice: the paper gives no bound.

The statement is `not confirmed` if either part is `no`, else `not measured` if either part is, else
`confirmed` if both are `yes`, else `undecided`.
"""

import math

import pandas as pd

from largebatch import shares
from largebatch.analysis import selection, statistics
from largebatch.analysis.arms import arms, statement_of, words
from largebatch.analysis.verdicts import NO, NOT_MEASURED, UNDECIDED, YES, Part

HALF = 0.5
CONFIRMED, NOT_CONFIRMED = "confirmed", "not confirmed"
SPACES = {"full": "full", "subspace": "subspace"}
_SHARE = ("share", "share_low", "share_high", "share_kind", "pairs")
COLUMNS = [
    *("network", "arm", "remedies", "trials", "failed", "epsilon"),
    *("accuracy_mean", "accuracy_std", "gain", "gain_low", "gain_high"),
    *(f"accuracy_{name}" for name in _SHARE),
    *(f"{s}_{name}" for s in SPACES for name in ("mean", "std", *_SHARE)),
    *("epochs", "passes", "seconds", "rate_factor"),
    *("improves", "stays_sharp", "verdict", "statement", "note"),
]


def remedies_table(frames: dict, settings: dict) -> pd.DataFrame:
    """Return what each arm reached, beside SB and LB.

    Args:
        frames: the complete tidy tables; networks, runs, sharpness and provenance are read.
        settings: epsilons (the first is used) and remedies.

    Returns:
        One row a network and arm, SB and LB first, for networks with remedied runs: remedies (in
        words), trials (completed), failed, epsilon; testing accuracy in percent: accuracy_mean,
        _std, gain (mean of arm - LB over pairs, points) with gain_low, gain_high (95%);
        {accuracy,full,subspace}_share of the gap between LB and SB that is closed, over the
        _pairs (trials with SB, LB and arm), with _share_low, _share_high, _share_kind (see
        `largebatch.shares`), sharpness in log scale; {full,subspace}_mean, _std (phi in percent);
        epochs (mean), passes (gradients of samples / training samples), seconds (of training a
        run, mean), rate_factor (tuned); improves, stays_sharp, verdict (see the module), statement
        (whether the paper made it of this remedy), note.
    """
    rows = []
    for network in selection.network_names(frames):
        runs = frames["runs"]
        if not ((runs["network"] == network) & (runs["role"] == "remedy")).any():
            continue
        measures = _measures(frames, network, settings["epsilons"][0])
        for name in ("sb", "lb", *arms(settings)):
            row = {"network": network, "arm": name, "epsilon": settings["epsilons"][0]}
            row |= _levels(frames, network, name, measures)
            rows.append(row | _comparison(measures, name) | _judgement(measures, name, settings))
    for row in rows:
        row["note"] = _note(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _measures(frames: dict, network: str, epsilon: float) -> dict[str, pd.DataFrame]:
    """Return accuracy, full and subspace: one row a trial, one column a method (completed runs)."""
    runs = selection.completed(frames, network)
    runs = runs[runs["role"].isin(["main", "remedy"])]
    found = {"accuracy": selection.per_trial(runs, "test_accuracy")}
    for space in SPACES:
        rows = selection.sharpness_rows(frames, network, epsilon, space)
        rows = rows.merge(runs[["method", "trial"]], on=["method", "trial"])
        found[space] = selection.per_trial(rows, "sharpness") if len(rows) else pd.DataFrame()
    return found


def _levels(frames: dict, network: str, name: str, measures: dict) -> dict:
    """Return trials, means and costs of one arm."""
    runs = frames["runs"]
    mine = runs[(runs["network"] == network) & (runs["method"] == name)]
    done = mine[mine["status"] == "completed"]
    row = {"trials": len(done), "failed": len(mine) - len(done)}
    for quantity, table in measures.items():
        values = table[name].dropna() if name in table else pd.Series(dtype=float)
        row[f"{quantity}_mean"] = values.mean() if len(values) else math.nan
        row[f"{quantity}_std"] = statistics.sample_std(values)
    samples = frames["networks"].set_index("network").at[network, "train_samples"]
    row["epochs"] = _mean(done, "epochs")
    row["passes"] = _mean(done, "gradients") / samples
    row["rate_factor"] = _mean(done, "tuned_rate_factor")
    row["seconds"] = _seconds(frames["provenance"], network, name, done["trial"])
    return row


def _mean(rows: pd.DataFrame, column: str) -> float:
    return float(rows[column].astype(float).mean()) if column in rows else math.nan


def _seconds(jobs: pd.DataFrame, network: str, name: str, trials: pd.Series) -> float:
    """Return the mean wall time of the training jobs; their place says what they trained."""
    ends = tuple(f"/runs/{network}/{name}/trial{trial}" for trial in trials)
    chosen = [str(job).endswith(ends) for job in jobs["job"]] if ends else []
    found = jobs.loc[chosen, "wall_seconds"].astype(float) if ends else pd.Series(dtype=float)
    return float(found.mean()) if len(found) else math.nan


def _share(table: pd.DataFrame, name: str, logarithmic: bool) -> shares.Share:
    """Return the share of the gap that an arm closes, over the trials with SB, LB and the arm."""
    wide = table.reindex(columns=[name, "lb", "sb"]).dropna()
    close = shares.share_closed_log if logarithmic else shares.share_closed
    return close(wide[name], wide["lb"], wide["sb"])


def _shares(measures: dict, name: str) -> dict[str, shares.Share]:
    return {q: _share(table, name, q != "accuracy") for q, table in measures.items()}


def _gain(measures: dict, name: str) -> statistics.Estimate:
    wide = measures["accuracy"].reindex(columns=list(dict.fromkeys([name, "lb"]))).dropna()
    return statistics.mean_interval(wide[name] - wide["lb"])


def _comparison(measures: dict, name: str) -> dict:
    """Return the gain over LB and the shares closed; LB's gain and both shares are blank."""
    if name == "lb":
        return {}
    gain = _gain(measures, name)
    row = {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
    if name == "sb":
        return row
    for quantity, found in _shares(measures, name).items():
        row |= {
            f"{quantity}_share": found.value,
            f"{quantity}_share_low": found.low,
            f"{quantity}_share_high": found.high,
            f"{quantity}_share_kind": found.kind,
            f"{quantity}_pairs": found.pairs,
            f"{quantity}_infinite": found.infinite,
        }
    return row


def _judgement(measures: dict, name: str, settings: dict) -> dict:
    """Return the columns remedies, improves, stays_sharp, verdict, statement of one arm."""
    if name in ("sb", "lb"):
        return {"remedies": {"sb": "small batch", "lb": "large batch, plain"}[name]}
    study = settings["remedies"]
    remedies = arms(settings)[name]
    improves = Part("gain", _gain(measures, name), low=0.0).verdict
    sharp = stays_sharp(_share(measures["full"], name, True))
    return {
        "remedies": words(remedies, study.get("training", {}).get(name)),
        "improves": improves,
        "stays_sharp": sharp,
        "verdict": verdict(improves, sharp),
        "statement": statement_of(remedies, study.get("keskar", [])),
    }


def stays_sharp(share: shares.Share) -> str:
    """Return whether less than half of the log sharpness is closed, by the rule of this module."""
    if share.kind == shares.NOT_MEASURED:
        return NOT_MEASURED if not share.infinite else UNDECIDED
    return YES if share.below(HALF) else NO if share.above(HALF) else UNDECIDED


def verdict(improves: str, sharp: str) -> str:
    """Return the verdict on "accuracy improves, the minimizer stays sharp"."""
    parts = {improves, sharp}
    if NO in parts:
        return NOT_CONFIRMED
    if NOT_MEASURED in parts:
        return NOT_MEASURED
    return CONFIRMED if parts == {YES} else UNDECIDED


_WHY = {
    shares.OUTSIDE: "the gap may be 0, so the 95% set is no interval",
    shares.UNBOUNDED: "the gap may be 0, so no share is excluded",
    shares.ONE_PAIR: "one complete trial, so no interval",
    shares.NO_GAP: "LB is on average not behind SB in the trials compared",
    shares.NOT_MEASURED: "not measured in any complete trial",
}


def _note(row: dict) -> str:
    """Return why a share is no interval, or over fewer trials than were made."""
    if row["arm"] in ("sb", "lb"):
        return f"{row['failed']} failed" if row["failed"] else ""
    reasons: dict[str, list[str]] = {}
    for quantity, name in (("accuracy", "accuracy"), ("full", "full"), ("subspace", "subspace")):
        if why := _WHY.get(row[f"{quantity}_share_kind"]):
            reasons.setdefault(why, []).append(name)
        if infinite := row[f"{quantity}_infinite"]:
            why = f"{infinite} with a sharpness of 0 left out, so nothing is decided"
            reasons.setdefault(why, []).append(name)
    notes = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    if row["failed"]:
        total = row["trials"] + row["failed"]
        notes.insert(0, f"{row['failed']} of {total} runs failed, which leaves their pairs out")
    return "; ".join(notes)
