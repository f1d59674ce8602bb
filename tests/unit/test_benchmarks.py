"""The benchmark suite: what a row is, timing in turn, the page, and one row for real."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the suite is no part of the package

from benchmarks.page import page, quartiles, write  # noqa: E402
from benchmarks.plot import merit  # noqa: E402
from benchmarks.suite import Row, in_turn  # noqa: E402


def test_the_ratio_is_the_median_over_repeats_and_above_one_where_ours_is_faster():
    row = Row("a", "ours", "theirs", [1.0, 2.0, 4.0], [3.0, 2.0, 6.0], target=1.5)
    assert row.ratios == [3.0, 1.0, 1.5]  # pairs of neighbours, not of medians
    assert row.ratio == 1.5
    assert row.met is True
    assert quartiles(row.ratios) == (1.25, 2.25)


@pytest.mark.parametrize(
    ("ratio", "target", "at_least", "met"),
    [
        *((2.0, 2.0, True, True), (1.9, 2.0, True, False), (9.0, None, True, None)),
        *((0.15, 0.15, False, True), (0.16, 0.15, False, False)),
    ],
)
def test_a_target_is_a_lower_or_an_upper_bound(ratio, target, at_least, met):
    row = Row("a", "ours", "theirs", ratio=ratio, target=target, at_least=at_least)
    assert row.met is met
    assert (merit(row, row.ratio) >= 1) is (met is not False)


def test_a_row_needs_a_ratio_or_times():
    with pytest.raises(ValueError, match="a: neither"):
        Row("a", "ours", "theirs", [1.0], [])


def test_implementations_take_turns_after_a_call_that_is_not_timed():
    calls = []
    work = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b") or 7.0}
    seconds = in_turn(work, repeats=2)
    assert "".join(calls) == "ababab"
    assert len(seconds["a"]) == 2
    assert seconds["b"] == [7.0, 7.0]  # its own seconds


def test_the_page_says_what_was_met_missed_and_not_measured(tmp_path):
    rows = [
        Row("fast", "ours", "theirs", [1.0, 1.0], [3.0, 2.0], 2.0, note="a note"),
        Row("slow, by far", "ours", "theirs", [1.0, 1.0], [1.0, 1.0], 2.0),
        Row("share", "ours", "theirs", ratio=0.1, target=0.15, at_least=False, unit="of the time"),
    ]
    write(tmp_path, rows, {"processor": "P"}, {"broken": "no disk"})
    table = pd.read_csv(tmp_path / "rows.csv")
    assert table["met"].tolist() == [True, False, True]
    assert table["ratio"].tolist() == [2.5, 1.0, 0.1]
    assert len(pd.read_csv(tmp_path / "repeats.csv")) == 8
    assert {p.name for p in tmp_path.iterdir()} >= {"ratios.svg", "ratios.png"}
    text = (tmp_path / "index.md").read_text()
    assert (
        "| slow, by far | ours: 1 s | theirs: 1 s | 1 times as fast | 1 to 1 | ≥ 2 | **no** |"
        in text
    )
    assert "| 0.1 of the time | – | ≤ 0.15 | yes |" in text
    for words in ("- fast: a note", "- broken: no disk", "| processor | P |"):
        assert words in text
    assert "Tiny sizes" not in text
    assert "Tiny sizes" in page(rows, {}, {}, quick=True)


def run(*words: str):
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_row_that_is_not_there_is_named():
    done = run("--rows", "nonsense")
    assert done.returncode == 2
    assert "'nonsense'" in done.stderr
    assert "training-f1-32" in done.stderr


def test_a_row_is_measured_from_the_command_line(tmp_path):
    words = ("--rows", "training-f1-32", "--quick", "--repeats", "1")
    done = run(*words, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "rows.csv")
    assert table["row"].tolist() == [
        "training step, F1, batch 32",
        "training step, F1, batch 32, of the limit",
    ]
    assert (table[["ours_seconds", "other_seconds", "ratio"]] > 0).all(axis=None)
