"""The tables of remedies as people read them."""

import math

import pandas as pd

from largebatch import shares
from largebatch.analysis.cells import EMPTY, interval, number, plus_minus
from largebatch.analysis.tuning import PREFIX

LABELS = {"sb": "SB", "lb": "LB"}


def percent(share: float) -> str:
    """Return a share as whole percents."""
    return f"{round(100 * share) + 0:,}%" if math.isfinite(share) else EMPTY


def share(kind, value: float, low: float, high: float) -> str:
    """Return a share of a gap with its 95% set, in words where this is no interval.

    Args:
        kind: a word of `largebatch.shares`; NaN or none for LB and SB themselves.
        value, low, high: as in `largebatch.shares.Share`.
    """
    if pd.isna(kind) or kind in ("", shares.NOT_MEASURED):
        return EMPTY
    if kind == shares.NO_GAP:
        return "no gap"
    ends = {
        shares.INTERVAL: lambda: f"{percent(low)}, {percent(high)}",
        shares.OUTSIDE: lambda: f"unbounded: up to {percent(low)} or from {percent(high)}",
        shares.UNBOUNDED: lambda: "unbounded",
        shares.ONE_PAIR: lambda: "one pair",
    }[kind]()
    return f"{percent(value)} [{ends}]"


def share_of(row, quantity: str) -> str:
    """Return `share` of one quantity of a row of the table: accuracy, full or subspace."""
    names = ("share_kind", "share", "share_low", "share_high")
    return share(*(row[f"{quantity}_{name}"] for name in names))


def remedies(row) -> dict:
    """Return the cells of a row of `remedies_table`."""
    trials = number(int(row["trials"]))
    trials += f" ({int(row['failed'])} failed)" if row["failed"] else ""
    gain = interval(row["gain"], row["gain_low"], row["gain_high"], 2)
    return {
        "network": row["network"],
        "arm": LABELS.get(row["arm"], row["arm"]),
        "trials": trials,
        "testing accuracy, %": plus_minus(row["accuracy_mean"], row["accuracy_std"], 2),
        "− LB, points [95%]": gain,
        "accuracy gap closed [95%]": share_of(row, "accuracy"),
        f"sharpness, full, ε = {row['epsilon']:g}, %": plus_minus(
            row["full_mean"], row["full_std"]
        ),
        "closed, log scale [95%]": share_of(row, "full"),
        "sharpness, subspace, %": plus_minus(row["subspace_mean"], row["subspace_std"]),
        "closed there, log scale [95%]": share_of(row, "subspace"),
        "epochs": number(row["epochs"], 1),
        "gradients, passes over the data": number(row["passes"], 1),
        "seconds a run": number(row["seconds"], 1),
        "rate factor": number(row["rate_factor"]),
        "accuracy improves": _text(row["improves"]),
        "stays sharp": _text(row["stays_sharp"]),
        "Appendix E statement": _statement(row),
        "what it is": row["remedies"],
        "note": "" if pd.isna(row["note"]) else row["note"],
    }


def _statement(row) -> str:
    if pd.isna(row["verdict"]):
        return EMPTY
    return f"{row['verdict']} ({row['statement']})"


def _text(value) -> str:
    return EMPTY if pd.isna(value) else value


def tuning(row) -> dict:
    """Return the cells of a row of `tuning_table`."""
    cells = {"network": row["network"], "method": LABELS.get(row["arm"], row["arm"])}
    chosen = number(row["chosen"]) if pd.isna(row["chosen"]) else f"× {row['chosen']:g}"
    cells["chosen"] = chosen + (" (edge of the grid)" if row["at_edge"] else "")
    cells["trials"] = number(int(row["trials"]))
    for name in row.index[row.index.str.startswith(PREFIX)]:
        value = row[name]
        failed = not pd.isna(value) and math.isinf(value)
        title = f"× {name.removeprefix(PREFIX)}: validation accuracy, %"
        cells[title] = "diverged" if failed else number(value, 2)
    return cells
