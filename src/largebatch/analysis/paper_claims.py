"""The paper's own value for each of the ten claims, for a network or for all six."""

import pandas as pd

from largebatch.analysis.paper_numbers import published

SAYINGS = {
    5: "yes, on all six networks (Fig. 3, one pair each)",
    6: "yes, on F2 and C1 (Fig. 2)",
    7: "yes, on F2 and C1 (Fig. 4)",
    8: "yes, on F2 and C1 (Fig. 5)",
    9: "ratio of 3 to 10 (Sec. 3)",
    10: "yes, on F2 and C1 (Fig. 6)",
}
HEADLINE_EPSILON = 1e-3  # the paper's larger box, the one that claims 3 and 4 are stated for


def paper_text(claim: int, network: str | None, settings: dict) -> str:
    """Return the paper's value or range as text.

    Args:
        claim: 1 to 10.
        network: ours; its row of the paper is settings["paper_network"][network]. None, or a
            network without such a row, gives the paper's range over its six networks.
        settings: paper_network and same_data_as_paper.
    """
    if claim in SAYINGS:
        return SAYINGS[claim]
    values = _effects(claim)
    unit, kind = _SHOWN[claim]
    reference = settings.get("paper_network", {}).get(network) if network else None
    if reference:
        same = settings.get("same_data_as_paper", {}).get(network, False)
        data = "same data" if same else "other data"
        return f"{_number(claim, values[reference])}{unit}{kind} ({reference}, {data})"
    low, high = (_number(claim, end) for end in (values.min(), values.max()))
    first = unit if unit == "%" else ""
    return f"{low}{first} to {high}{unit}{kind} (six networks)"


def _effects(claim: int) -> pd.Series:
    """Return by network: 1 lower training accuracy, 2 testing gap, 3 and 4 ratio of the means."""
    numbers = published(table={1: 2, 2: 2, 3: 3, 4: 4}[claim])
    if claim <= 2:
        quantity = {1: "training_accuracy", 2: "testing_accuracy"}[claim]
        numbers = numbers[numbers["quantity"] == quantity]
    else:
        numbers = numbers[(numbers["epsilon"] / HEADLINE_EPSILON - 1).abs() < 1e-6]
    wide = numbers.pivot(index="network", columns="method", values="mean")
    if claim == 1:
        return wide.min(axis=1)
    return wide["SB"] - wide["LB"] if claim == 2 else wide["LB"] / wide["SB"]


def _number(claim: int, value: float) -> str:
    return f"{value:.2f}" if claim <= 2 else f"{value:.3g}"


_SHOWN = {  # unit, and what the number is
    1: ("%", ", the lower of SB and LB"),
    2: (" points", ""),
    3: (" times, the ratio of the means", ""),
    4: (" times, the ratio of the means", ""),
}
