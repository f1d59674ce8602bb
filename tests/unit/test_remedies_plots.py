"""The figures of remedies show the tables' numbers, and survive what is missing or failed."""

import io
import itertools
import math
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from frame_edits import put
from frames import make_frames, make_settings
from matplotlib.text import Text
from remedy_frames import ARMS, EPOCHS, remedy_frames, remedy_settings

from largebatch import shares
from largebatch.analysis import make_tables
from largebatch.plots import REMEDY_FIGURES, arms, figure_rates, figure_remedies, style
from largebatch.plots import figure_remedies_shares as shares_figure

FEW = ("augmentation", "sam", "growth", "legw")


@pytest.fixture(scope="module")
def frames():
    return remedy_frames(("F1", "C1"), FEW, trials=3, draws=1)


def draw(name, frames, settings=None):
    """Draw with the declared tables only, as read from csv."""
    module = import_module(f"largebatch.plots.{name}")
    tables = {
        table: pd.read_csv(io.StringIO(frames[table].to_csv(index=False)))
        for table in module.TABLES
    }
    return module.draw(tables, settings or remedy_settings(frames["networks"]["network"], FEW))


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


FAILED = [("F1", "sam", 0), ("C1", "legw", 0)]


@pytest.mark.parametrize("name", REMEDY_FIGURES)
def test_failed_runs_are_named(name):
    frames = remedy_frames(("F1", "C1"), FEW, trials=1, draws=1, diverged=FAILED)
    figure = draw(name, frames)
    figure.draw_without_rendering()
    lost = "run failed: F1 sam trial 0" if name == "figure_remedies_paths" else "F1 sam trial 0"
    assert f"{lost} (diverged)" in words(figure)


@pytest.mark.parametrize("name", REMEDY_FIGURES)
def test_tables_without_rows_are_said_to_be_not_measured(name, frames):
    empty = {k: t if k == "networks" else t.iloc[:0] for k, t in frames.items()}
    assert "not measured" in words(draw(name, empty))
    runs_only = {k: t if k in ("networks", "runs") else t.iloc[:0] for k, t in frames.items()}
    labels = words(draw(name, runs_only))
    assert "not measured" in labels or "no complete trial" in labels


@pytest.mark.parametrize("name", REMEDY_FIGURES)
def test_a_study_without_remedies_and_one_without_lb_draw(name):
    plain = make_frames(("F1",), 1, 5, sweep=(), warm=())
    plain["remedy_paths"] = plain["interpolation"].drop(columns="path").assign(method="").iloc[:0]
    plain["history"] = plain["history"].assign(learning_rate=0.1, batch_size=1)
    assert "no remedied runs" in words(draw(name, plain, make_settings(("F1",)))) or (
        name == "figure_rates"
    )
    frames = remedy_frames(("F1",), FEW, trials=2, draws=1)
    runs = frames["runs"]
    frames["runs"] = runs.assign(status=runs["status"].where(runs["method"] != "lb", "diverged"))
    assert "F1 lb trial 1 (diverged)" in words(draw(name, frames)) or (
        name == "figure_remedies_paths"
    )


@pytest.mark.parametrize("name", REMEDY_FIGURES)
def test_two_draws_give_the_same_bytes(name, tmp_path):
    frames = remedy_frames(("F1",), FEW[:2], trials=2, draws=1)
    for run in ("a", "b"):
        figure = draw(name, frames, remedy_settings(("F1",), FEW[:2]))
        style.save(figure, svg=tmp_path / f"{run}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_figure_shows_the_shares_of_the_table():
    lost = [("F1", "sam", 1)]
    frames = remedy_frames(("F1", "C1"), FEW, trials=4, draws=1, diverged=lost)
    settings = remedy_settings(("F1", "C1"), FEW)
    table = make_tables(frames, settings)["remedies"].set_index(["network", "arm"])
    for network, arm in itertools.product(("F1", "C1"), FEW):
        measured = arms.measured(frames, settings, network)
        for quantity, column in (("test_accuracy", "accuracy"), ("sharpness", "full")):
            found = shares_figure.share_of(measured, arm, quantity)
            row = table.loc[(network, arm)]
            assert (found.kind, found.pairs) == (
                row[f"{column}_share_kind"],
                row[f"{column}_pairs"],
            )
            ends = [row[f"{column}_share{end}"] for end in ("", "_low", "_high")]
            assert (found.value, found.low, found.high) == pytest.approx(tuple(ends), nan_ok=True)
    axes = draw("figure_remedies_shares", frames).axes
    order = [label.get_text() for label in axes[0].get_yticklabels()]
    points = [line for line in axes[0].lines if line.get_marker() == "o"]
    values = table.loc["F1"].loc[order, "accuracy_share"]
    assert [line.get_xdata()[0] for line in points] == pytest.approx(values.tolist())


def test_arms_are_ranked_by_accuracy_and_those_without_a_share_come_last():
    found = {
        (network, arm, "test_accuracy"): shares.Share(kind, value)
        for (network, arm), (kind, value) in {
            ("F1", "a"): (shares.INTERVAL, 0.2),
            ("F1", "b"): (shares.INTERVAL, 0.9),
            ("F1", "c"): (shares.NOT_MEASURED, math.nan),
            ("C1", "a"): (shares.INTERVAL, 0.8),
            ("C1", "b"): (shares.INTERVAL, 0.3),
            ("C1", "c"): (shares.UNBOUNDED, 20.0),
        }.items()
    }
    assert shares_figure.ranked(["c", "a", "b"], ["F1", "C1"], found) == ["b", "a", "c"]
    unsure = {key: shares.Share(shares.ONE_PAIR, share.value) for key, share in found.items()}
    assert shares_figure.ranked(["a", "b"], ["F1", "C1"], unsure) == ["b", "a"]


def test_an_unbounded_share_is_dashed_and_hollow():
    frames = remedy_frames(("F1",), ("sam",), trials=3, draws=1)
    for method, values in {"sb": [60, 63, 60], "lb": [60, 60, 62], "sam": [60, 60, 62.0]}.items():
        put(frames["runs"], "test_accuracy", values, method=method)
    axis = draw("figure_remedies_shares", frames, remedy_settings(("F1",), ("sam",))).axes[0]
    point = next(line for line in axis.lines if line.get_marker() == "o")
    assert point.get_color() == "white"
    dashed = [line for line in axis.lines if line.get_linestyle() == "--"]
    assert [tuple(line.get_xdata()) for line in dashed] == [axis.get_xlim()]
    assert sum(line.get_marker() in "<>" for line in axis.lines) == 2


def test_without_a_gap_the_panel_says_so():
    frames = remedy_frames(("F1",), ("sam",), trials=3, draws=1)
    put(frames["runs"], "test_accuracy", [50.0, 51.0, 52.0], method="sb")
    labels = words(draw("figure_remedies_shares", frames, remedy_settings(("F1",), ("sam",))))
    assert "no gap to close: SB is not above LB" in labels


def test_means_of_accuracy_and_sharpness():
    table = pd.DataFrame(
        {"method": ["lb", "sam", "sam"], "test_accuracy": [1, 2, 4], "sharpness": [3, 2, 8]}
    )
    middle = figure_remedies.means(table, ["sb", "sam", "lb"])
    assert middle.index.tolist() == ["sam", "lb"]
    assert middle.loc["sam"].tolist() == pytest.approx([3, 4])


def test_every_arm_is_named_at_the_side_and_no_label_touches_another():
    frames = remedy_frames(trials=2, draws=1)
    figure = draw("figure_remedies", frames, remedy_settings())
    figure.draw_without_rendering()
    for axis in figure.axes:
        texts = {text.get_text(): text for text in axis.texts}
        assert set(texts) == {"SB", "LB", *ARMS}
        # Of the text alone, without the line that joins it to its point.
        boxes = [Text.get_window_extent(text) for text in texts.values()]
        boxes.sort(key=lambda box: box.y0)
        assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(boxes))


def test_an_arm_far_out_is_drawn_at_the_frame_with_its_value():
    frames = remedy_frames(("F1",), trials=2, draws=1)
    put(frames["runs"], "test_accuracy", 10.0, method="lars")
    figure = draw("figure_remedies", frames, remedy_settings(("F1",)))
    assert "F1 lars (10.0%" in words(figure)
    assert figure.axes[0].get_ylim()[0] > 15


def test_a_sharpness_of_zero_is_mentioned(frames):
    table = frames["sharpness"].copy()
    chosen = (table["network"] == "F1") & (table["method"] == "sam") & (table["trial"] == 0)
    table.loc[chosen & (table["space"] == "full"), "sharpness"] = 0.0
    assert "1 sharpness value(s) of exactly 0" in words(
        draw("figure_remedies", frames | {"sharpness": table})
    )


def test_spread_moves_no_more_than_it_must():
    np.testing.assert_allclose(arms.spread(np.array([0.9, 0.1, 0.5]), 0.2), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(arms.spread(np.array([0.5, 0.5]), 0.2), [0.4, 0.6])
    np.testing.assert_allclose(arms.spread(np.array([-0.1, 0.0]), 0.2), [0.0, 0.2])
    crowded = arms.spread(np.full(11, 0.3), 0.2)
    np.testing.assert_allclose(crowded, np.linspace(0, 1, 11))


def test_paths_start_with_plain_lb_of_the_same_trial(frames):
    figure = draw("figure_remedies_paths", frames)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == 2 * ["LB", *FEW]
    plain = frames["interpolation"].query("network == 'F1' and path == 'linear' and trial == 0")
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), plain["train_loss"])
    sam = frames["remedy_paths"].query("network == 'F1' and method == 'sam'")
    axis = figure.axes[1 + FEW.index("sam")]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), sam["train_loss"])
    assert axis.get_ylim() == figure.axes[0].get_ylim()


def test_rates_are_drawn_where_they_differ_from_those_of_lb(frames):
    history = frames["history"].copy()
    history.loc[history["method"] == "augmentation", "learning_rate"] *= 2
    figure = draw("figure_rates", frames | {"history": history})
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert [title for title in titles if title] == ["growth", "legw"]
    assert "× 2 for augmentation; × 1 for sam" in words(figure)
    legw = figure.axes[titles.index("legw")]
    drawn = [line for line in legw.lines if line.get_color() == figure_rates.LOOKS[0][0]]
    assert len(drawn) == 3  # trials
    expected = [0.005 * min(1, epoch / 5) for epoch in range(1, EPOCHS + 1)]
    np.testing.assert_allclose(drawn[0].get_ydata(), expected)
    assert "batch size" in [axis.get_ylabel() for axis in figure.axes]


def test_factors_that_differ_between_networks_are_told_apart(frames):
    history = frames["history"].copy()
    chosen = (history["method"] == "sam") & (history["network"] == "C1")
    history.loc[chosen, "learning_rate"] *= 0.5
    labels = words(draw("figure_rates", frames | {"history": history}))
    assert "× 1 for augmentation; × 1 (F1) and × 0.5 (C1) for sam" in labels


def test_kinds_of_arms():
    settings = remedy_settings()
    assert arms.kind(settings, "augmented_legw_lamb") == "combination"
    assert arms.kind(settings, "sam") == "weight update"
    assert arms.kind(settings, "ghost") == "optimizer, normalization, averaging"
    assert {arms.kind(settings, arm) for arm in ARMS} == set(arms.KINDS)
