"""Our means beside the published ones."""

import math

import pandas as pd

from largebatch.analysis.paper_numbers import TRIALS, published

COLUMNS = [
    *("network", "paper_network", "table", "quantity", "epsilon", "method", "ours_mean"),
    *("ours_std", "ours_trials", "paper_mean", "paper_std", "difference"),
    *("standardized_difference", "note"),
]


def standardized_difference(mean: float, std: float, trials: int, other: float, other_std: float):
    """Return Cohen's d: (mean - other) / s, s the pooled standard deviation of single runs.

    s^2 = ((n - 1) std^2 + (5 - 1) other_std^2) / (n + 5 - 2); for n = 5 this is the mean of both
    variances. NaN where one side has no standard deviation (one trial) or s is 0.

    Args:
        mean, std, trials: ours; n = trials.
        other, other_std: the paper's, of five trials.
    """
    if math.isnan(std) or math.isnan(other_std) or trials < 2:
        return math.nan
    squares = (trials - 1) * std**2 + (TRIALS - 1) * other_std**2
    spread = math.sqrt(squares / (trials + TRIALS - 2))
    return (mean - other) / spread if spread > 0 else math.nan


def paper_table(tables: dict[str, pd.DataFrame], settings: dict) -> pd.DataFrame:
    """Return our Tables 2 to 4 beside the paper's rows of the same network family.

    The difference (ours - the paper's) and the standardized difference (Cohen's d, in run-to-run
    standard deviations) are given only where the data are the paper's too; elsewhere the numbers
    are for orientation.

    Args:
        tables: table2, table3, table4 of `make_tables`.
        settings: paper_network (which row of the paper, or None) and same_data_as_paper.

    Returns:
        One row a published number: network, paper_network, table, quantity, epsilon, method,
        ours_mean, ours_std, ours_trials, paper_mean, paper_std, difference,
        standardized_difference, note (why one of these is blank, or what weakens it).
    """
    rows = []
    for network, reference in settings.get("paper_network", {}).items():
        if reference is None:
            continue
        same = settings.get("same_data_as_paper", {}).get(network, False)
        for number in published(reference).itertuples():
            ours = _ours(tables[f"table{number.table}"], network, number)
            if ours is not None:
                rows.append(_row(network, reference, number, ours, same))
    return pd.DataFrame(rows, columns=COLUMNS)


def _ours(table: pd.DataFrame, network: str, number):
    """Return our row that belongs to a published number, or None."""
    if table.empty:
        return None
    rows = table[table["network"] == network]
    if "quantity" in rows:
        rows = rows[rows["quantity"] == number.quantity]
    else:
        rows = rows[(rows["epsilon"] / number.epsilon - 1).abs() < 1e-6]
    return None if rows.empty else rows.iloc[0]


def _row(network: str, reference: str, number, ours, same: bool) -> dict:
    method = number.method.lower()
    mean, std, trials = (ours[f"{method}_{kind}"] for kind in ("mean", "std", "trials"))
    difference = mean - number.mean if same else math.nan
    effect = standardized_difference(mean, std, trials, number.mean, number.std)
    return {
        "network": network,
        "paper_network": reference,
        "table": number.table,
        "quantity": number.quantity,
        "epsilon": number.epsilon,
        "method": method,
        "ours_mean": mean,
        "ours_std": std,
        "ours_trials": trials,
        "paper_mean": number.mean,
        "paper_std": number.std,
        "difference": difference,
        "standardized_difference": effect if same else math.nan,
        "note": _note(same, trials, std, number.std),
    }


def _note(same: bool, trials: int, std: float, paper_std: float) -> str:
    """Return why a difference is blank, or what weakens it; nothing where neither is so."""
    if not trials:
        return "no run of ours completed"
    if not same:
        return "other data"
    if trials < 2:
        return "one trial, so no standard deviation"
    if std == paper_std == 0:
        return "no spread on either side"
    return "the paper's spread rounds to 0" if paper_std == 0 else ""
