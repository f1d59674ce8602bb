"""Edits of the synthetic tables of `frames`, and how the tests of the claims read the verdicts."""

import pandas as pd
from frames import make_settings

from largebatch.analysis import judge

SETTINGS = make_settings(("F1",))
FULL = {"space": "full", "epsilon": 0.001, "solver": "best"}
SWAP = {"sb": "lb", "lb": "sb"}


def put(frame, column, values, **where):
    """Write `values` into the rows of `frame` that match `where`, in their order."""
    chosen = pd.Series(True, index=frame.index)
    for key, value in where.items():
        chosen &= frame[key] == value
    frame.loc[chosen, column] = values


def final(frames):
    """Drop the sharpness along the runs, so that `put` reaches the final iterates alone."""
    frames["sharpness"] = frames["sharpness"][frames["sharpness"]["epoch"].isna()].copy()
    return frames["sharpness"]


def with_trajectories(frames, trials):
    """Copy the trajectories of trial 0 to the trials 1, 2, ..."""
    table = frames["sharpness"]
    along = table[table["epoch"].notna()]
    copies = [along.assign(trial=trial) for trial in range(1, trials)]
    frames["sharpness"] = pd.concat([table, *copies], ignore_index=True)


def verdict_of(frames, claim):
    return of(judge(frames, SETTINGS), claim)


def of(claims, claim, network="F1"):
    return claims[(claims["claim"] == claim) & (claims["network"] == network)].iloc[0]
