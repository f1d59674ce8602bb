"""The figures show the tables' numbers, survive missing ones, and are equal byte for byte."""

import ast
import io
import itertools
import math
import re
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from frames import make_frames, make_settings
from matplotlib.text import Text

from largebatch.plots import FIGURES, figure4, parametric, select, style

DATA_FIGURES = [name for name in FIGURES if name != "figure1"]
ONE_PANEL = ("figure_gap", "figure_c")  # all networks in one panel, no titles
FAILED = (("F1", "lb", 0), ("C1", "sb", 1), ("C1", "b64", 0), ("F1", "warm5", 1))
NOT_STARTED = (("F1", "warm15", 1),)


def draw(name, frames, settings=None):
    """Draw with the declared tables only, so that a missing declaration fails."""
    module = import_module(f"largebatch.plots.{name}")
    tables = {table: frames[table] for table in module.TABLES}
    return module.draw(tables, settings or make_settings(frames["networks"]["network"]))


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def lines(axis, colour) -> list:
    return [line for line in axis.lines if line.get_color() == colour]


def through_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as the stages read it: a table without rows still has its header."""
    if frame.columns.empty:  # of the synthetic tables only the paths can come without any
        frame = make_frames(networks=("F1",), trials=1, epochs=5)["interpolation"].iloc[:0]
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


@pytest.fixture(scope="module")
def frames():
    return make_frames(trials=3, warm=(1, 15), sweep=(64, 800))


@pytest.mark.parametrize("name", FIGURES)
def test_two_draws_give_the_same_bytes(name, tmp_path):
    frames = make_frames(networks=("F1",), trials=2, epochs=10, sweep=(64,), warm=(5,))
    for run in ("a", "b"):
        with mpl.rc_context({"axes.linewidth": 5, "svg.hashsalt": None} if run == "b" else {}):
            style.save(draw(name, frames), svg=tmp_path / f"{run}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_all_formats_are_stable_and_hold_neither_date_nor_version(frames, tmp_path):
    formats = ("svg", "png", "pdf")
    for run in ("a", "b"):
        style.save(draw("figure1", frames), **{k: tmp_path / f"{run}.{k}" for k in formats})
    for kind in formats:
        content = (tmp_path / f"a.{kind}").read_bytes()
        assert content == (tmp_path / f"b.{kind}").read_bytes()
        for trace in (b"CreationDate", b"dc:date", b"Matplotlib", b"Software"):
            assert trace not in content


def test_drawing_leaves_global_state_alone(frames, tmp_path):
    before = dict(mpl.rcParams)
    style.save(draw("figure4", frames), svg=tmp_path / "x.svg")
    assert dict(mpl.rcParams) == before


SCENARIOS = {
    "one trial": {"trials": 1},
    "one network": {"networks": ("C1",), "trials": 2},
    "five networks": {"networks": ("F1", "F2", "C1", "C2", "C3"), "trials": 1},
    "diverged": {"trials": 2, "diverged": FAILED, "not_started": NOT_STARTED},
    "all diverged": {
        "trials": 1,
        "diverged": [(n, m, 0) for n in ("F1", "C1") for m in ("sb", "lb")],
    },
    "infinite": {"trials": 2, "infinite": True},
    "no sweep, no warm start": {"trials": 2, "sweep": (), "warm": ()},
}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", DATA_FIGURES)
def test_every_figure_draws_from_csv(name, scenario):
    tables = make_frames(**SCENARIOS[scenario], epochs=20)
    figure = draw(name, {key: through_csv(frame) for key, frame in tables.items()})
    if scenario == "diverged":
        figure.draw_without_rendering()
    titles = " ".join(axis.get_title(loc="left") for axis in figure.axes)
    labels = words(figure)
    if scenario == "no sweep, no warm start" and name in ("figure4", "figure5"):
        assert "not measured" in labels
    elif scenario == "all diverged" and name not in ("figure4", "figure5", *ONE_PANEL):
        assert "run failed: F1 sb trial 0 (diverged)" in labels
    elif name not in ONE_PANEL:
        assert all(f"{network} · mnist1d" in titles for network in tables["networks"]["network"])


@pytest.mark.parametrize("name", DATA_FIGURES)
def test_tables_without_rows_are_said_to_be_not_measured(name):
    tables = make_frames(trials=1)
    tables = {k: t if k == "networks" else through_csv(t.iloc[:0]) for k, t in tables.items()}
    assert ("no complete pair" if name == "figure_gap" else "not measured") in words(
        draw(name, tables)
    )


def test_runs_without_measurements_are_said_to_be_not_measured():
    tables = make_frames(trials=1)
    tables["sharpness"] = through_csv(tables["sharpness"].iloc[:0])
    assert "not measured" in words(draw("figure6", tables))
    assert "no complete pair" in words(draw("figure_gap", tables))
    assert "not measured" in words(draw("figure5", tables))
    assert len(draw("figure4", tables).axes[0].lines) > 0


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("figure2", ["F1 lb trial 0", "C1 sb trial 1"]),
        ("figure3", ["run failed: F1 lb trial 0"]),
        ("figure4", ["C1 b64 trial 0", "F1 lb trial 0"]),
        ("figure5", ["F1 warm5 trial 1 (diverged)", "F1 warm15 trial 1 (not started)"]),
        ("figure6", ["F1 lb trial 0"]),
        ("figure7", ["run failed: F1 lb trial 0"]),
        ("figure_gap", ["F1 lb trial 0", "C1 sb trial 1"]),
        ("figure_c", ["F1 lb trial 0", "C1 sb trial 1"]),
    ],
)
def test_failed_runs_are_named(name, lost):
    labels = words(draw(name, make_frames(trials=2, diverged=FAILED, not_started=NOT_STARTED)))
    for run in lost:
        assert run in labels


def test_figure2_shows_the_mean_over_trials(frames):
    axis = draw("figure2", frames).axes[0]
    history = frames["history"].query("network == 'F1' and method == 'sb'")
    expected = history.groupby("epoch")["test_accuracy"].mean()
    shown = lines(axis, style.SB)[1]
    assert shown.get_linestyle() == "--"
    np.testing.assert_allclose(shown.get_ydata(), expected)


def test_figure2_keeps_the_last_value_of_a_run_that_stopped_early():
    history = pd.DataFrame(
        {"epoch": [0, 1, 2, 0, 1], "trial": [0, 0, 0, 1, 1], "test_accuracy": [10, 20, 30, 40, 50]}
    )
    table = import_module("largebatch.plots.figure2").accuracy_by_epoch(history, "test_accuracy")
    assert table.mean(axis=1).tolist() == [25, 35, 40]


@pytest.mark.parametrize(("name", "path"), [("figure3", "linear"), ("figure7", "curvilinear")])
def test_paths_show_the_chosen_trial(name, path):
    tables = make_frames(networks=("F1",), trials=3)
    loss_axis, accuracy_axis = draw(
        name, tables, make_settings(("F1",), figure_trial={"F1": 2})
    ).axes
    curve = tables["interpolation"].query("trial == 2 and path == @path")
    for axis, quantity in ((loss_axis, "loss"), (accuracy_axis, "accuracy")):
        for line, part in zip(axis.lines[:2], ("train", "test"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), curve["alpha"])
            np.testing.assert_array_equal(line.get_ydata(), curve[f"{part}_{quantity}"])


def test_infinite_losses_leave_through_the_top():
    tables = make_frames(networks=("F1",), trials=1, infinite=True)
    axis = draw("figure3", tables).axes[0]
    y = axis.lines[0].get_ydata()
    assert np.isfinite(y).all()
    assert y[0] > 10 * axis.get_ylim()[1]


def test_loss_axis_ends_at_guessing_unless_the_data_do_or_the_minima_need_more():
    def limit(losses):
        curve = pd.DataFrame({"alpha": [-1.0, 0.0, 1.0, 2.0], "train_loss": losses})
        return parametric.loss_limit(curve.assign(test_loss=curve["train_loss"]), 10)

    assert limit([50.0, 0.0, 0.1, math.inf]) == pytest.approx(1.5 * math.log(10))
    assert limit([2.0, 0.0, 0.1, 1.0]) == pytest.approx(2.1)
    assert limit([50.0, 0.0, 8.0, 90.0]) == pytest.approx(8.8)


def test_figure4_shows_the_sweep_with_sb_and_lb(frames):
    left, right = draw("figure4", frames).axes[:3:2]
    runs = frames["runs"].query("network == 'F1' and role != 'warm'")
    expected = runs.groupby("batch_size")["test_accuracy"].mean()
    means = lines(left, style.ACCURACY)[1]
    assert means.get_xdata().tolist() == [32, 64, 400, 800]
    np.testing.assert_allclose(means.get_ydata(), expected)
    values = frames["sharpness"].query(
        "network == 'F1' and method == 'b800' and solver == 'best' and epsilon == 0.001"
    )["sharpness"]
    expected = math.exp(np.log(values).mean())
    assert lines(right, style.SHARPNESS)[1].get_ydata()[-1] == pytest.approx(expected)
    assert right.get_yscale() == left.get_xscale() == "log"


def test_figure4_uses_the_trials_of_the_sweep_only(frames):
    runs = frames["runs"]
    only = runs[~((runs["role"] == "sweep") & (runs["trial"] > 0))]
    table = figure4.batch_size_table(frames | {"runs": only}, "F1", 0.001)
    assert set(table["trial"]) == {0}
    assert len(table) == 4


def test_close_batch_sizes_share_a_label():
    assert figure4.tick_labels([10, 100, 104, 1000]) == ["10", "100", "", "1000"]
    assert figure4.tick_labels([10, 100, 104, 1000], [104]) == ["10", "", "104", "1000"]
    assert figure4.tick_labels([10, 20, 40], width=5.0) == ["10", "20", "40"]
    assert figure4.tick_labels([100, 101], width=5.0) == ["100", "101"]


def test_the_labels_of_twelve_batch_sizes_do_not_touch():
    sizes = [2**k for k in range(4, 15)]  # and LB; three panels are the narrowest
    tables = make_frames(("F1", "F2", "C1"), trials=1, epochs=2, sweep=sizes, warm=())
    figure = draw("figure4", tables)
    figure.draw_without_rendering()
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert {"32", "400"} <= {label.get_text() for label in labels}  # SB and LB
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) >= 5
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_many_warm_starts_leave_the_lines_free():
    tables = make_frames(("F1",), trials=2, epochs=30, sweep=(), warm=range(1, 31))
    upper = draw("figure5", tables).axes[0]
    means = next(line for line in lines(upper, style.LB) if line.get_linestyle() == "-")
    assert means.get_marker() == "None"
    assert max(line.get_markersize() for line in upper.lines if line.get_marker() == "o") <= 2


def test_figure5_starts_with_the_cold_run(frames):
    axes = draw("figure5", frames).axes
    upper, lower = axes[0], axes[2]
    runs = frames["runs"].query("network == 'F1'").groupby("method")["test_accuracy"].mean()
    means = next(line for line in lines(upper, style.LB) if line.get_linestyle() == "-")
    assert means.get_xdata().tolist() == [0, 1, 15]
    np.testing.assert_allclose(means.get_ydata(), runs[["lb", "warm1", "warm15"]])
    references = [line.get_ydata()[0] for line in upper.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(references, runs[["sb", "lb"]])
    assert lower.get_yscale() == "log"


def test_figure6_follows_the_epochs_and_the_loss_falls_to_the_right(frames):
    shuffled = frames | {"sharpness": frames["sharpness"].sample(frac=1, random_state=1)}
    axis = draw("figure6", shuffled).axes[0]
    rows = frames["sharpness"].query("network == 'F1' and method == 'lb' and trial == 0")
    rows = rows[rows["epoch"].notna()].sort_values("epoch")
    run = lines(axis, style.LB)[0]
    np.testing.assert_array_equal(run.get_xdata(), rows["base"])
    np.testing.assert_array_equal(run.get_ydata(), rows["sharpness"])
    assert axis.xaxis_inverted()


def test_gap_states_the_mean_difference_and_the_geometric_mean_ratio():
    tables = make_frames(networks=("F1",), trials=2)
    runs, sharpness = tables["runs"], tables["sharpness"]
    for method, accuracy, values in (("sb", (80, 70), (1, 1)), ("lb", (77, 66), (4, 16))):
        runs.loc[runs["method"] == method, "test_accuracy"] = accuracy
        for trial, value in enumerate(values):
            chosen = (sharpness["method"] == method) & (sharpness["trial"] == trial)
            sharpness.loc[chosen, "sharpness"] = value
    labels = words(draw("figure_gap", tables))
    assert "−3.5" in labels
    assert "×8" in labels


def test_gap_leaves_out_half_pairs():
    tables = make_frames(networks=("F1",), trials=3, diverged=(("F1", "lb", 1),))
    left = draw("figure_gap", tables).axes[0]
    sb, lb = (line for line in left.lines if line.get_marker() == "o")
    assert len(sb.get_ydata()) == len(lb.get_ydata()) == 2


def test_a_sharpness_of_zero_is_mentioned_and_not_averaged():
    assert select.geometric_mean(pd.Series([0.0, 2.0, 8.0])) == pytest.approx(4)
    assert math.isnan(select.geometric_mean(pd.Series([0.0])))
    tables = make_frames(networks=("F1",), trials=1)
    tables["sharpness"].loc[tables["sharpness"]["method"] == "lb", "sharpness"] = 0.0
    assert "1 sharpness value(s) of exactly 0" in words(draw("figure_gap", tables))


def test_a_sweep_at_another_epsilon_is_labelled_with_it(frames):
    rows = frames["sharpness"].copy()
    rows.loc[rows["method"].str.startswith("b"), "epsilon"] = 0.0005
    figure = draw("figure4", frames | {"sharpness": rows})
    assert "ε = 0.0005" in words(figure)
    right = next(a for a in figure.axes if "sharpness" in a.get_ylabel())
    assert len(lines(right, style.SHARPNESS)[1].get_xdata()) == 4


CAPTIONS = sorted((Path(__file__).parents[2] / "workflow" / "report").glob("*.rst"))


def test_every_exhibit_has_a_caption():
    names = {path.stem for path in CAPTIONS}
    tables = {"table1", "table2", "table3", "table4", "distances", "claims", "convergence"}
    tables |= {"appendix_c"}
    assert names >= {*FIGURES, *tables, "workflow", "paper", "failures"}


@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_captions_are_one_plain_paragraph(path):
    docutils = pytest.importorskip("docutils.core")
    tree = docutils.publish_doctree(path.read_text(), settings_overrides={"report_level": 5})
    assert [node.tagname for node in tree] == ["paragraph"]
    assert [node.tagname for node in tree[0]] == ["#text"]


def test_the_workflow_gives_each_figure_the_tables_it_declares():
    """The Snakefile cannot import the figures (that takes seconds), so it lists them again."""
    rules = (Path(__file__).parents[2] / "workflow/rules/report.smk").read_text()
    listed = ast.literal_eval(re.search(r"^FIGURE_TABLES = (\{.*?^\})", rules, re.M | re.S)[1])
    declared = {name: import_module(f"largebatch.plots.{name}").TABLES for name in FIGURES}
    assert listed == declared
