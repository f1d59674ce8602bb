"""From the tidy tables to one value per trial, SB beside LB."""

import numpy as np
import pandas as pd

KEY = ["network", "method", "trial"]
COLUMNS = {
    "networks": "network family architecture dataset input_shape classes train_samples "
    "test_samples parameters batchnorm sb_batch_size lb_batch_size",
    "runs": "network method trial role batch_size status stop_reason message epochs steps "
    "warm_epochs train_loss train_accuracy test_loss test_accuracy distance",
    "history": "network method trial epoch train_loss train_accuracy test_loss test_accuracy",
    "sharpness": "network method trial epoch space dimension draw epsilon solver sharpness base "
    "maximum evaluations iterations at_bound stalled message",
    "interpolation": "network path trial alpha train_loss train_accuracy test_loss test_accuracy",
    "tuning": "network method factor trial train_accuracy validation_accuracy validation_loss "
    "status chosen",
    "provenance": "job stage wall_seconds",
}


def complete(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables that are read here; one absent or without rows gets its columns alone.

    Args:
        frames: tables by name.
    """
    tables = {}
    for name, columns in COLUMNS.items():
        frame = frames.get(name)
        if frame is None or frame.empty:
            frame = pd.DataFrame(columns=columns.split())
        tables[name] = frame
    return tables


def as_frame(rows: list[dict]) -> pd.DataFrame:
    """Return rows as a frame; without rows it still has a column, so that its csv can be read."""
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["network"])


def network_names(frames: dict) -> list[str]:
    """Return the networks in the order of the study."""
    return frames["networks"]["network"].tolist()


def completed(frames: dict, network: str) -> pd.DataFrame:
    """Return the rows of `runs` of one network that were trained to their end."""
    runs = frames["runs"]
    return runs[(runs["network"] == network) & (runs["status"] == "completed")]


def per_trial(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return `column` with one row a trial and one column a method; gaps are NaN.

    Several rows of one run (random draws of the subspace) are averaged.
    """
    values = rows.assign(**{column: rows[column].astype(float)})
    return values.pivot_table(index="trial", columns="method", values=column, dropna=False)


def pairs(rows: pd.DataFrame, column: str, methods=("sb", "lb")) -> pd.DataFrame:
    """Return `per_trial` restricted to `methods` and to the trials that have all of them.

    Args:
        rows: rows of `runs` or `sharpness` of one network, one value (or several draws) a run.
        column: what to take.
        methods: columns of the result, in this order.
    """
    wide = per_trial(rows, column) if len(rows) else pd.DataFrame()
    return wide.reindex(columns=list(methods)).dropna()


def sharpness_rows(
    frames: dict, network: str, epsilon: float, space: str = "full", solver: str = "best"
) -> pd.DataFrame:
    """Return the rows of `sharpness` at the final iterates of one network.

    Args:
        frames: the tidy tables.
        network: its name.
        epsilon: size of the box C_eps.
        space: full or subspace.
        solver: best or paper.
    """
    table = frames["sharpness"]
    chosen = (table["network"] == network) & (table["space"] == space) & (table["solver"] == solver)
    chosen &= table["epoch"].isna() & np.isclose(table["epsilon"].astype(float), epsilon)
    return table[chosen]


def trajectory_rows(frames: dict, network: str, epsilon: float) -> pd.DataFrame:
    """Return the rows of `sharpness` along the runs of one network (full space, best solver)."""
    table = frames["sharpness"]
    chosen = (table["network"] == network) & (table["space"] == "full") & table["epoch"].notna()
    chosen &= (table["solver"] == "best") & np.isclose(table["epsilon"].astype(float), epsilon)
    return table[chosen]


def failed_runs(frames: dict, network: str, roles=("main",), trials=None) -> tuple[str, ...]:
    """Return the failed runs of one network, such as `F1/lb/trial2 (diverged)`.

    Args:
        frames: the tidy tables.
        network: its name.
        roles: main, sweep, warm: which runs to look at.
        trials: which trials to look at; None for all.
    """
    runs = frames["runs"]
    rows = runs[(runs["network"] == network) & (runs["status"] != "completed")]
    rows = rows[rows["role"].isin(roles)]
    if trials is not None:
        rows = rows[rows["trial"].isin(trials)]
    return tuple(
        f"{row.network}/{row.method}/trial{row.trial} ({row.status})" for row in rows.itertuples()
    )


def lacking(frames: dict, network: str, measured, what: str = "the quantity") -> str:
    """Return why no pair of runs can be judged by, or nothing where one can.

    Args:
        frames: the tidy tables.
        network: its name.
        measured: what was found, one entry a pair; anything with a length.
        what: the quantity, for pairs that completed and yet have none.
    """
    if len(measured):
        return ""
    good = completed(frames, network)
    trials = {method: set(good.loc[good["method"] == method, "trial"]) for method in ("sb", "lb")}
    both = len(trials["sb"] & trials["lb"])
    if both:
        return f"{what} was measured in none of the {both} pairs of completed runs"
    counts = " and ".join(f"{len(found)} {method.upper()}" for method, found in trials.items())
    return f"no trial has both runs completed ({counts} runs did)"
