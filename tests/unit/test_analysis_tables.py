import io
import math
from pathlib import Path

import pandas as pd
import pytest
from frame_edits import SETTINGS, put
from frames import make_frames

from largebatch.analysis import (
    SOURCE,
    make_tables,
    paper_numbers,
    present,
    published,
    to_markdown,
)
from largebatch.analysis.comparison import standardized_difference
from largebatch.analysis.convergence import last_decrease
from largebatch.analysis.present import interval, number, plus_minus
from largebatch.errors import InputError
from largebatch.stages import tables as tables_stage


@pytest.fixture
def frames():
    return make_frames(("F1",), trials=3)


def test_accuracy_means_spread_and_paired_gap(frames):
    put(frames["runs"], "test_accuracy", [70.0, 72.0, 74.0], method="sb")
    put(frames["runs"], "test_accuracy", [60.0, 61.0, 62.0], method="lb")
    row = make_tables(frames, SETTINGS)["table2"].set_index("quantity").loc["testing_accuracy"]
    assert (row.sb_mean, row.sb_std, row.sb_trials) == (72, 2, 3)
    assert (row.lb_mean, row.lb_std, row.lb_trials) == (61, 1, 3)
    half = 4.302652730 / math.sqrt(3)  # gaps 10, 11, 12: s = 1, t(2) = 4.30
    assert (row.gap, row.gap_low, row.gap_high) == pytest.approx((11, 11 - half, 11 + half))


def test_a_diverged_run_leaves_its_pair_but_not_the_other_method():
    frames = make_frames(("F1",), trials=3, diverged=[("F1", "lb", 1)])
    put(frames["runs"], "test_accuracy", [70.0, 72.0, 74.0], method="sb")
    put(frames["runs"], "test_accuracy", [60.0, 5.0, 62.0], method="lb")  # 5 must not count
    tables = make_tables(frames, SETTINGS)
    row = tables["table2"].set_index("quantity").loc["testing_accuracy"]
    assert (row.sb_mean, row.sb_trials, row.lb_mean, row.lb_trials) == (72, 3, 61, 2)
    assert (row.gap, row.pairs) == (11, 2)
    failure = tables["failures"].iloc[0]
    assert (failure.network, failure.method, failure.trial) == ("F1", "lb", 1)
    assert "NaN at epoch 11" in failure.message


def test_a_run_that_never_started_is_a_failure_with_its_status():
    frames = make_frames(("F1",), trials=2, not_started=[("F1", "warm30", 1)])
    failures = make_tables(frames, SETTINGS)["failures"]
    row = failures.iloc[0]
    assert (len(failures), row.method, row.status, row.epochs) == (1, "warm30", "not started", 0)
    assert row.message == "not started: the SB run ended before epoch 30"


def test_no_failures_is_an_empty_table_with_columns(frames):
    failures = make_tables(frames, SETTINGS)["failures"]
    assert failures.empty
    assert "message" in failures


def test_full_sharpness_with_both_solvers(frames):
    table = frames["sharpness"]
    final = {"space": "full", "epsilon": 0.001, "solver": "best"}
    trajectory = table["epoch"].notna()
    frames["sharpness"] = table = table[~trajectory].reset_index(drop=True)
    put(table, "sharpness", [1.0, 2.0, 3.0], method="sb", **final)
    put(table, "sharpness", [2.0, 8.0, 24.0], method="lb", **final)
    put(table, "stalled", [True, False, True], method="lb", **final | {"solver": "paper"})
    row = make_tables(frames, SETTINGS)["table3"].iloc[0]
    assert (row.epsilon, row.sb_mean, row.sb_std) == (0.001, 2, 1)
    assert row.ratio == pytest.approx(4)  # geometric mean of 2, 4, 8
    spread = math.exp(4.302652730 * math.log(2) / math.sqrt(3))
    assert (row.ratio_low, row.ratio_high) == pytest.approx((4 / spread, 4 * spread))
    assert (row.lb_paper_stalled, row.lb_paper_measured, row.sb_paper_stalled) == (2, 3, 0)


def test_trajectory_and_sweep_rows_stay_out_of_table3(frames):
    before = make_tables(frames, SETTINGS)["table3"]
    table = frames["sharpness"]
    elsewhere = table["epoch"].notna() | ~table["method"].isin(["sb", "lb"])
    assert elsewhere.any()
    frames["sharpness"] = table[~elsewhere]
    pd.testing.assert_frame_equal(make_tables(frames, SETTINGS)["table3"], before)


def test_subspace_value_is_the_mean_over_draws_and_their_spread_stands_beside_it():
    frames = make_frames(("F1",), trials=2, draws=2)
    sb = {"method": "sb", "space": "subspace", "epsilon": 0.001, "solver": "best"}
    put(frames["sharpness"], "sharpness", [1.0, 5.0, 4.0, 4.0], **sb)
    row = make_tables(frames, SETTINGS)["table4"].iloc[0]
    assert (row.sb_mean, row.sb_trials, row.draws, row.dimension) == (3.5, 2, 2, 100)
    assert row.sb_std == pytest.approx(math.sqrt(0.5))  # of the runs' means 3 and 4
    assert row.sb_draw_std == pytest.approx(2)  # variances 8 and 0, root of their mean


def test_distances(frames):
    put(frames["runs"], "distance", [4.0, 16.0, 64.0], method="sb")
    put(frames["runs"], "distance", [2.0, 4.0, 8.0], method="lb")
    row = make_tables(frames, SETTINGS)["distances"].iloc[0]
    assert row.sb_mean == 28
    assert (row.ratio, row.ratio_mean, row.ratio_min, row.ratio_max) == pytest.approx(
        (4, 14 / 3, 2, 8)
    )


def test_last_decrease():
    losses = [2.0, *[1.0] * 18, 0.9, 0.8]  # 20 epochs: the last two, from 1.0 to 0.8
    assert last_decrease(losses) == pytest.approx((0.2 / 1.2, 0.2, 0.2))
    assert math.isnan(last_decrease([1.0, 0.0, 0.0])[2])


def test_a_loss_that_still_shrinks_towards_zero_has_ceased_and_says_by_how_much(frames):
    for trial, late in enumerate((0.001, 0.002, 0.004)):  # falls by 60% in the last 3 of 30 epochs
        losses = [2.0] + [late] * 27 + [0.4 * late] * 3
        put(frames["history"], "train_loss", losses, method="sb", trial=trial)
    put(frames["runs"], "train_accuracy", [99.0, 99.5, 100.0], method="sb")
    table = make_tables(frames, SETTINGS)["convergence"]
    row = table.set_index("method").loc["sb"]
    assert row.ceased
    assert row.late_relative_median == pytest.approx(0.6)
    assert (row.late_decrease_median, row.late_decrease_max) == pytest.approx((0.0012, 0.0024))
    assert row.late_share_max == pytest.approx(0.0024 / (2 - 0.0016))
    assert row.final_train_accuracy_mean == 99.5
    shown = present("convergence", table).iloc[0]
    assert shown["training accuracy, %, mean"] == "99.50"
    assert shown["decrease there relative to the loss, median"] == "60.0%"
    assert shown["decrease there, nats, median / max"] == "1.2e-03 / 2.4e-03"


def test_convergence_needs_every_trial_to_have_ceased(frames):
    ceased = make_tables(frames, SETTINGS)["convergence"].set_index("method")["ceased"]
    assert ceased.to_dict() == {"sb": True, "lb": True}
    put(frames["history"], "train_loss", 1.0, method="lb", trial=2)
    put(frames["history"], "train_loss", 0.9, method="lb", trial=2, epoch=30)
    row = make_tables(frames, SETTINGS)["convergence"].set_index("method").loc["lb"]
    assert row.late_share_max == 1
    assert not row.ceased


def test_paper_numbers():
    row = published("C2", 3).set_index(["epsilon", "method"]).loc[(1e-3, "LB")]
    assert (row["mean"], row["std"]) == (925.32, 38.29)
    assert len(published()) == 6 * 12
    with pytest.raises(InputError, match="network: the paper has no 'F3'; one of F1, F2"):
        published("F3")


def test_the_source_of_the_paper_numbers_stands_beside_them():
    source = Path(paper_numbers.__file__).with_suffix(".source.md").read_text()
    for words in ("ICLR 2017", "1609.04836", "Tables 2, 3 and 4", "five trials"):
        assert words in source
    assert "arXiv:1609.04836" in SOURCE


@pytest.mark.parametrize("counterpart", ["F1", None])
def test_the_written_table_beside_the_paper_ends_with_its_source(frames, counterpart, tmp_path):
    inputs = {}
    for name, frame in frames.items():
        inputs[name] = tmp_path / f"{name}.csv"
        frame.to_csv(inputs[name], index=False)
    csv, markdown = tmp_path / "paper.csv", tmp_path / "paper.md"
    settings = SETTINGS | {"paper_network": {"F1": counterpart}}
    tables_stage.run({"settings": settings}, inputs, {"paper": [csv, markdown]})
    assert pd.read_csv(csv).columns[-1] == "note"
    assert markdown.read_text().endswith(f"|\n\n{SOURCE}\n\n" if counterpart else "(none)\n\n")


def test_standardized_difference():
    assert standardized_difference(5, 3, 5, 1, 4) == pytest.approx(4 / math.sqrt(12.5))
    pooled = math.sqrt((2 * 9 + 4 * 16) / 6)  # 3 trials of ours, 5 of theirs
    assert standardized_difference(5, 3, 3, 1, 4) == pytest.approx(4 / pooled)
    assert standardized_difference(1, 0, 5, 5, 2) == pytest.approx(-4 / math.sqrt(2))
    assert math.isnan(standardized_difference(5, math.nan, 1, 1, 4))
    assert math.isnan(standardized_difference(5, 0, 5, 1, 0))


def as_large_as_mnist(frames) -> dict:
    frames["networks"][["train_samples", "test_samples"]] = 60_000, 10_000
    return frames


@pytest.mark.parametrize("same", [True, False])
def test_difference_to_the_paper_only_on_the_same_data(frames, same):
    put(frames["runs"], "test_accuracy", [98.0, 98.2, 98.4], method="sb")
    settings = SETTINGS | {"same_data_as_paper": {"F1": same}}
    table = make_tables(as_large_as_mnist(frames), settings)["paper"]
    assert len(table) == 12
    row = table[(table["quantity"] == "testing_accuracy") & (table["method"] == "sb")].iloc[0]
    assert (row.ours_mean, row.paper_mean) == pytest.approx((98.2, 98.03))
    assert math.isnan(row.difference) is not same
    if same:
        assert row.difference == pytest.approx(0.17)
        pooled = math.sqrt((2 * 0.2**2 + 4 * 0.07**2) / 6)
        assert row.standardized_difference == pytest.approx(0.17 / pooled)
        assert row.note == ""
    else:
        assert table[["difference", "standardized_difference"]].isna().all(axis=None)
        assert set(table["note"]) == {"other data"}


def test_a_study_cannot_call_a_part_of_the_data_the_papers(frames):
    settings = SETTINGS | {"same_data_as_paper": {"F1": True}}
    as_large_as_mnist(frames)["networks"]["train_samples"] = 59_999
    table = make_tables(frames, settings)["paper"]
    assert table["difference"].isna().all()
    assert set(table["note"]) == {"other data"}


def test_a_blank_standardized_difference_says_why():
    settings = SETTINGS | {"same_data_as_paper": {"F1": True}}
    frames = as_large_as_mnist(make_frames(("F1",), trials=1))
    table = make_tables(frames, settings)["paper"]
    assert table["standardized_difference"].isna().all()
    assert table["difference"].notna().all()
    assert set(table["note"]) == {"one trial, so no standard deviation"}
    frames = as_large_as_mnist(make_frames(("F1",), trials=3))
    chosen = (frames["sharpness"]["method"] == "sb") & (frames["sharpness"]["epsilon"] == 0.001)
    frames["sharpness"].loc[chosen, "sharpness"] = 0.11
    notes = make_tables(frames, settings)["paper"].set_index(["quantity", "epsilon", "method"])
    row = notes.loc[("sharpness_subspace", 0.001, "sb")]  # the paper: 0.11 +- 0.00
    assert math.isnan(row.standardized_difference)
    assert row.note == "no spread on either side"
    row = notes.loc[("sharpness_subspace", 0.0005, "sb")]  # the paper: 0.05 +- 0.00
    assert row.standardized_difference > 0
    assert row.note == "the paper's spread rounds to 0"
    lost = make_frames(("F1",), trials=1, diverged=[("F1", "lb", 0)])
    table = make_tables(lost, settings)["paper"]
    assert set(table[table["method"] == "lb"]["note"]) == {"no run of ours completed"}
    assert to_markdown(present("paper", table)).count("no run of ours completed") == 6


def test_paper_table_without_a_counterpart_is_empty(frames):
    assert make_tables(frames, SETTINGS | {"paper_network": {"F1": None}})["paper"].empty


def test_one_trial_gives_values_without_spread():
    tables = make_tables(make_frames(("F1",), trials=1), SETTINGS)
    row = tables["table3"].iloc[0]
    assert row.sb_mean > 0
    assert all(math.isnan(row[name]) for name in ("sb_std", "ratio_low", "ratio_high"))
    assert "±" not in to_markdown(present("table2", tables["table2"]))


def test_tables_survive_csv(frames):
    again = {}
    for name, frame in frames.items():
        again[name] = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    expected = make_tables(frames, SETTINGS)
    for name, table in make_tables(again, SETTINGS).items():
        pd.testing.assert_frame_equal(table, expected[name], check_dtype=False)


def test_unmeasured_tables_have_a_header_and_render(frames):
    tables = make_tables({"networks": frames["networks"]}, SETTINGS)
    for name, table in tables.items():
        assert len(table.columns), name
        assert to_markdown(present(name, table))


def test_numbers_as_text():
    assert plus_minus(205.14, 69.52) == "205 ± 70"
    assert plus_minus(0.0123456, 0.0002) == "0.0123 ± 0.0002"
    assert plus_minus(97.812, math.nan, 2) == "97.81"
    assert interval(4.0, 2.0, 8.0) == "4.00 [2.00, 8.00]"
    assert interval(4.0, math.nan, math.nan) == "4.00"
    assert [number(value) for value in (None, True, 1234567, math.inf, 1e-9)] == [
        "–",
        "yes",
        "1,234,567",
        "∞",
        "1.00e-09",
    ]


def test_present_combines_and_markdown_aligns(frames):
    put(frames["runs"], "test_accuracy", [70.0, 72.0, 74.0], method="sb")
    shown = present("table2", make_tables(frames, SETTINGS)["table2"])
    assert shown.loc[1, "SB"] == "72.00 ± 2.00"
    lines = to_markdown(shown).splitlines()
    assert lines[0].startswith("| network | quantity | SB | LB |")
    assert lines[1] == "| :-- | :-- | --: | --: | --: | --: |"
    assert len(lines) == 4
