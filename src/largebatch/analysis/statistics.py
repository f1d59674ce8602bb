"""Means, ratios and rank correlations over trials, each with its 95% interval.

The trials are the sampling units: everything else (epochs, random subspaces, batch sizes) happens
within a trial and is first reduced to one number per trial. Intervals are per comparison, not
adjusted for the number of comparisons.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

LEVEL = 0.95
EXACT_POINTS = 8  # up to 8! = 40,320 orders of the points of a trial are enumerated
GRID = 10_000  # steps a unit of correlation, on which the permutation distributions are added


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
        tails: in place of an interval, the one-sided p values of a permutation test: that of a
            value so low and that of a value so high. None where there was no such test.
    """

    value: float
    low: float | None
    high: float | None
    count: int
    above: int = 0
    below: int = 0
    undefined: int = 0
    tails: tuple[float, float] | None = None

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


def rank_correlation(trials: Sequence[tuple[Iterable[float], Iterable[float]]]) -> Estimate:
    """Return the mean over trials of Spearman's correlation, with Student's interval.

    Over few points all trials often have the very same correlation. Student's interval would then
    have no width and claim a certainty that is not there: instead of an interval the result has the
    `tails` of `permutation_tails`. One trial has neither.

    Args:
        trials: (x, y) for every trial, at least 3 pairs without NaN each.
    """
    values = [spearman(x, y) for x, y in trials]
    estimate = mean_interval(values, (-1.0, 1.0))
    if estimate.low is None or np.ptp(values) > 1e-9:
        return estimate
    return replace(estimate, low=None, high=None, tails=permutation_tails(trials))


def permutation_tails(
    trials: Sequence[tuple[Iterable[float], Iterable[float]]],
) -> tuple[float, float]:
    """Return P(sum of the trials' rank correlations <= the observed one), and that of >=.

    Under the hypothesis that within each trial every order of y is equally likely. The distribution
    is exact up to 8 points a trial (convolved over trials; values that differ by less than the
    grid's 0.0001 a trial count as equal, which makes p larger, never smaller); with more points it
    is the normal one with the exact variance, the sum of 1 / (points - 1).

    Args:
        trials: (x, y) for every trial, at least 3 pairs without NaN each.
    """
    units = [(_unit_ranks(x), _unit_ranks(y)) for x, y in trials]
    observed = sum(float(a @ b) for a, b in units)
    if max(len(a) for a, _ in units) > EXACT_POINTS:
        variance = sum(1 / (len(a) - 1) for a, b in units if a.any() and b.any())
        z = observed / math.sqrt(variance) if variance else 0.0
        return (float(stats.norm.cdf(z)), float(stats.norm.sf(z))) if variance else (1.0, 1.0)
    sums, chances = np.zeros(1, dtype=int), np.ones(1)
    for a, b in units:
        orders = np.array(list(itertools.permutations(b)))
        places, counts = np.unique(np.rint(orders @ a * GRID).astype(int), return_counts=True)
        sums, place = np.unique(np.add.outer(sums, places), return_inverse=True)
        weights = np.outer(chances, counts / counts.sum())
        chances = np.bincount(place.ravel(), weights.ravel())
    slack = len(units)
    low = chances[sums <= observed * GRID + slack].sum()
    high = chances[sums >= observed * GRID - slack].sum()
    return min(1.0, float(low)), min(1.0, float(high))


def _unit_ranks(values: Iterable[float]) -> np.ndarray:
    """Return centred ranks of length 1, or zeros where all values are equal."""
    ranks = stats.rankdata(np.asarray(list(values), dtype=float))
    ranks = ranks - ranks.mean()
    length = np.linalg.norm(ranks)
    return ranks / length if length > 0 else ranks


def sample_std(values: Iterable[float]) -> float:
    """Return the standard deviation with ddof = 1; NaN for fewer than two values.

    Args:
        values: one number per trial.
    """
    array = np.asarray(list(values), dtype=float)
    return float(array.std(ddof=1)) if len(array) > 1 else math.nan
