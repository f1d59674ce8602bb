"""Shares of a gap: limits in closed form, Student's test on a grid, and simulated coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from largebatch.shares import (
    INTERVAL,
    NO_GAP,
    NOT_MEASURED,
    ONE_PAIR,
    OUTSIDE,
    UNBOUNDED,
    share_closed,
    share_closed_log,
)

LARGE = np.array([60.0, 61.0, 59.5, 60.2])
SMALL = np.array([70.0, 70.5, 70.1, 69.0])


def test_the_ends_of_the_scale_are_exact():
    for remedied, expected in ((LARGE, 0.0), (SMALL, 1.0)):
        found = share_closed(remedied, LARGE, SMALL)
        assert (found.kind, found.value, found.low, found.high) == (INTERVAL, *3 * [expected])
        assert found.pairs == 4
    assert found.gap == pytest.approx((SMALL - LARGE).mean())


def test_equal_gaps_leave_students_interval():
    gains = np.array([1.0, 2.0, 3.0])
    found = share_closed(gains, np.zeros(3), np.full(3, 10.0))
    half = 4.302652730 / math.sqrt(3)  # gains have s = 1, t(2) = 4.30
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.2, (2 - half) / 10, (2 + half) / 10)
    )


def test_a_gap_that_may_be_zero_gives_no_interval():
    large, small = np.zeros(4), np.array([1.0, -1.0, 2.0, -1.5])
    found = share_closed(large, large, small)  # gains of 0 fit every share
    assert (found.kind, found.value) == (UNBOUNDED, 0)
    assert math.isnan(found.low)
    assert not found.below(0.5)
    gains = np.array([10.0, 10.1, 9.9, 10.0])  # a sure gain over a gap of any sign: not near 0
    found = share_closed(gains, large, small)
    assert found.kind == OUTSIDE
    assert found.low < 0 < found.high
    assert not found.contains(0)
    assert found.contains(1e6)
    assert found.contains(-1e6)
    assert not found.above(0)


def test_without_a_gap_or_pairs_there_is_no_share():
    assert share_closed([1.0, 2.0], [3.0, 3.0], [2.0, 2.5]).kind == NO_GAP
    assert math.isnan(share_closed([1.0], [3.0], [2.0]).value)
    assert share_closed([], [], []).kind == NOT_MEASURED
    one = share_closed([62.0, math.nan], [60.0, 60.0], [70.0, 70.0])
    assert (one.kind, one.value, one.pairs) == (ONE_PAIR, 0.2, 1)


def test_the_log_scale_turns_factors_into_shares():
    large, small = np.array([64.0, 32.0, 16.0]), np.array([4.0, 2.0, 1.0])
    found = share_closed_log(large / 2, large, small)  # a factor 2 of 16: a quarter in log scale
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.gap == pytest.approx(math.log(16))
    assert found.below(0.5)
    sharper = share_closed_log(2 * large, large, small)
    assert sharper.value == pytest.approx(-0.25)


def test_a_sharpness_of_zero_is_counted_and_decides_nothing():
    large, small = np.array([64.0, 32.0, 16.0]), np.array([4.0, 2.0, 1.0])
    found = share_closed_log([32.0, 16.0, 0.0], large, small)
    assert (found.pairs, found.infinite) == (2, 1)
    assert found.value == pytest.approx(0.25)
    assert found.high < 0.5
    assert not found.below(0.5)


@pytest.mark.parametrize("seed", range(30))
def test_fiellers_set_is_what_the_t_test_keeps(seed):
    rng = np.random.default_rng(seed)
    gaps = rng.normal(1.0 if seed % 3 else 3.0, 1.0, 5)
    gaps += max(0.0, 0.1 - gaps.mean())  # a gap there must be
    gains = 0.4 * gaps + rng.normal(0, 0.7, 5)
    found = share_closed(gains, np.zeros(5), gaps)
    for share in (-1e4, -30, -2, -0.7, 0, 0.2, 0.39, 0.8, 1.3, 4, 50, 1e4):
        kept = stats.ttest_1samp(gains - share * gaps, 0.0).pvalue >= 0.05
        assert found.contains(share) == kept


def test_the_kinds_all_occur_among_these_draws():
    kinds = set()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        gaps = rng.normal(1.0, 1.0, 5)
        kinds.add(share_closed(0.4 * gaps + rng.normal(0, 0.7, 5), np.zeros(5), gaps).kind)
    assert kinds == {INTERVAL, OUTSIDE, UNBOUNDED, NO_GAP}


@pytest.mark.parametrize("gap", [10.0, 2.5])
def test_the_set_holds_the_true_share_in_95_of_100_studies(gap):
    """Trials are correlated through LB, as in a study; draws without a gap count as they fall."""
    rng = np.random.default_rng(5)
    studies, hits, told = 4000, 0, 0
    for _ in range(studies):
        large = rng.normal(0, 1, 5)
        small = gap + rng.normal(0, 1, 5)
        remedied = 0.3 * gap + rng.normal(0, 1, 5)
        found = share_closed(remedied, large, small)
        if found.kind != NO_GAP:
            told += 1
            hits += found.contains(0.3)
    assert told > 0.99 * studies
    assert hits / told == pytest.approx(0.95, abs=0.01)  # 3 standard errors
