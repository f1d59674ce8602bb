"""The tables of remedies against numbers worked out by hand, and what they say in words."""

import io
import math

import pandas as pd
import pytest
from frame_edits import put
from frames import make_frames, make_settings
from remedy_frames import ARMS, remedy_frames, remedy_settings

from largebatch.analysis import make_tables, present, remedies_headline, to_markdown
from largebatch.analysis.arms import CARRIED, OWN, statement_of, words
from largebatch.analysis.present_remedies import share
from largebatch.analysis.remedies import stays_sharp, verdict
from largebatch.shares import INTERVAL, NO_GAP, ONE_PAIR, OUTSIDE, UNBOUNDED, Share

FEW = ("augmentation", "sam")
FULL = {"space": "full", "epsilon": 0.001, "solver": "best"}
SUBSPACE = FULL | {"space": "subspace"}


def study(accuracy=None, sharpness=None, **changes):
    """The table of F1, three trials; values by method replace the invented ones."""
    frames = remedy_frames(("F1",), FEW, trials=3, draws=1, **changes)
    table = frames["sharpness"]
    frames["sharpness"] = table[table["epoch"].isna()].reset_index(drop=True)
    for method, values in (accuracy or {}).items():
        put(frames["runs"], "test_accuracy", values, method=method)
    for method, values in (sharpness or {}).items():
        put(frames["sharpness"], "sharpness", values, method=method, **FULL)
    return frames


def table_of(frames, arms=FEW):
    settings = remedy_settings(tuple(frames["networks"]["network"]), arms)
    return make_tables(frames, settings)["remedies"].set_index("arm")


ACCURACY = {"sb": [70.0, 70.0, 70.0], "lb": [60.0, 60.0, 60.0], "sam": [64.0, 65.0, 66.0]}


def test_gain_and_share_of_the_accuracy_gap():
    table = table_of(study(ACCURACY))
    assert table.index.tolist() == ["sb", "lb", "augmentation", "sam"]
    row, half = table.loc["sam"], 4.302652730 / math.sqrt(3)  # s = 1, t(2) = 4.30
    assert (row.accuracy_mean, row.accuracy_std, row.trials, row.failed) == (65, 1, 3, 0)
    assert (row.gain, row.gain_low, row.gain_high) == pytest.approx((5, 5 - half, 5 + half))
    ends = (0.5, 0.5 - half / 10, 0.5 + half / 10)
    found = (row.accuracy_share, row.accuracy_share_low, row.accuracy_share_high)
    assert found == pytest.approx(ends)
    assert (row.accuracy_share_kind, row.accuracy_pairs) == (INTERVAL, 3)
    assert (table.loc["sb", "gain"], row.improves) == (10, "yes")
    assert table.loc[["sb", "lb"], "accuracy_share"].isna().all()


def test_sharpness_is_compared_in_log_scale_at_the_headline_epsilon():
    sharpness = {"sb": [1.0, 2.0, 4.0], "lb": [16.0, 32.0, 64.0], "sam": [8.0, 16.0, 32.0]}
    frames = study(ACCURACY, sharpness)
    put(frames["sharpness"], "sharpness", [1.0, 2.0, 4.0], method="sam", **SUBSPACE)
    put(frames["sharpness"], "sharpness", [1.0, 2.0, 4.0], method="sb", **SUBSPACE)
    row = table_of(frames).loc["sam"]
    ends = (row.full_share, row.full_share_low, row.full_share_high)
    assert ends == pytest.approx((0.25, 0.25, 0.25))
    assert (row.full_mean, row.epsilon) == (pytest.approx(56 / 3), 0.001)
    assert (row.subspace_share, row.subspace_mean) == pytest.approx((1, 7 / 3))
    assert (row.improves, row.stays_sharp, row.verdict) == ("yes", "yes", "confirmed")
    assert row.statement == CARRIED


def test_a_flattened_minimum_does_not_stay_sharp():
    sharpness = {"sb": [1.0, 2.0, 4.0], "lb": [16.0, 32.0, 64.0], "sam": [2.0, 4.0, 8.0]}
    row = table_of(study(ACCURACY, sharpness)).loc["sam"]
    assert row.full_share == pytest.approx(0.75)
    assert (row.stays_sharp, row.verdict) == ("no", "not confirmed")


def test_a_failed_run_leaves_its_pair_and_is_counted():
    frames = study(diverged=[("F1", "sam", 1)])
    for method, values in {"sb": [70.0, 0.0, 72.0], "lb": [60.0, 99.0, 62.0]}.items():
        put(frames["runs"], "test_accuracy", values, method=method)  # of trial 1, wild
    put(frames["runs"], "test_accuracy", [65.0, 50.0, 67.0], method="sam")
    row = table_of(frames).loc["sam"]
    assert (row.trials, row.failed, row.accuracy_pairs, row.full_pairs) == (2, 1, 2, 2)
    assert (row.accuracy_share, row.gain, row.accuracy_mean) == (0.5, 5, 66)
    assert "1 of 3 runs failed" in row.note
    shown = present("remedies", table_of(frames).reset_index()).set_index("arm").loc["sam"]
    assert shown["trials"] == "2 (1 failed)"


def test_a_gap_that_may_be_zero_is_said_to_bound_nothing():
    accuracy = {"sb": [60.0, 63.0, 60.0], "lb": [60.0, 60.0, 62.0], "sam": [60.0, 60.0, 62.0]}
    table = table_of(study(accuracy))
    row = table.loc["sam"]
    assert (row.accuracy_share, row.accuracy_share_kind) == (0, UNBOUNDED)
    assert math.isnan(row.accuracy_share_low)
    assert "the gap may be 0" in row.note
    assert row.improves == "undecided"
    shown = present("remedies", table.reset_index()).set_index("arm")
    assert shown.loc["sam", "accuracy gap closed [95%]"] == "0% [unbounded]"


def test_where_lb_is_better_there_is_no_gap():
    accuracy = {"sb": [60.0, 61.0, 60.0], "lb": [70.0, 70.0, 71.0]}
    row = table_of(study(accuracy)).loc["sam"]
    assert (row.accuracy_share_kind, math.isnan(row.accuracy_share)) == (NO_GAP, True)


def test_a_sharpness_of_zero_leaves_the_verdict_open():
    sharpness = {"sb": [1.0, 1.0, 1.0], "lb": [16.0, 16.0, 16.0], "sam": [8.0, 8.0, 0.0]}
    row = table_of(study(ACCURACY, sharpness)).loc["sam"]
    assert (row.full_pairs, row.stays_sharp, row.verdict) == (2, "undecided", "undecided")
    assert "1 with a sharpness of 0 left out" in row.note


def test_costs():
    table = table_of(study())
    assert (table.loc["lb", "passes"], table.loc["sam", "passes"]) == (30, 60)
    assert (table.loc["lb", "seconds"], table.loc["sam", "seconds"]) == (11, 16)  # not the 99
    assert table.loc["sam", "rate_factor"] == 2
    assert (table.loc["lb", "epochs"], table.loc["sam", "epochs"]) == (30, 30)


def test_a_batch_size_of_its_own_is_part_of_what_an_arm_is():
    from largebatch.analysis.arms import words
    from largebatch.study import own_regime

    arm = {"sam": {"rho": 0.05}, "batch_size": 32, "training": {"learning_rate": 0.1}}
    text = words({"sam": arm["sam"]}, own_regime(arm))
    assert text == "SAM (rho 0.05) + own training (batch size 32, learning rate 0.1)"
    assert own_regime({"sam": {}}) == {}


def test_what_was_not_measured_is_no_number():
    frames = study()
    frames["sharpness"] = frames["sharpness"][frames["sharpness"]["method"] != "sam"]
    del frames["provenance"], frames["tuning"]
    table = table_of(frames)
    row = table.loc["sam"]
    assert (row.stays_sharp, row.verdict) == ("not measured", "not measured")
    assert math.isnan(row.seconds)
    shown = present("remedies", table.reset_index()).set_index("arm").loc["sam"]
    assert shown["closed, log scale [95%]"] == shown["seconds a run"] == "–"


def test_a_network_without_remedied_runs_has_no_rows_and_a_study_without_no_table():
    frames = remedy_frames(("F1", "C1"), FEW, trials=2, draws=1)
    runs = frames["runs"]
    frames["runs"] = runs[~((runs["network"] == "C1") & (runs["role"] == "remedy"))]
    settings = remedy_settings(("F1", "C1"), FEW)
    assert set(make_tables(frames, settings)["remedies"]["network"]) == {"F1"}
    tables = make_tables(make_frames(("F1",), 1, 5, sweep=(), warm=()), make_settings(("F1",)))
    assert tables["remedies"].empty
    assert tables["tuning"].empty
    assert remedies_headline(tables["remedies"]) == ""


@pytest.mark.parametrize(
    ("improves", "sharp", "expected"),
    [
        ("yes", "yes", "confirmed"),
        ("yes", "no", "not confirmed"),
        ("no", "undecided", "not confirmed"),
        ("no", "not measured", "not confirmed"),
        ("yes", "undecided", "undecided"),
        ("undecided", "yes", "undecided"),
        ("yes", "not measured", "not measured"),
    ],
)
def test_the_rule_of_the_verdict(improves, sharp, expected):
    assert verdict(improves, sharp) == expected


def test_only_an_interval_on_one_side_of_a_half_decides():
    assert stays_sharp(Share(INTERVAL, 0.2, 0.0, 0.4)) == "yes"
    assert stays_sharp(Share(INTERVAL, 0.9, 0.51, 1.4)) == "no"
    assert stays_sharp(Share(INTERVAL, 0.2, -0.2, 0.6)) == "undecided"
    for kind in (OUTSIDE, UNBOUNDED, ONE_PAIR, NO_GAP):
        assert stays_sharp(Share(kind, 0.2, 0.1, 0.3)) == "undecided"


def test_shares_in_words():
    assert share(INTERVAL, 0.616, -0.001, 12.345) == "62% [0%, 1,234%]"
    assert share(OUTSIDE, 0.5, -1.2, 0.1) == "50% [unbounded: up to -120% or from 10%]"
    assert share(ONE_PAIR, 0.5, math.nan, math.nan) == "50% [one pair]"
    assert share(NO_GAP, math.nan, math.nan, math.nan) == "no gap"
    assert share(math.nan, math.nan, math.nan, math.nan) == "–"


def test_arms_in_words():
    arm = {"lamb": {"betas": [0.9, 0.999], "decay": None}, "augmentation": {"flip": False}}
    assert words(arm) == "LAMB (betas 0.9/0.999) + augmentation (flip no)"
    assert words({"sam": {}}, {"epochs": 50}) == "SAM + own training (epochs 50)"
    assert statement_of({"augmentation": {}}, ["augmentation"]) == OWN
    assert statement_of({"augmentation": {}, "legw": {}}, ["augmentation", "legw"]) == CARRIED


def test_the_tuning_table_shows_the_grid_and_what_was_chosen():
    table = make_tables(study(), remedy_settings(("F1",), FEW))["tuning"].set_index("arm")
    assert table.loc["sam", "chosen"] == 2
    assert not table.loc["sam", "at_edge"]
    assert table.loc["augmentation", "at_edge"]
    assert table.loc["sam", ["accuracy_1", "accuracy_2"]].tolist() == [58.5, 60.5]
    shown = present("tuning", table.reset_index()).set_index("method")
    assert shown.loc["sam", "chosen"] == "× 2"
    assert shown.loc["augmentation", "chosen"] == "× 1 (edge of the grid)"
    assert shown.loc["sam", "× 4: validation accuracy, %"] == "diverged"


def test_the_headline_names_the_best_and_says_how_sure_it_is():
    sharpness = {"sb": [1.0, 2.0, 4.0], "lb": [16.0, 32.0, 64.0], "sam": [2.0, 4.0, 8.0]}
    sharpness |= {"augmentation": [8.0, 16.0, 32.0]}
    accuracy = ACCURACY | {"augmentation": [59.0, 61.0, 60.0]}
    text = remedies_headline(table_of(study(accuracy, sharpness)).reset_index())
    assert "On F1, 1 of 2 remedied arms test better than LB (SB − LB: 10.00 points)" in text
    assert "most of all sam (+5.00 points; share of the gap closed: 50% [25%, 75%])" in text
    assert "; 1 undecided." in text
    assert "1 of 2 close more than half of the sharpness" in text
    assert "(sam 75%), 1 less than half" in text
    assert "not confirmed in 1, undecided in 1 of 2 cases for all arms" in text
    assert "for their own remedies it is undecided in 1 of 1 cases" in text


def test_tables_and_headline_survive_csv():
    frames = remedy_frames(trials=2, draws=1, diverged=[("F1", "lars", 0), ("F1", "lars", 1)])
    tables = make_tables(frames, remedy_settings())
    for name in ("remedies", "tuning"):
        again = pd.read_csv(io.StringIO(tables[name].to_csv(index=False)))
        shown = to_markdown(present(name, again))
        assert shown == to_markdown(present(name, tables[name]))
        assert "nan" not in shown.lower()
    assert len(tables["remedies"]) == 2 * (2 + len(ARMS))
    again = pd.read_csv(io.StringIO(tables["remedies"].to_csv(index=False)))
    assert remedies_headline(again) == remedies_headline(tables["remedies"])
