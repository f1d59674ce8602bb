"""Numbers as text: rounded to what they tell, with their spread or interval."""

import math

import numpy as np
import pandas as pd

EMPTY = "–"


def decimals(value: float, digits: int = 3) -> int:
    """Return how many decimals show `value` with `digits` significant digits (0 to 8)."""
    if not math.isfinite(value) or value == 0:
        return digits - 1
    return min(8, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def number(value, places: int | None = None) -> str:
    """Return a number as text: `places` decimals, or three significant digits; empty ones as –."""
    if value is None or pd.isna(value):
        return EMPTY
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and (abs(value) < 1e-5 or abs(value) >= 1e7):
        return f"{value:.2e}"
    return f"{value:,.{decimals(value) if places is None else places}f}"


def plus_minus(mean, std, places: int | None = None) -> str:
    """Return `mean ± std`, both with the decimals that the mean asks for; one value has no ±."""
    if pd.isna(mean):
        return EMPTY
    places = decimals(mean) if places is None else places
    shown = number(mean, places)
    return shown if pd.isna(std) else f"{shown} ± {number(std, places)}"


def interval(value, low, high, places: int | None = None) -> str:
    """Return `value [low, high]`; without an interval the value alone."""
    if pd.isna(value):
        return EMPTY
    places = decimals(value) if places is None else places
    shown = number(value, places)
    return shown if pd.isna(low) else f"{shown} [{number(low, places)}, {number(high, places)}]"
