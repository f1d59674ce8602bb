import math

import numpy as np
import pandas as pd
import pytest
from frame_edits import FULL, SETTINGS, SWAP, final, of, put, verdict_of, with_trajectories
from frames import make_frames, make_settings

from largebatch.analysis import headline, judge, present, to_markdown
from largebatch.analysis.claims_pairs import drop_from_peak, rise, smallest_step


@pytest.fixture
def frames():
    return make_frames(("F1",), trials=3)


def test_a_study_as_the_paper_has_it_confirms_all_ten(frames):
    with_trajectories(frames, 3)
    claims = judge(frames, SETTINGS)
    assert claims["claim"].tolist() == [claim for claim in range(1, 11) for _ in range(2)]
    assert claims["network"].tolist() == ["F1", "all networks"] * 10
    assert set(claims["verdict"]) == {"yes"}
    assert (claims["basis"].str.count(r"\.$") == 1).all()


def test_swapping_sb_and_lb_refutes_what_it_should(frames):
    with_trajectories(frames, 3)
    for name in ("runs", "history", "sharpness"):
        frames[name]["method"] = frames[name]["method"].replace(SWAP)
    frames["interpolation"]["alpha"] = 1 - frames["interpolation"]["alpha"]
    claims = judge(frames, SETTINGS)
    verdicts = {claim: of(claims, claim).verdict for claim in (2, 3, 4, 5, 9, 10)}
    assert set(verdicts.values()) == {"no"}, verdicts


def test_equal_methods_decide_nothing(frames):
    values = {"sb": [4.0, 5.0, 6.0], "lb": [5.0, 6.0, 4.0]}
    final(frames)
    for method, numbers in values.items():
        put(frames["runs"], "test_accuracy", numbers, method=method)
        put(frames["runs"], "distance", numbers, method=method)
        put(frames["sharpness"], "sharpness", numbers, method=method, **FULL)
    claims = judge(frames, SETTINGS)
    assert [of(claims, claim).verdict for claim in (2, 3, 9)] == ["undecided"] * 3


# Claim 1


@pytest.mark.parametrize(
    ("sb", "lb", "verdict"),
    [
        ([99.0, 99.1, 99.2], [98.5, 98.6, 98.7], "yes"),
        ([99.0, 99.1, 99.2], [97.0, 97.1, 97.2], "no"),  # LB under 98
        ([99.9, 99.9, 99.9], [98.0, 97.9, 98.3], "undecided"),
        ([98.0, 98.0, 98.0], [98.0, 98.0, 98.0], "yes"),  # at least 98
    ],
)
def test_training_accuracy(frames, sb, lb, verdict):
    put(frames["runs"], "train_accuracy", sb, method="sb")
    put(frames["runs"], "train_accuracy", lb, method="lb")
    found = verdict_of(frames, 1)
    assert found.verdict == verdict
    assert found.effect == pytest.approx(min(np.mean(sb), np.mean(lb)))


# Claims 2, 3, 4, 9


def test_testing_accuracy_gap_is_paired(frames):
    put(frames["runs"], "test_accuracy", [60.0, 70.0, 80.0], method="sb")
    put(frames["runs"], "test_accuracy", [59.0, 68.0, 77.0], method="lb")
    found = verdict_of(frames, 2)
    half = 4.302652730 / math.sqrt(3)  # gaps 1, 2, 3
    assert (found.effect, found.low, found.high) == pytest.approx((2, 2 - half, 2 + half))
    assert (found.verdict, found.trials, found.unit) == ("undecided", 3, "points")
    assert found.paper == "0.22 points (F1, other data)"
    assert verdict_of(frames, 1).paper == "99.66%, the lower of SB and LB (F1, other data)"
    assert verdict_of(frames, 3).paper == "167 times, the ratio of the means (F1, other data)"


def test_sharpness_ratio_is_a_geometric_mean(frames):
    put(final(frames), "sharpness", [1.0, 1.0, 1.0], method="sb", **FULL)
    put(frames["sharpness"], "sharpness", [4.0, 8.0, 16.0], method="lb", **FULL)
    found = verdict_of(frames, 3)
    spread = math.exp(4.302652730 * math.log(2) / math.sqrt(3))
    assert (found.effect, found.low) == pytest.approx((8, 8 / spread))
    assert found.verdict == "yes"


@pytest.mark.parametrize(("zero", "verdict"), [("sb", "yes"), ("lb", "undecided")])
def test_zero_sharpness_counts_on_its_side(frames, zero, verdict):
    put(final(frames), "sharpness", [1.0, 1.0, 1.0], method="sb", **FULL)
    put(frames["sharpness"], "sharpness", [8.0, 9.0, 8.5], method="lb", **FULL)
    put(frames["sharpness"], "sharpness", 0.0, method=zero, trial=2, **FULL)
    found = verdict_of(frames, 3)
    assert found.effect == pytest.approx(math.sqrt(72))
    assert (found.verdict, found.trials) == (verdict, 3)
    assert "1 of 3 trials at" in found.basis


def test_subspace_claim_uses_the_mean_over_draws():
    frames = make_frames(("F1",), trials=2, draws=2)
    where = FULL | {"space": "subspace"}
    put(frames["sharpness"], "sharpness", [1.0, 3.0, 2.0, 2.0], method="sb", **where)
    put(frames["sharpness"], "sharpness", [5.0, 7.0, 1.0, 11.0], method="lb", **where)
    assert verdict_of(frames, 4).effect == pytest.approx(3)


def test_distance_ratio(frames):
    put(frames["runs"], "distance", [8.0, 8.0, 8.0], method="sb")
    put(frames["runs"], "distance", [1.0, 2.0, 4.0], method="lb")
    found = verdict_of(frames, 9)
    assert found.effect == pytest.approx(4)
    assert found.paper == "ratio of 3 to 10 (Sec. 3)"


# Claim 5


def test_smallest_step_lies_on_the_grid_around_both_minimizers():
    assert smallest_step(np.linspace(-1, 2, 25)) == 0.125
    assert smallest_step([-0.2, 0.0, 0.2, 0.8, 1.0, 1.1, 1.2]) == 0.2
    assert smallest_step([0.0, 0.5, 1.0]) is None


def test_rise_of_a_parabola_and_of_an_overflow():
    curve = pd.Series({-0.5: 5.0, 0.0: 1.0, 0.5: 2.0, 1.0: 1.0, 1.5: math.nan})
    assert rise(curve, 0.0, 0.5) == 2.5
    assert rise(curve, 1.0, 0.5) == math.inf


def line(frames, losses):
    """Set the training loss of trial t to losses[t](alpha)."""
    table = frames["interpolation"]
    for trial, loss in enumerate(losses):
        where = (table["path"] == "linear") & (table["trial"] == trial)
        table.loc[where, "train_loss"] = [loss(alpha) for alpha in table.loc[where, "alpha"]]


def valleys(left, right):
    return lambda alpha: left * alpha**2 if alpha < 0.5 else right * (alpha - 1) ** 2


def test_line_rise(frames):
    line(frames, [valleys(1, 2), valleys(1, 4), valleys(1, 8)])
    found = verdict_of(frames, 5)
    assert found.effect == pytest.approx(4)
    line(frames, [valleys(4, 1), valleys(5, 1), valleys(6, 1)])
    assert verdict_of(frames, 5).verdict == "no"


def test_line_with_a_loss_that_overflows_beside_lb(frames):
    line(frames, [valleys(1, 7), valleys(1, 8), lambda a: math.nan if a > 1 else a**2])
    found = verdict_of(frames, 5)
    assert found.effect == pytest.approx(math.sqrt(56))
    assert (found.verdict, found.trials) == ("yes", 3)
    line(frames, [valleys(1, 7), valleys(1, 8), lambda a: math.inf if a < 0 else (a - 1) ** 2])
    assert verdict_of(frames, 5).verdict == "undecided"


def test_infinite_losses_far_away_do_not_matter():
    near = judge(make_frames(("F1",)), SETTINGS)
    far = judge(make_frames(("F1",), infinite=True), SETTINGS)
    assert of(far, 5).effect == of(near, 5).effect


# Claim 6


def test_drop_from_peak():
    accuracies = [50.0] * 10 + [80.0] * 10 + [70.0] * 10
    assert drop_from_peak(accuracies) == pytest.approx(10)
    assert drop_from_peak(range(20)) == 0
    assert math.isnan(drop_from_peak([80.0] * 19))


@pytest.mark.parametrize(
    ("drops", "verdict"),
    [([0.1, 0.2, 0.3], "yes"), ([2.0, 2.1, 2.2], "no"), ([0.5, 1.5, 0.9], "undecided")],
)
def test_no_overfitting(frames, drops, verdict):
    for trial, drop in enumerate(drops):
        curve = [0.0] + [90.0] * 20 + [90.0 - drop] * 10
        put(frames["history"], "test_accuracy", curve, method="lb", trial=trial)
    found = verdict_of(frames, 6)
    assert found.verdict == verdict
    assert found.effect == pytest.approx(np.mean(drops))
    assert "LB" in found.effect_name


def test_short_runs_cannot_show_overfitting():
    found = verdict_of(make_frames(("F1",), epochs=19), 6)
    assert (found.verdict, found.trials) == ("not measured", 0)
    assert math.isnan(found.effect)
    assert "not measured, for the longest run has 19 epochs, at least 20 are needed." in found.basis


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alpha": [0.0, 0.5, 1.0]}, "the grid of 3 alphas holds -d, 0, d, 1 - d, 1 and 1 + d for"),
        ({"path": ["curvilinear"]}, "the linear path was measured in none of the 3 pairs"),
    ],
)
def test_a_line_that_cannot_be_judged_says_why(frames, change, reason):
    table = frames["interpolation"]
    for column, kept in change.items():
        frames["interpolation"] = table[table[column].isin(kept)]
    found = verdict_of(frames, 5)
    assert found.verdict == "not measured"
    assert reason in found.basis


def test_without_a_pair_of_completed_runs_the_counts_are_said():
    frames = make_frames(("F1",), trials=2, diverged=[("F1", "lb", 0), ("F1", "lb", 1)])
    for claim in (1, 2, 3, 4, 5, 6, 9):
        found = verdict_of(frames, claim)
        assert found.verdict == "not measured"
        assert "no trial has both runs completed (2 SB and 0 LB runs did)" in found.basis
        assert "left out: F1/lb/trial0 (diverged), F1/lb/trial1 (diverged)" in found.basis


# Trials, failures, absences


def test_one_trial_states_no_interval_and_decides_nothing():
    claims = judge(make_frames(("F1",), trials=1), SETTINGS)
    assert set(claims["verdict"]) == {"undecided"}
    assert claims["low"].isna().all()
    mine = claims[claims["network"] == "F1"]
    assert mine["effect"].notna().all()
    assert mine["basis"].str.contains("one trial, so no interval").all()


def test_a_diverged_run_takes_its_pair_out_and_is_named():
    whole = make_frames(("F1",), trials=3)
    broken = make_frames(("F1",), trials=3, diverged=[("F1", "lb", 1)])
    put(broken["runs"], "test_accuracy", [70.0, 0.0, 71.0], method="sb")
    put(broken["runs"], "test_accuracy", [60.0, math.nan, 60.0], method="lb")
    claims = judge(broken, SETTINGS)
    assert of(claims, 2).effect == 10.5
    for claim in (1, 2, 3, 4, 5, 6, 9):
        assert of(claims, claim).trials == 2
        assert "left out: F1/lb/trial1 (diverged)." in of(claims, claim).basis
    assert not judge(whole, SETTINGS)["basis"].str.contains("diverged").any()


def test_what_was_not_run_is_not_measured():
    frames = make_frames(("F1",), trials=3, sweep=(), warm=())
    del frames["interpolation"]
    claims = judge(frames, SETTINGS)
    absent = claims[claims["network"] == "F1"].set_index("claim")["verdict"] == "not measured"
    assert absent.index[absent].tolist() == [5, 7, 8]
    assert "no run of a batch-size sweep completed" in of(claims, 7).basis
    assert "no warm-started run completed" in of(claims, 8).basis
    assert of(claims, 8).trials == 0
    assert to_markdown(present("claims", claims)).count("\n") == 22


def test_networks_that_disagree_leave_the_claim_open():
    frames = make_frames(("F1", "C1"), trials=3)
    chosen = frames["runs"]["network"] == "C1"
    frames["runs"].loc[chosen, "method"] = frames["runs"].loc[chosen, "method"].replace(SWAP)
    claims = judge(frames, make_settings())
    together = of(claims, 2, "all networks")
    assert together.verdict == "undecided"
    assert together.basis == "Networks by verdict: yes: F1; no: C1."
    assert "Refuted on single networks: claim 2 on C1" in headline(claims)


def test_the_papers_ranges():
    claims = judge(make_frames(("F1",), trials=2), SETTINGS).query("network == 'all networks'")
    texts = claims.set_index("claim")["paper"]
    assert texts[1] == "98.35% to 99.99%, the lower of SB and LB (six networks)"
    assert texts[2] == "0.22 to 5.27 points (six networks)"
    assert texts[3] == "8.67 to 223 times, the ratio of the means (six networks)"
    assert texts[4] == "12.1 to 83.8 times, the ratio of the means (six networks)"


# Headline


def test_headline_counts_and_gives_both_effects(frames):
    put(frames["runs"], "test_accuracy", [60.0, 70.0, 80.0], method="sb")
    put(frames["runs"], "test_accuracy", [49.0, 58.0, 67.0], method="lb")
    put(final(frames), "sharpness", [1.0, 1.0, 1.0], method="sb", **FULL)
    put(frames["sharpness"], "sharpness", [4.0, 8.0, 16.0], method="lb", **FULL)
    text = headline(judge(frames, SETTINGS))
    assert text.startswith("Of the paper's ten claims, 8 are confirmed on every network measured")
    # Claim 8: the warm starts of the synthetic study are sharper than the LB of this test.
    assert "(1, 2, 3, 4, 5, 6, 7, 9), 1 is refuted on every network measured (8)" in text
    assert "1 is not measured (10)" in text
    assert "on F1 LB lies 12.00 points below SB (SB - LB: 95% interval 9.52 to 14.48" in text
    assert "on F1 that of LB is 8 times that of SB (95% interval 1.43 to 44.8, 3 pairs" in text


def test_headline_says_when_lb_is_better_and_when_there_is_one_trial():
    frames = make_frames(("F1",), trials=1)
    put(frames["runs"], "test_accuracy", [60.0], method="sb")
    put(frames["runs"], "test_accuracy", [61.5], method="lb")
    text = headline(judge(frames, SETTINGS))
    assert (
        "LB lies 1.50 points above SB (SB - LB: 1 trial, no interval; claim 2: undecided)" in text
    )
    assert "0 are confirmed" in text
