"""Which rows of the tidy tables a figure shows."""

import numpy as np
import pandas as pd

MAIN = ("sb", "lb")


def network_names(frames: dict[str, pd.DataFrame]) -> list[str]:
    """Return the networks in the order of the study."""
    return frames["networks"]["network"].tolist()


def panel_title(frames: dict[str, pd.DataFrame], network: str) -> str:
    """Return a network's name with its data set, such as `F1 · mnist1d`."""
    table = frames["networks"].set_index("network")
    return f"{network} · {table.at[network, 'dataset']}"


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that were trained to their end."""
    return runs[runs["status"] == "completed"]


def failures(runs: pd.DataFrame, networks, methods=None, trials=None) -> list[str]:
    """Name the failed runs of these networks, methods and trials: `F1 sb trial 2 (diverged)`."""
    failed = runs[(runs["status"] != "completed") & runs["network"].isin(list(networks))]
    if methods is not None:
        failed = failed[failed["method"].isin(list(methods))]
    if trials is not None:
        failed = failed[failed["trial"].isin(list(trials))]
    return [
        f"{row.network} {row.method} trial {row.trial} ({row.status})"
        for row in failed.itertuples()
    ]


def role_runs(runs: pd.DataFrame, network: str, role: str) -> pd.DataFrame:
    """Return a network's runs of one role (`main`, `sweep`, `warm`), failed ones included."""
    return runs[(runs["network"] == network) & (runs["role"] == role)]


def networks_with(frames: dict[str, pd.DataFrame], role: str, what: str) -> tuple[list[str], str]:
    """Return the networks that have runs of a role, and the note that names the others.

    Args:
        frames: the tidy tables `networks` and `runs`.
        role: `sweep` or `warm`.
        what: what the others lack, as it reads in the note; no note where all lack it.
    """
    everyone = network_names(frames)
    networks = [name for name in everyone if not role_runs(frames["runs"], name, role).empty]
    absent = [name for name in everyone if name not in networks]
    return networks, f"No {what} for {', '.join(absent)}." if absent and networks else ""


def final_sharpness(sharpness: pd.DataFrame, epsilon: float, network: str) -> pd.DataFrame:
    """Return the full-space sharpness (solver `best`) of a network's final iterates."""
    return _full(sharpness, epsilon, network).query("epoch.isna()")


def iterate_sharpness(sharpness: pd.DataFrame, epsilon: float, network: str) -> pd.DataFrame:
    """Return the full-space sharpness (solver `best`) of a network's iterates along its runs."""
    return _full(sharpness, epsilon, network).query("epoch.notna()")


def measured_epsilon(rows: pd.DataFrame, headline: float) -> float:
    """Return the headline epsilon, or the first one measured where the headline was not."""
    found = rows["epsilon"].dropna()
    if found.empty or np.isclose(found, headline).any():
        return headline
    return float(found.iloc[0])


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of the positive values: the middle on a log axis (NaN: none)."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else float("nan")


def with_sharpness(runs: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """Put beside each run of one network the sharpness of its final iterate (NaN: not measured)."""
    values = measures[["method", "trial", "sharpness"]]
    return runs.merge(values, on=["method", "trial"], how="left")


def _full(sharpness: pd.DataFrame, epsilon: float, network: str) -> pd.DataFrame:
    return sharpness[
        (sharpness["network"] == network)
        & (sharpness["space"] == "full")
        & (sharpness["solver"] == "best")
        & np.isclose(sharpness["epsilon"].astype(float), epsilon)
    ]
