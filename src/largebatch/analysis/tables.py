"""The paper's tables and those that make them trustworthy, from the tidy tables of a study.

Numbers stay numbers here; `present` renders them. Means and standard deviations (ddof = 1) are over
the completed runs of a method; gaps and ratios are over the trials in which both runs completed.
"""

import math

import numpy as np
import pandas as pd

from largebatch.analysis import selection, statistics
from largebatch.analysis.comparison import paper_table
from largebatch.analysis.convergence import convergence_table
from largebatch.analysis.paper_numbers import on_the_same_data
from largebatch.analysis.performance import performance_table
from largebatch.analysis.remedies import remedies_table
from largebatch.analysis.tuning import tuning_table

METHODS = ("sb", "lb")
FAILURE_COLUMNS = [
    *("network", "method", "trial", "role", "batch_size", "status", "epochs", "message"),
]


def make_tables(frames: dict[str, pd.DataFrame], settings: dict) -> dict[str, pd.DataFrame]:
    """Return the tables of a study by name.

    Args:
        frames: the tidy tables networks, runs, history, sharpness, interpolation, and of a study
            with remedies tuning and provenance.
        settings: epsilons, paper_network, same_data_as_paper and, if there, remedies are used.

    Returns:
        table1 (networks and data), table2 (accuracy), table3 and table4 (sharpness in the full
        space and in random subspaces), distances (Section 3), appendix_c (break-even parallel
        efficiency), convergence, failures, remedies and tuning (without rows where a study has
        none), and paper (ours beside the published values).
    """
    frames = selection.complete(frames)
    settings = on_the_same_data(frames, settings)
    epsilons = settings["epsilons"]
    tables = {
        "table1": _networks(frames),
        "table2": accuracy_table(frames),
        "table3": sharpness_table(frames, epsilons, "full"),
        "table4": sharpness_table(frames, epsilons, "subspace"),
        "distances": distance_table(frames),
        "appendix_c": performance_table(frames),
        "convergence": convergence_table(frames),
        "failures": _failures(frames),
        "remedies": remedies_table(frames, settings),
        "tuning": tuning_table(frames, settings),
    }
    return tables | {"paper": paper_table(tables, settings)}


def _networks(frames) -> pd.DataFrame:
    table = frames["networks"].copy()
    table.insert(1, "type", table["family"].astype(str).str.replace("_", " "))
    table["input_shape"] = table["input_shape"].astype(str)  # csv makes a number of "40"
    table["lb_percent"] = 100 * table["lb_batch_size"] / table["train_samples"]
    return table.drop(columns="family")


def _failures(frames) -> pd.DataFrame:
    runs = frames["runs"]
    return runs.loc[runs["status"] != "completed", FAILURE_COLUMNS].reset_index(drop=True)


def _summary(values: pd.DataFrame) -> dict:
    """Return mean, standard deviation and count of each method's column."""
    row = {}
    for method in METHODS:
        present = values[method].dropna() if method in values else pd.Series(dtype=float)
        row[f"{method}_mean"] = present.mean() if len(present) else math.nan
        row[f"{method}_std"] = statistics.sample_std(present)
        row[f"{method}_trials"] = len(present)
    return row


def _ends(name: str, estimate: statistics.Estimate) -> dict:
    """Return an estimate as the columns `name`, `name_low`, `name_high`; no interval is NaN."""
    low, high = (math.nan if end is None else end for end in (estimate.low, estimate.high))
    return {name: estimate.value, f"{name}_low": low, f"{name}_high": high}


def accuracy_table(frames: dict) -> pd.DataFrame:
    """Return Table 2: accuracy in percent of the last iterates.

    Returns:
        One row a network and quantity (training_accuracy, testing_accuracy): {sb,lb}_mean, _std,
        _trials, and gap (mean of SB - LB over pairs) with gap_low, gap_high (95%), pairs.
    """
    rows = []
    for network in selection.network_names(frames):
        runs = selection.completed(frames, network)
        for quantity, column in (
            ("training_accuracy", "train_accuracy"),
            ("testing_accuracy", "test_accuracy"),
        ):
            pairs = selection.pairs(runs, column)
            gap = statistics.mean_interval(pairs["sb"] - pairs["lb"])
            row = {"network": network, "quantity": quantity}
            row |= _summary(selection.per_trial(runs, column))
            rows.append(row | _ends("gap", gap) | {"pairs": gap.trials})
    return selection.as_frame(rows)


def sharpness_table(frames: dict, epsilons: list[float], space: str) -> pd.DataFrame:
    """Return Table 3 (`space` full) or Table 4 (`space` subspace): phi of Metric 2.1 in percent.

    A run's value is the mean over its random draws of the subspace (the full space has one).

    Returns:
        One row a network and epsilon: dimension, draws, then of the solver `best` {sb,lb}_mean,
        _std, _trials, _draw_std (root mean square over runs of the standard deviation over draws;
        Table 4 only), ratio (geometric mean of LB / SB over pairs) with ratio_low, ratio_high,
        pairs; and of the solver `paper` {sb,lb}_paper_mean, _paper_std, _paper_trials,
        _paper_stalled (measurements under half of `best`) out of _paper_measured.
    """
    rows = []
    for network in selection.network_names(frames):
        for epsilon in epsilons:
            best = selection.sharpness_rows(frames, network, epsilon, space, "best")
            best = best[best["method"].isin(METHODS)]
            if best.empty:
                continue
            pairs = selection.pairs(best, "sharpness")
            ratio = statistics.geometric_mean_interval(
                statistics.log_ratios(pairs["lb"], pairs["sb"])
            )
            row = {"network": network, "epsilon": epsilon, "dimension": best["dimension"].iloc[0]}
            row["draws"] = best["draw"].nunique()
            row |= _summary(selection.per_trial(best, "sharpness"))
            if space == "subspace":
                row |= {f"{method}_draw_std": _draw_std(best, method) for method in METHODS}
            row |= _ends("ratio", ratio) | {"pairs": ratio.trials}
            paper = selection.sharpness_rows(frames, network, epsilon, space, "paper")
            rows.append(row | _paper_solver(paper))
    return selection.as_frame(rows)


def _draw_std(rows: pd.DataFrame, method: str) -> float:
    runs = rows[rows["method"] == method].groupby("trial")["sharpness"]
    variances = runs.var(ddof=1).dropna()
    return math.sqrt(variances.mean()) if len(variances) else math.nan


def _paper_solver(rows: pd.DataFrame) -> dict:
    wide = selection.per_trial(rows, "sharpness") if len(rows) else pd.DataFrame()
    result = {}
    for name, value in _summary(wide).items():
        method, _, kind = name.partition("_")
        result[f"{method}_paper_{kind}"] = value
    for method in METHODS:
        mine = rows[rows["method"] == method]
        result[f"{method}_paper_stalled"] = int(mine["stalled"].eq(True).sum())
        result[f"{method}_paper_measured"] = len(mine)
    return result


def distance_table(frames: dict) -> pd.DataFrame:
    """Return the distances ||x - x0||_2 of the last iterates from their start (Section 3).

    Returns:
        One row a network: {sb,lb}_mean, _std, _trials, ratio (geometric mean of SB / LB over pairs)
        with ratio_low, ratio_high (95%), ratio_mean, ratio_std, ratio_min, ratio_max, pairs.
    """
    rows = []
    for network in selection.network_names(frames):
        runs = selection.completed(frames, network)
        pairs = selection.pairs(runs, "distance")
        logs = statistics.log_ratios(pairs["sb"], pairs["lb"])
        ratio = statistics.geometric_mean_interval(logs)
        ratios = np.exp(logs[np.isfinite(logs)])
        row = {"network": network} | _summary(selection.per_trial(runs, "distance"))
        row |= _ends("ratio", ratio)
        row["ratio_mean"] = ratios.mean() if len(ratios) else math.nan
        row["ratio_std"] = statistics.sample_std(ratios)
        row["ratio_min"] = ratios.min() if len(ratios) else math.nan
        row["ratio_max"] = ratios.max() if len(ratios) else math.nan
        rows.append(row | {"pairs": ratio.trials})
    return selection.as_frame(rows)
