import math

import numpy as np
import pytest
from frame_edits import FULL, final, of, put, with_trajectories
from frames import make_frames, make_settings

from largebatch.analysis import judge
from largebatch.analysis.claims_sweeps import warm_methods

SETTINGS = make_settings(("F1",))


def verdict_of(frames, claim):
    return of(judge(frames, SETTINGS), claim)


@pytest.fixture
def frames():
    return make_frames(("F1",), trials=3)


# Claim 7


def test_batch_size_correlation_per_trial(frames):
    accuracy = {16: 72.0, 32: 73.0, 64: 70.0, 128: 69.0, 400: 60.0, 800: 58.0}
    for size, value in accuracy.items():
        put(frames["runs"], "test_accuracy", value, batch_size=size)
    found = verdict_of(frames, 7)
    assert found.effect == pytest.approx(-(1 - 6 * 2 / (6 * 35)))  # one swap of neighbours
    assert found.verdict == "yes"
    for size in accuracy:
        put(frames["runs"], "test_accuracy", float(size), batch_size=size)
    assert verdict_of(frames, 7).verdict == "no"


def test_warm_runs_are_no_part_of_the_sweep(frames):
    before = verdict_of(frames, 7).basis
    put(frames["runs"], "test_accuracy", 99.0, role="warm")
    assert verdict_of(frames, 7).basis == before


def test_three_batch_sizes_are_too_few_for_a_rank_correlation():
    found = verdict_of(make_frames(("F1",), trials=3, sweep=(128,)), 7)
    assert (found.verdict, found.trials) == ("not measured", 0)


def test_flat_sharpness_leaves_claim_7_open(frames):
    put(frames["sharpness"], "sharpness", 5.0, space="full")
    assert verdict_of(frames, 7).verdict == "undecided"


def test_a_diverged_sweep_run_is_named_and_left_out():
    found = verdict_of(make_frames(("F1",), trials=3, diverged=[("F1", "b64", 1)]), 7)
    assert (found.verdict, found.trials) == ("yes", 3)
    assert "left out because they diverged: F1/b64/trial1" in found.basis


# Claim 8


def warm(frames, values):
    """Set testing accuracy to 90 (SB) and 80 (LB), sharpness to 1 and 100, and warm starts."""
    final(frames)
    levels = {"sb": (90.0, 1.0), "lb": (80.0, 100.0)} | values
    for method, (accuracy, sharpness) in levels.items():
        noise = np.array([0.0, 0.1, 0.2])
        put(frames["runs"], "test_accuracy", accuracy + noise, method=method)
        put(frames["sharpness"], "sharpness", sharpness * (1 + noise**2), method=method, **FULL)


GOOD, BAD = (89.0, 1.5), (81.0, 90.0)


@pytest.mark.parametrize(
    ("early", "late", "verdict"),
    [
        (BAD, GOOD, "yes"),
        (BAD, BAD, "no"),  # never gets there
        (GOOD, GOOD, "undecided"),  # the grid of k starts too late to see a "before"
        (BAD, (89.0, 90.0), "no"),  # accurate, but sharp
    ],
)
def test_warm_start(frames, early, late, verdict):
    warm(frames, {"warm1": early, "warm30": late})
    found = verdict_of(frames, 8)
    assert found.verdict == verdict
    assert found.effect == pytest.approx(late[0] - 85)
    assert "after 30 SB epochs" in found.effect_name


def test_a_single_warm_start_is_held_against_cold_lb():
    frames = make_frames(("F1",), trials=3, warm=(30,))
    warm(frames, {"warm30": GOOD})
    assert verdict_of(frames, 8).verdict == "yes"
    assert list(warm_methods(frames["runs"])) == [0, 30]


# Claim 10


def along(frames, method, sharpness_of_loss):
    table = frames["sharpness"]
    where = table["epoch"].notna() & (table["method"] == method)
    table.loc[where, "sharpness"] = table.loc[where, "base"].map(sharpness_of_loss)


@pytest.mark.parametrize(
    ("lb", "sb", "verdict"),
    [
        (lambda loss: 5 - loss, lambda loss: 3 + loss, "yes"),
        (lambda loss: 5 - loss, lambda loss: 3.0, "yes"),  # SB stays
        (lambda loss: 5 - loss, lambda loss: 5 - loss, "no"),  # SB rises, too
        (lambda loss: 5 + loss, lambda loss: 3 + loss, "no"),
    ],
)
def test_trajectory(frames, lb, sb, verdict):
    with_trajectories(frames, 3)
    along(frames, "lb", lb)
    along(frames, "sb", sb)
    assert verdict_of(frames, 10).verdict == verdict


def test_a_single_trajectory_gives_an_estimate_and_no_verdict(frames):
    found = verdict_of(frames, 10)
    assert (found.verdict, found.effect, found.trials) == ("undecided", pytest.approx(-1), 1)
    assert math.isnan(found.low)


@pytest.mark.parametrize(("trial", "named"), [(0, True), (1, False)])
def test_only_a_failure_of_the_trajectorys_trial_is_named(trial, named):
    frames = make_frames(("F1",), trials=3, diverged=[("F1", "lb", trial)])
    assert ("F1/lb/trial" in verdict_of(frames, 10).basis) is named
