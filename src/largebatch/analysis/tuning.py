"""The grids on which learning rates were chosen, with what each factor reached on validation."""

import math

import pandas as pd

from largebatch.analysis import selection
from largebatch.analysis.arms import arms

COLUMNS = ["network", "arm", "chosen", "at_edge", "trials"]
PREFIX = "accuracy_"


def tuning_table(frames: dict, settings: dict) -> pd.DataFrame:
    """Return the validation accuracy of every factor of the learning rate, arm by arm.

    Args:
        frames: the complete tidy tables; networks and tuning are read.
        settings: remedies, for the order of the arms.

    Returns:
        One row a network and method that was tuned: chosen (factor), at_edge (whether it is the
        smallest or largest of several, so that a better one may lie beyond), trials, and for every
        factor f of the grids a column accuracy_f: mean validation accuracy in percent; infinitely
        negative where a run of it failed, NaN where the factor was not tried.
    """
    table = frames["tuning"]
    factors = sorted(table["factor"].astype(float).unique())
    rows = []
    for network in selection.network_names(frames):
        for name in ("sb", "lb", *arms(settings)):
            mine = table[(table["network"] == network) & (table["method"] == name)]
            if len(mine):
                rows.append({"network": network, "arm": name} | _row(mine, factors))
    return pd.DataFrame(rows, columns=[*COLUMNS, *(f"{PREFIX}{f:g}" for f in factors)])


def _row(rows: pd.DataFrame, factors: list[float]) -> dict:
    tried = sorted(rows["factor"].unique())
    chosen = rows.loc[rows["chosen"].astype(bool), "factor"].unique()
    best = float(chosen[0]) if len(chosen) == 1 else math.nan
    result = {"chosen": best, "at_edge": len(tried) > 1 and best in (tried[0], tried[-1])}
    result["trials"] = rows["trial"].nunique()
    for factor in factors:
        mine = rows[rows["factor"] == factor]
        failed = mine["status"].ne("completed").any()
        accuracy = -math.inf if failed else mine["validation_accuracy"].astype(float).mean()
        result[f"{PREFIX}{factor:g}"] = accuracy
    return result
