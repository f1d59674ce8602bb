"""Appendix C: how badly must small batches scale, so that large ones save time?

The model is idealized. P workers do I_s iterations of batch B_s with the parallel efficiency
f_s(P), between 0 and 1, or I_l iterations of batch B_l with perfect efficiency. An iteration takes
a time in proportion to its batch, so LB is faster where

    I_l / I_s < B_s / (f_s(P) B_l),   that is where   f_s(P) < f* = (I_s B_s) / (I_l B_l).

I_s and I_l are measured: the iterations until a run first reaches the testing accuracy of the last
iterate of the LB run of its trial, so that both get there unless SB never does. Accuracy is known
after each epoch only, so I is a whole number of epochs, of ceil(N / B) iterations each.
"""

import math

import numpy as np
import pandas as pd

from largebatch.analysis import selection, statistics

METHODS = ("sb", "lb")


def epochs_to(target: float, accuracies: pd.Series) -> float:
    """Return the epochs after which a run first has at least the accuracy `target`.

    Args:
        target: accuracy; NaN (not measured) gives NaN.
        accuracies: testing accuracy by epoch in rising order, epoch 0 being before training.

    Returns:
        A whole number; infinity where the run never gets there.
    """
    if math.isnan(target):
        return math.nan
    reached = accuracies.index[accuracies >= target]
    return float(reached[0]) if len(reached) else math.inf


def pair_table(frames: dict, network: str) -> pd.DataFrame:
    """Return one row a trial whose two runs completed: target, {sb,lb}_iterations, {sb,lb}_epochs.

    Args:
        frames: the complete tidy tables.
        network: its name.
    """
    runs = selection.completed(frames, network)
    trials = selection.pairs(runs, "test_accuracy").index
    runs = runs[runs["trial"].isin(trials)].set_index(["trial", "method"])
    table = frames["history"]
    table = table[table["network"] == network].sort_values("epoch").set_index("epoch")
    rows = []
    for trial in trials:
        mine = table[table["trial"] == trial]
        curves = {m: mine.loc[mine["method"] == m, "test_accuracy"] for m in METHODS}
        target = float(curves["lb"].iloc[-1]) if len(curves["lb"]) else math.nan
        row = {"trial": trial, "target": target}
        for method in METHODS:
            run = runs.loc[(trial, method)]
            per_epoch = int(run["steps"]) // max(int(run["epochs"]), 1)
            epochs = epochs_to(target, curves[method])
            row |= {f"{method}_epochs": epochs, f"{method}_iterations": epochs * per_epoch}
        rows.append(row)
    columns = ["trial", "target", *(f"{m}_{k}" for m in METHODS for k in ("epochs", "iterations"))]
    return pd.DataFrame(rows, columns=columns)


def performance_table(frames: dict) -> pd.DataFrame:
    """Return the break-even parallel efficiency f* of SB (Appendix C).

    Returns:
        One row a network: target_mean, target_std (testing accuracy, percent, over all pairs),
        sb_batch_size, lb_batch_size; over the trials that count, those in which both runs get
        there, {sb,lb}_iterations (geometric means), {sb,lb}_epochs_min, _max, iteration_ratio
        (I_l / I_s) and break_even (geometric means) with break_even_low, _high (95%), and trials;
        censored (trials in which SB never gets there), undefined (in which the start is there
        already), pairs (completed), reading (one sentence).
    """
    rows = [_row(frames, network) for network in selection.network_names(frames)]
    return selection.as_frame(rows)


def _row(frames: dict, network: str) -> dict:
    pairs = pair_table(frames, network)
    row = frames["networks"].set_index("network").loc[network]
    sizes = {method: int(row[f"{method}_batch_size"]) for method in METHODS}
    samples = {method: pairs[f"{method}_iterations"] * sizes[method] for method in METHODS}
    logs = statistics.log_ratios(samples["sb"], samples["lb"])
    found = statistics.geometric_mean_interval(logs)
    counted = pairs[np.isfinite(logs)]
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    result = {"network": network, "target_mean": pairs["target"].mean()}
    result["target_std"] = statistics.sample_std(pairs["target"])
    result |= {f"{method}_batch_size": size for method, size in sizes.items()}
    for method in METHODS:
        iterations = counted[f"{method}_iterations"].astype(float)
        mean = statistics.geometric_mean_interval(np.log(iterations)).value
        result[f"{method}_iterations"] = mean
        result[f"{method}_epochs_min"] = counted[f"{method}_epochs"].min()
        result[f"{method}_epochs_max"] = counted[f"{method}_epochs"].max()
    result["iteration_ratio"] = result["lb_iterations"] / result["sb_iterations"]
    result |= {"break_even": found.value, "break_even_low": low, "break_even_high": high}
    result |= {"trials": found.count, "censored": found.above, "undefined": found.undefined}
    reason = selection.lacking(frames, network, pairs, "testing accuracy by epoch")
    return result | {"pairs": len(pairs), "reading": reading(found, len(pairs), reason)}


def reading(found: statistics.Estimate, pairs: int, lacking: str = "") -> str:
    """Return what an estimate of f* says, in one sentence.

    Args:
        found: f* over the trials; `above` counts those in which SB never gets there.
        pairs: completed pairs of runs.
        lacking: why there is no pair.
    """
    if not pairs:
        return f"not measured: {lacking}"
    notes = []
    if found.above:
        notes.append(f"SB never got there in {found.above} of {pairs} trials")
    if found.undefined:
        notes.append(f"the start was there already in {found.undefined} of {pairs} trials")
    if not found.count:
        return f"no break-even: {'; '.join(notes)}"
    if found.value < 1:
        text = f"LB is faster where SB's parallel efficiency is below {found.value:.2g}"
    else:
        text = "LB is faster even if SB scales perfectly"
    if found.low is None:
        notes.insert(0, "one trial, no interval")
    elif found.low <= 1 <= found.high:
        notes.insert(0, "the interval holds 1: open whether LB can be slower at all")
    return "; ".join([text, *notes])
