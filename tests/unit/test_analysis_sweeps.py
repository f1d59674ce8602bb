import math

import numpy as np
import pytest
from frame_edits import FULL, final, put, verdict_of, with_trajectories
from frames import make_frames

from largebatch.analysis.claims_sweeps import warm_methods


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


@pytest.mark.parametrize(("trials", "verdict"), [(3, "yes"), (2, "undecided")])
def test_three_batch_sizes_decide_by_permutations_from_three_trials_on(trials, verdict):
    frames = make_frames(("F1",), trials=trials, sweep=(128,))
    found = verdict_of(frames, 7)
    assert (found.verdict, found.effect, found.trials) == (verdict, pytest.approx(-1), trials)
    assert math.isnan(found.low)
    p = 6**-trials  # one order of 3! in every trial
    assert f"so no interval (permutation test: p = {p:.2g} for so low, 1 for so high" in found.basis


def test_two_batch_sizes_are_too_few_for_a_rank_correlation(frames):
    runs = frames["runs"]
    frames["runs"] = runs[runs["batch_size"].isin([32, 128])]
    found = verdict_of(frames, 7)
    assert (found.verdict, found.trials) == ("not measured", 0)
    assert "a trial has at most 2 batch sizes with testing accuracy, at least 3" in found.basis


def test_flat_sharpness_leaves_claim_7_open(frames):
    put(frames["sharpness"], "sharpness", 5.0, space="full")
    assert verdict_of(frames, 7).verdict == "undecided"


def test_a_diverged_sweep_run_is_named_and_left_out():
    found = verdict_of(make_frames(("F1",), trials=3, diverged=[("F1", "b64", 1)]), 7)
    assert (found.verdict, found.trials) == ("yes", 3)
    assert "left out: F1/b64/trial1 (diverged)" in found.basis


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


def test_a_warm_start_that_never_began_is_named_and_left_out():
    begun = {"trials": 3, "warm": (1, 30)}
    found = verdict_of(make_frames(("F1",), **begun, not_started=[("F1", "warm30", 1)]), 8)
    assert found.trials == 2
    assert "left out: F1/warm30/trial1 (not started)" in found.basis
    apart = [("F1", "warm30", 0), ("F1", "warm30", 1), ("F1", "warm1", 2)]
    found = verdict_of(make_frames(("F1",), **begun, not_started=apart), 8)
    assert found.verdict == "not measured"
    assert "in no trial SB, LB and the warm starts after 1 and 30 SB epochs all" in found.basis


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
        # SB rises from the second measured epoch on, and yet ends below its start.
        (lambda loss: 5 - loss, lambda loss: 9.0 if loss > 2 else 5 - loss, "yes"),
        # LB the same: this is no rise.
        (lambda loss: 9.0 if loss > 2 else 5 - loss, lambda loss: 3 + loss, "no"),
        (lambda loss: 5 - loss, lambda loss: 5 - loss, "no"),  # SB rises, too
        (lambda loss: 5 + loss, lambda loss: 3 + loss, "no"),
    ],
)
def test_trajectory(frames, lb, sb, verdict):
    with_trajectories(frames, 3)
    along(frames, "lb", lb)
    along(frames, "sb", sb)
    assert verdict_of(frames, 10).verdict == verdict


def test_trajectory_states_the_test_and_both_ends(frames):
    with_trajectories(frames, 3)
    table = frames["sharpness"]
    chosen = table["epoch"].notna()
    for method, values in {"lb": (2.0, 8.0), "sb": (4.0, 1.0)}.items():
        ends = np.geomspace(*values, 11)
        for trial in range(3):
            mine = chosen & (table["method"] == method) & (table["trial"] == trial)
            table.loc[mine, "sharpness"] = ends[: mine.sum()]
    found = verdict_of(frames, 10)
    assert "(LB sharpness from 2 to 8, SB sharpness from 4 to 1, LB / SB 8 times" in found.basis
    assert "LB runs -1 in every one of 3 trials, so no interval" in found.basis
    assert "LB runs, last epoch measured / first 4 times" in found.basis
    assert "SB runs, last epoch measured / first 0.25 times" in found.basis
    assert "(together yes)" in found.basis


def test_two_epochs_are_too_few_for_a_trajectory(frames):
    table = frames["sharpness"]
    frames["sharpness"] = table[table["epoch"].isna() | table["epoch"].isin([3, 30])]
    found = verdict_of(frames, 10)
    assert found.verdict == "not measured"
    assert "at most 2 measured epochs along LB runs, at least 3 are needed" in found.basis


def test_a_single_trajectory_gives_an_estimate_and_no_verdict(frames):
    found = verdict_of(frames, 10)
    assert (found.verdict, found.effect, found.trials) == ("undecided", pytest.approx(-1), 1)
    assert math.isnan(found.low)


@pytest.mark.parametrize(("trial", "named"), [(0, True), (1, False)])
def test_only_a_failure_of_the_trajectorys_trial_is_named(trial, named):
    frames = make_frames(("F1",), trials=3, diverged=[("F1", "lb", trial)])
    assert ("F1/lb/trial" in verdict_of(frames, 10).basis) is named
