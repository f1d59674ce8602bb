"""Means, ratios and rank correlations over trials, each with its 95% interval.

The trials are the sampling units: everything else (epochs, random subspaces, batch sizes) happens
within a trial and is first reduced to one number per trial. Intervals are per comparison, not
adjusted for the number of comparisons.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A location over trials and its interval.

    Args:
        value: the mean, or the geometric mean of ratios; NaN where no trial is finite.
        low, high: ends of the interval; None with fewer than two finite trials.
        count: trials that entered the value.
        above, below: trials left out because their (log) value is +infinity or -infinity. They say
            on which side of everything they lie, so a verdict may not ignore them.
        undefined: trials left out because their value does not exist (NaN).
    """

    value: float
    low: float | None
    high: float | None
    count: int
    above: int = 0
    below: int = 0
    undefined: int = 0

    @property
    def trials(self) -> int:
        """Trials that say anything about the side: the finite and the infinite ones."""
        return self.count + self.above + self.below


def mean_interval(values: Iterable[float], bounds=(-math.inf, math.inf)) -> Estimate:
    """Return the mean m and Student's interval m -+ t(0.975, n - 1) * s / sqrt(n), s with ddof = 1.

    Args:
        values: one number per trial; +-infinity and NaN are counted in the result, not averaged.
        bounds: the range that the quantity can have; the interval is cut there.
    """
    array = np.asarray(list(values), dtype=float)
    finite = array[np.isfinite(array)]
    rest = {
        "above": int(np.sum(array == math.inf)),
        "below": int(np.sum(array == -math.inf)),
        "undefined": int(np.sum(np.isnan(array))),
    }
    n = len(finite)
    if n == 0:
        return Estimate(math.nan, None, None, 0, **rest)
    mean = float(finite.mean())
    if n == 1:
        return Estimate(mean, None, None, 1, **rest)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * finite.std(ddof=1) / math.sqrt(n))
    low, high = max(mean - half, bounds[0]), min(mean + half, bounds[1])
    return Estimate(mean, low, high, n, **rest)


def log_ratios(numerators: Iterable[float], denominators: Iterable[float]) -> np.ndarray:
    """Return log(a / b) trial by trial, for quantities that should be positive.

    Values at or below zero count as zero and NaN stays NaN: a > 0 = b gives +infinity,
    a = 0 < b gives -infinity, and a = b = 0 or a = b = infinity give NaN.

    Args:
        numerators, denominators: one number per trial, of equal length.
    """
    a = np.maximum(np.asarray(list(numerators), dtype=float), 0.0)
    b = np.maximum(np.asarray(list(denominators), dtype=float), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a) - np.log(b)


def geometric_mean_interval(logs: Iterable[float]) -> Estimate:
    """Return exp of `mean_interval` of logarithms: a geometric mean with Student's t on the logs.

    Args:
        logs: natural logarithms of the trials' ratios, as `log_ratios` gives them.
    """
    inner = mean_interval(logs)
    with np.errstate(over="ignore"):  # two trials that disagree wildly: (0, infinity) is the answer
        low = None if inner.low is None else float(np.exp(inner.low))
        high = None if inner.high is None else float(np.exp(inner.high))
        value = float(np.exp(inner.value))
    return Estimate(value, low, high, inner.count, inner.above, inner.below, inner.undefined)


def spearman(x: Iterable[float], y: Iterable[float]) -> float:
    """Return Spearman's rank correlation: Pearson's correlation of the ranks, ties averaged.

    Pairs with a NaN are left out; with fewer than 3 pairs the result is NaN. Where x or y is
    constant there is no monotone relation, and the result is 0.

    Args:
        x, y: paired values of equal length; infinities rank first or last.
    """
    a, b = np.asarray(list(x), dtype=float), np.asarray(list(y), dtype=float)
    keep = ~(np.isnan(a) | np.isnan(b))
    if keep.sum() < 3:
        return math.nan
    ranks = stats.rankdata(a[keep]), stats.rankdata(b[keep])
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(*ranks)[0, 1], -1.0, 1.0))


def sample_std(values: Iterable[float]) -> float:
    """Return the standard deviation with ddof = 1; NaN for fewer than two values.

    Args:
        values: one number per trial.
    """
    array = np.asarray(list(values), dtype=float)
    return float(array.std(ddof=1)) if len(array) > 1 else math.nan
