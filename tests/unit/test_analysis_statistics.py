import math

import numpy as np
import pytest

from largebatch.analysis.statistics import (
    Estimate,
    geometric_mean_interval,
    log_ratios,
    mean_interval,
    permutation_tails,
    rank_correlation,
    spearman,
)
from largebatch.analysis.verdicts import Either, Finding, Part, combine

T1 = 12.706204736  # Student's t, 97.5%, 1 degree of freedom
T4 = 2.776445105  # 4 degrees of freedom


def test_mean_interval_is_students():
    found = mean_interval([1, 2, 3, 4, 5])
    half = T4 * math.sqrt(2.5) / math.sqrt(5)
    assert found.value == 3
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert found.count == found.trials == 5


def test_one_trial_has_no_interval():
    assert mean_interval([7.0]) == Estimate(7.0, None, None, 1)


def test_no_trial_has_no_value():
    found = mean_interval([])
    assert math.isnan(found.value)
    assert (found.low, found.trials) == (None, 0)


def test_values_that_are_not_finite_are_counted_not_averaged():
    found = mean_interval([1.0, 3.0, math.inf, -math.inf, math.inf, math.nan])
    assert (found.value, found.count) == (2.0, 2)
    assert (found.above, found.below, found.undefined, found.trials) == (2, 1, 1, 5)


def test_interval_is_cut_at_the_bounds():
    found = mean_interval([0.0, 1.0], bounds=(0.0, 1.0))
    assert (found.low, found.high) == (0.0, 1.0)


def test_geometric_mean_of_two_ratios():
    found = geometric_mean_interval(np.log([2, 8]))
    assert found.value == pytest.approx(4)
    assert found.low == pytest.approx(4 * 2**-T1)
    assert found.high == pytest.approx(4 * 2**T1)


def test_geometric_mean_of_wildly_different_ratios_has_a_high_end_of_infinity():
    assert geometric_mean_interval([1.0, 200.0]).high == math.inf


def test_log_ratios_of_zero_negative_and_infinite_values():
    found = log_ratios([6, 1, 0, 0, -1, math.inf, math.inf], [2, 0, 1, 0, 3, 1, math.inf])
    expected = [math.log(3), math.inf, -math.inf, math.nan, -math.inf, math.inf, math.nan]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 * 4 / (5 * 24)
        ([1, 2, 3, 4], [1, 1, 2, 3], 4.5 / math.sqrt(5 * 4.5)),  # tied ranks 1.5, 1.5, 3, 4
        ([1, 10, 100, 1000], [5, 4, 3, -9], -1.0),
        ([1, 2, 3, math.nan], [1, 4, 9, 0], 1.0),
        ([1, 2, 3, 4], [5, 5, 5, 5], 0.0),
    ],
)
def test_spearman(x, y, expected):
    assert spearman(x, y) == pytest.approx(expected)


def test_spearman_of_two_points_is_nothing():
    assert math.isnan(spearman([1, 2], [2, 1]))


UP = ([1, 2, 3], [4, 5, 6])  # rho 1
SWAPPED = ([1, 2, 3], [1, 3, 2])  # rho 1/2, as have two of the six orders


@pytest.mark.parametrize(
    ("trials", "low", "high"),
    [
        ([UP], 1, 1 / 6),
        ([UP, UP], 1, 1 / 36),
        ([SWAPPED], 5 / 6, 3 / 6),
        # Sums of two: 2 once, 3/2 in 4 of 36, 1 in 4: 9 of 36 are at least 1, 31 at most.
        ([SWAPPED, SWAPPED], 31 / 36, 9 / 36),
        ([([1, 2, 3], [5, 5, 5])] * 3, 1, 1),
        ([([1, 2, 3, 4], [1, 1, 0, 0])] * 2, 1 / 36, 1),  # ties: 6 different orders
        ([UP, ([1, 2, 3, 4], [1, 2, 3, 4])], 1, 1 / 144),
    ],
)
def test_permutation_tails_are_exact(trials, low, high):
    assert permutation_tails(trials) == pytest.approx((low, high))


def test_permutation_tails_of_many_points_are_normal():
    low, high = permutation_tails([(range(10), range(10))] * 4)  # z = 4 / sqrt(4 / 9) = 6
    assert high == pytest.approx(9.8659e-10, rel=1e-4)
    assert low == pytest.approx(1)


def test_equal_rank_correlations_have_no_interval_but_tails():
    found = rank_correlation([UP, UP, UP])
    assert (found.value, found.low, found.high, found.trials) == (pytest.approx(1), None, None, 3)
    assert found.tails == pytest.approx((1, 1 / 216))
    assert rank_correlation([UP]) == Estimate(pytest.approx(1), None, None, 1)
    spread = rank_correlation([UP, SWAPPED])
    assert spread.tails is None
    assert (spread.low, spread.high) == (-1, 1)  # 0.75 -+ 12.7 * 0.25, cut


def estimate(low, high, **counts):
    return Estimate((low + high) / 2, low, high, 5, **counts)


@pytest.mark.parametrize(
    ("found", "claimed", "verdict"),
    [
        (estimate(1.1, 2), {"low": 1}, "yes"),
        (estimate(0.5, 0.9), {"low": 1}, "no"),
        (estimate(0.9, 2), {"low": 1}, "undecided"),
        (estimate(1, 2), {"low": 1}, "undecided"),  # strict: 1 itself is outside the claim
        (estimate(1, 2), {"low": 1, "strict": False}, "yes"),
        (estimate(-2, -1), {"high": 0}, "yes"),
        (estimate(1, 2), {"high": 0}, "no"),
        (estimate(-1, 1), {"low": -2, "high": 2}, "yes"),
        (estimate(1, 3), {"low": -2, "high": 2}, "undecided"),
        (estimate(2.5, 3), {"low": -2, "high": 2}, "no"),
        (estimate(-4, -3), {"low": -2, "high": 2}, "no"),
        (estimate(1.1, 2, above=1), {"low": 1}, "yes"),
        (estimate(1.1, 2, below=1), {"low": 1}, "undecided"),
        (estimate(0.1, 0.2, above=1), {"low": 1}, "undecided"),
        (estimate(0.1, 0.2, below=1), {"low": 1}, "no"),
        (estimate(-2, -1, above=1), {"high": 0}, "undecided"),
        (Estimate(0.9, None, None, 2, tails=(0.98, 0.025)), {"low": 0}, "yes"),
        (Estimate(0.9, None, None, 2, tails=(0.98, 0.026)), {"low": 0}, "undecided"),
        (Estimate(0.9, None, None, 2, tails=(0.98, 0.025)), {"high": 0}, "no"),
        (Estimate(-0.9, None, None, 2, tails=(0.025, 0.98)), {"high": 0}, "yes"),
        (Estimate(-0.9, None, None, 2, tails=(0.025, 0.98)), {"low": 0, "strict": False}, "no"),
        (Estimate(5.0, None, None, 1), {"low": 1}, "undecided"),
        (Estimate(math.nan, None, None, 0), {"low": 1}, "not measured"),
        (Estimate(math.nan, None, None, 0, above=3), {"low": 1}, "undecided"),
    ],
)
def test_verdict_of_an_interval(found, claimed, verdict):
    assert Part("x", found, **claimed).verdict == verdict


YES = Part("x", estimate(2, 3), low=1)
NO = Part("x", estimate(-3, -2), low=1)
OPEN = Part("x", estimate(0, 2), low=1)
ABSENT = Part("x", mean_interval([]), low=1)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ((YES, YES), "yes"),
        ((YES, OPEN), "undecided"),
        ((YES, NO), "no"),
        ((OPEN, NO), "no"),
        ((YES, ABSENT), "not measured"),
        ((NO, ABSENT), "no"),
        ((Either((NO, YES)),), "yes"),
        ((Either((NO, NO)),), "no"),
        ((Either((NO, OPEN)),), "undecided"),
        ((Either((ABSENT, ABSENT)),), "not measured"),
    ],
)
def test_parts_combine(parts, verdict):
    assert Finding(parts, "Runs").verdict == verdict


def test_a_part_that_cannot_refute_leaves_the_claim_open():
    assert Finding((YES, NO), "Runs", refutable=(0,)).verdict == "undecided"


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        (["yes", "yes"], "yes"),
        (["no", "no"], "no"),
        (["yes", "no"], "undecided"),
        (["yes", "undecided"], "undecided"),
        (["yes", "not measured"], "yes"),
        (["not measured", "not measured"], "not measured"),
        ([], "not measured"),
    ],
)
def test_networks_combine(verdicts, together):
    rows = [
        {"network": f"N{index}", "verdict": verdict, "trials": 2}
        for index, verdict in enumerate(verdicts)
    ]
    assert combine(rows)["verdict"] == together


def test_all_networks_names_who_said_what():
    rows = [
        {"network": "F1", "verdict": "yes", "trials": 5},
        {"network": "C1", "verdict": "no", "trials": 4},
    ]
    found = combine(rows)
    assert found["basis"] == "Networks by verdict: yes: F1; no: C1."
    assert found["trials"] == 9
