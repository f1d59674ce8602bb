"""Appendix C: iterations to equal testing accuracy, and the break-even efficiency from them."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from frame_edits import SETTINGS
from frames import make_settings
from matplotlib.text import Text

from largebatch.analysis import make_tables, present, to_markdown
from largebatch.analysis.performance import epochs_to, reading
from largebatch.analysis.statistics import Estimate
from largebatch.plots import figure_c

SB_BATCH, LB_BATCH, SAMPLES = 30, 400, 1000
SB_STEPS, LB_STEPS = 34, 3  # ceil(1000 / 30), ceil(1000 / 400)


def study(pairs, network="F1", status="completed") -> dict[str, pd.DataFrame]:
    """The tidy tables of a network whose trials have these (SB, LB) testing accuracies by epoch."""
    tables = {"networks": [], "runs": [], "history": []}
    tables["networks"] = [
        {
            **{"network": network, "family": "fully_connected", "dataset": "tiny"},
            **{"input_shape": "4", "classes": 2, "train_samples": SAMPLES},
            **{"sb_batch_size": SB_BATCH, "lb_batch_size": LB_BATCH},
        }
    ]
    sizes = {"sb": (SB_BATCH, SB_STEPS), "lb": (LB_BATCH, LB_STEPS)}
    for trial, curves in enumerate(pairs):
        for (method, (batch, steps)), curve in zip(sizes.items(), curves, strict=True):
            key = {"network": network, "method": method, "trial": trial}
            last = len(curve) - 1
            run = key | {"role": "main", "batch_size": batch, "status": status, "epochs": last}
            run |= {"steps": last * steps, "train_accuracy": 99.0, "test_accuracy": curve[-1]}
            tables["runs"].append(run | {"distance": 1.0, "message": ""})
            tables["history"] += [
                key | {"epoch": epoch, "train_loss": 1.0, "test_accuracy": accuracy}
                for epoch, accuracy in enumerate(curve)
            ]
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def together(*studies) -> dict[str, pd.DataFrame]:
    return {
        name: pd.concat([tables[name] for tables in studies], ignore_index=True)
        for name in studies[0]
    }


def table_of(frames) -> pd.DataFrame:
    return make_tables(frames, SETTINGS)["appendix_c"].set_index("network")


def drawn(frames):
    return figure_c.draw(frames, make_settings(tuple(frames["networks"]["network"])))


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


# SB is there after 2 epochs, LB after 4 of 6 (it stays above, then ends at 60): f* = 68*30/(12*400)
ONE = ([10, 50, 61, 55, 70, 71, 72], [10, 20, 30, 40, 65, 62, 60])
F_ONE = (2 * SB_STEPS * SB_BATCH) / (4 * LB_STEPS * LB_BATCH)
# SB is there after 4 epochs, at exactly the accuracy of LB, LB at its last, the 6th.
TWO = ([10, 50, 55, 58, 60, 71, 72], [10, 20, 30, 40, 45, 50, 60])
F_TWO = (4 * SB_STEPS * SB_BATCH) / (6 * LB_STEPS * LB_BATCH)
NEVER = ([10, 20, 30, 40, 50, 51, 59], [10, 20, 30, 40, 45, 50, 60])
FROM_THE_START = ([60, 50, 70], [60, 50, 60])


def test_iterations_and_break_even_of_one_trial():
    row = table_of(study([ONE])).loc["F1"]
    assert (row.target_mean, row.sb_iterations, row.lb_iterations) == pytest.approx((60, 68, 12))
    assert row.iteration_ratio == pytest.approx(12 / 68)
    assert row.break_even == pytest.approx(F_ONE) == pytest.approx(0.425)
    assert (row.trials, row.pairs, row.censored, row.undefined) == (1, 1, 0, 0)
    assert math.isnan(row.break_even_low)
    assert math.isnan(row.target_std)
    assert row.reading == (
        "LB is faster where SB's parallel efficiency is below 0.42; one trial, no interval"
    )


def test_trials_are_averaged_on_the_log_scale_with_an_interval():
    row = table_of(study([ONE, TWO])).loc["F1"]
    middle = math.sqrt(F_ONE * F_TWO)
    spread = math.exp(12.706204736 * abs(math.log(F_TWO / F_ONE)) / 2)  # t(1) s / sqrt(2)
    assert row.break_even == pytest.approx(middle)
    assert (row.break_even_low, row.break_even_high) == pytest.approx(
        (middle / spread, middle * spread)
    )
    assert row.sb_iterations == pytest.approx(math.sqrt(68 * 136))
    assert row.break_even == pytest.approx(
        row.sb_iterations * SB_BATCH / (row.lb_iterations * LB_BATCH)
    )
    assert (row.sb_epochs_min, row.sb_epochs_max) == (2, 4)
    assert (row.lb_epochs_min, row.lb_epochs_max) == (4, 6)
    assert "open whether LB can be slower" in row.reading


def test_the_first_epoch_that_reaches_the_target_counts_and_a_tie_reaches_it():
    curve = pd.Series([10.0, 60.0, 50.0, 60.0])
    assert epochs_to(60.0, curve) == 1
    assert epochs_to(60.1, curve) == math.inf
    assert epochs_to(10.0, curve) == 0
    assert math.isnan(epochs_to(math.nan, curve))


def test_a_trial_in_which_sb_never_gets_there_is_counted_not_averaged():
    row = table_of(study([ONE, NEVER, TWO])).loc["F1"]
    assert row.break_even == pytest.approx(math.sqrt(F_ONE * F_TWO))
    assert (row.trials, row.pairs, row.censored) == (2, 3, 1)
    assert row.reading.endswith("SB never got there in 1 of 3 trials")
    row = table_of(study([NEVER, NEVER])).loc["F1"]
    assert math.isnan(row.break_even)
    assert (row.trials, row.censored) == (0, 2)
    assert row.reading == "no break-even: SB never got there in 2 of 2 trials"


def test_a_target_that_the_start_has_reached_defines_nothing():
    row = table_of(study([ONE, FROM_THE_START])).loc["F1"]
    assert (row.trials, row.undefined, row.break_even) == (1, 1, pytest.approx(F_ONE))
    assert "the start was there already in 1 of 2 trials" in row.reading


def test_a_failed_run_takes_its_pair_along():
    frames = study([ONE, TWO])
    lost = (frames["runs"]["trial"] == 1) & (frames["runs"]["method"] == "lb")
    frames["runs"].loc[lost, "status"] = "diverged"
    row = table_of(frames).loc["F1"]
    assert (row.pairs, row.break_even) == (1, pytest.approx(F_ONE))
    row = table_of(study([ONE], status="diverged")).loc["F1"]
    assert (row.pairs, row.trials) == (0, 0)
    assert row.reading == (
        "not measured: no trial has both runs completed (0 SB and 0 LB runs did)"
    )


def test_every_network_has_its_row_as_text_even_through_csv():
    frames = together(study([ONE, TWO]), study([NEVER], "F2"), study([], "C1"))
    table = make_tables(frames, SETTINGS)["appendix_c"]
    assert table["network"].tolist() == ["F1", "F2", "C1"]
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    shown = present("appendix_c", again)
    pd.testing.assert_frame_equal(shown, present("appendix_c", table))
    assert shown.loc[0, ["SB epochs", "LB epochs", "trials", "pairs"]].tolist() == [
        *("2–4", "4–6", "2", "2")
    ]
    assert shown.loc[1, "break-even efficiency f* [95%]"] == "–"
    assert to_markdown(shown).count("\n") == 5


@pytest.mark.parametrize(
    ("value", "ends", "words"),
    [
        (0.3, (0.2, 0.4), "LB is faster where SB's parallel efficiency is below 0.3"),
        (2.0, (1.5, 3.0), "LB is faster even if SB scales perfectly"),
        (2.0, (0.5, 8.0), "LB is faster even if SB scales perfectly; the interval holds 1"),
    ],
)
def test_readings(value, ends, words):
    assert reading(Estimate(value, *ends, 3), 3).startswith(words)


def test_the_figure_shows_the_numbers_of_the_table():
    frames = together(study([ONE, TWO, ONE, NEVER, FROM_THE_START]), study([TWO], "F2"))
    table = table_of(frames)
    for network in ("F1", "F2"):
        found = figure_c.efficiencies(frames, network)
        finite = found[np.isfinite(found)].to_numpy()
        row = table.loc[network]
        ends = [row.break_even, row.break_even_low, row.break_even_high]
        np.testing.assert_allclose(figure_c.interval(finite), ends)
        assert len(finite) == row.trials
        assert np.isposinf(found).sum() == row.censored
    axis = drawn(frames).axes[0]
    first = next(line for line in axis.lines if line.get_marker() == "o")
    np.testing.assert_allclose(first.get_xdata(), [F_ONE, F_TWO, F_ONE])
    assert axis.patches[0].get_width() == pytest.approx(table.loc["F1"].break_even)


def test_the_figure_names_what_it_leaves_out():
    frames = together(study([ONE, NEVER]), study([NEVER], "F2"), study([ONE], "C1", "diverged"))
    shown = words(drawn(frames))
    assert "(left out): F1 in 1 of 2 trials, F2 in 1 of 1 trials." in shown
    assert "SB never reached LB's testing accuracy no complete pair" in shown
    assert "both are there from the start" in words(drawn(study([FROM_THE_START])))
    assert "Failed and left out: C1 sb trial 0 (diverged)" in shown


def test_no_bar_reaches_beyond_perfect_scaling():
    late = ([*[10.0] * 50, 60.0], [10.0, 60.0])  # 50 epochs of SB, one of LB
    axis = drawn(study([late])).axes[0]
    assert axis.patches[0].get_width() == 1
    assert axis.patches[1].get_width() == 0
    # 42 lies far beyond the frame, which must not shrink the part from 0 to 1: an arrow says so.
    assert axis.get_xlim()[1] == figure_c.WIDEST
    assert [line.get_marker() for line in axis.lines if len(line.get_xdata())][-2] == ">"
    assert "42" in words(axis.figure)
