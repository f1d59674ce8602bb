"""Our means beside the published ones."""

import math

import pandas as pd

from largebatch.analysis.paper_numbers import published

COLUMNS = [
    *("network", "paper_network", "table", "quantity", "epsilon", "method", "ours_mean"),
    *("ours_std", "ours_trials", "paper_mean", "paper_std", "difference"),
    "standardized_difference",
]


def standardized_difference(mean: float, std: float, other: float, other_std: float) -> float:
    """Return Cohen's d, (mean - other) / sqrt((std^2 + other_std^2) / 2); NaN without any spread.

    Args:
        mean, std: ours.
        other, other_std: the paper's.
    """
    spread = math.sqrt((std**2 + other_std**2) / 2)
    return (mean - other) / spread if spread > 0 else math.nan


def paper_table(tables: dict[str, pd.DataFrame], settings: dict) -> pd.DataFrame:
    """Return our Tables 2 to 4 beside the paper's rows of the same network family.

    The difference and the standardized difference (Cohen's d, in run-to-run standard deviations)
    are given only where the data are the paper's too; elsewhere the numbers are for orientation.

    Args:
        tables: table2, table3, table4 of `make_tables`.
        settings: paper_network (which row of the paper, or None) and same_data_as_paper.

    Returns:
        One row a published number: network, paper_network, table, quantity, epsilon, method,
        ours_mean, ours_std, ours_trials, paper_mean, paper_std, difference,
        standardized_difference.
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
    mean, std = ours[f"{method}_mean"], ours[f"{method}_std"]
    row = {
        "network": network,
        "paper_network": reference,
        "table": number.table,
        "quantity": number.quantity,
        "epsilon": number.epsilon,
        "method": method,
        "ours_mean": mean,
        "ours_std": std,
        "ours_trials": ours[f"{method}_trials"],
        "paper_mean": number.mean,
        "paper_std": number.std,
        "difference": math.nan,
        "standardized_difference": math.nan,
    }
    if same:
        row["difference"] = mean - number.mean
        row["standardized_difference"] = standardized_difference(mean, std, number.mean, number.std)
    return row
