"""How much of the gap between two methods a third one closes, with Fieller's 95% interval.

On the ground floor, for tables and figures state the same numbers and may not import each other.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
# What can be said of a share. Fieller's set is an interval only where the gap differs from 0.
INTERVAL = "interval"  # all shares from low to high
OUTSIDE = "outside"  # all shares up to low and all from high on: the gap may be 0, of either sign
UNBOUNDED = "unbounded"  # every share: the gap is not significant, and nothing is excluded
ONE_PAIR = "one pair"  # a value without any interval
NO_GAP = "no gap"  # the mean gap is not positive: there is nothing of which to close a share
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Share:
    """A share of a gap: 0 is where the large-batch runs are, 1 where the small-batch runs are.

    Args:
        kind: one of the words of this module; says how to read the other fields.
        value: ratio of the mean gain to the mean gap; NaN without a gap or a pair.
        low, high: ends of the interval, or of what is excluded (kind `outside`); NaN for none.
        gap: the mean gap, in the units of the quantity (nats where it is a logarithm).
        pairs: trials that entered.
        infinite: trials that were left out, a value of theirs being infinite.
    """

    kind: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    gap: float = math.nan
    pairs: int = 0
    infinite: int = 0

    def contains(self, share: float) -> bool:
        """Return whether Fieller's set holds a share; only where there is such a set."""
        if self.kind == UNBOUNDED:
            return True
        inside = self.low <= share <= self.high
        return inside if self.kind == INTERVAL else share <= self.low or share >= self.high

    def below(self, bound: float) -> bool:
        """Return whether all that cannot be excluded lies below `bound`."""
        return self.kind == INTERVAL and not self.infinite and self.high < bound

    def above(self, bound: float) -> bool:
        """Return whether all that cannot be excluded lies above `bound`."""
        return self.kind == INTERVAL and not self.infinite and self.low > bound


def share_closed(remedied, large, small) -> Share:
    """Return mean(remedied - large) / mean(small - large) over paired trials.

    The 95% set is Fieller's (1954): all shares r for which the mean of (remedied - large) -
    r (small - large) does not differ from 0 by Student's t test. It is exact if the pairs of
    differences are normal. Where the mean gap differs from 0 by the same test, it is an interval;
    else it is the whole line or the line less an interval, and no finite interval has the level.

    Args:
        remedied, large, small: one number a trial, in the same order. Trials in which one is NaN
            are skipped; those in which a difference is infinite or does not exist are counted.
    """
    columns = [np.asarray(list(values), dtype=float) for values in (remedied, large, small)]
    known = ~np.isnan(columns).any(axis=0)
    remedied, large, small = (column[known] for column in columns)
    with np.errstate(invalid="ignore"):
        gains, gaps = remedied - large, small - large
    finite = np.isfinite(gains) & np.isfinite(gaps)
    gains, gaps = gains[finite], gaps[finite]
    counts = {"pairs": len(gaps), "infinite": int((~finite).sum())}
    if not len(gaps):
        return Share(NOT_MEASURED, **counts)
    gain, gap = float(gains.mean()), float(gaps.mean())
    if gap <= 0:
        return Share(NO_GAP, gap=gap, **counts)
    if len(gaps) == 1:
        return Share(ONE_PAIR, gain / gap, gap=gap, **counts)
    kind, low, high = _fieller(gains, gaps)
    return Share(kind, gain / gap, low, high, gap, **counts)


def share_closed_log(remedied, large, small) -> Share:
    """Return mean(log large - log remedied) / mean(log large - log small), as `share_closed`.

    Args:
        remedied, large, small: positive numbers such as sharpness, one a trial; what is not
            positive counts as 0, of which the logarithm is infinite.
    """
    with np.errstate(divide="ignore"):
        logs = [
            -np.log(np.maximum(np.asarray(list(values), dtype=float), 0.0))
            for values in (remedied, large, small)
        ]
    return share_closed(*logs)


def _fieller(gains: np.ndarray, gaps: np.ndarray) -> tuple[str, float, float]:
    """Solve a r^2 - 2 b r + c <= 0, the t test of `share_closed` squared, for the shares r."""
    n = len(gaps)
    square = float(stdtrit(n - 1, (1 + LEVEL) / 2)) ** 2 / n
    (gain_variance, covariance), (_, gap_variance) = np.cov(gains, gaps)
    a = gaps.mean() ** 2 - square * gap_variance
    b = gains.mean() * gaps.mean() - square * covariance
    c = gains.mean() ** 2 - square * gain_variance
    discriminant = b * b - a * c
    if a > 0:  # then the ratio of the means is a solution, and rounding alone can say otherwise
        root = math.sqrt(max(discriminant, 0.0))
        return INTERVAL, float((b - root) / a) + 0.0, float((b + root) / a) + 0.0
    if a == 0 or discriminant <= 0:
        return UNBOUNDED, math.nan, math.nan
    root = math.sqrt(discriminant)
    return OUTSIDE, float((b + root) / a) + 0.0, float((b - root) / a) + 0.0
