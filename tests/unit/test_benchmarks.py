"""The benchmark suite: what a row is, timing in turn, the page, and one row for real."""

import itertools
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the suite is no part of the package

import benchmarks.__main__ as command  # noqa: E402
from benchmarks.page import page, quartiles, write  # noqa: E402
from benchmarks.plot import merit  # noqa: E402
from benchmarks.rows import _models, found, gpu  # noqa: E402
from benchmarks.rows._steps import MatrixProducts, ours, tutorial  # noqa: E402
from benchmarks.rows.stacked_trials import Stack  # noqa: E402
from benchmarks.suite import NotHere, Row, in_turn  # noqa: E402
from benchmarks.worker import Worker  # noqa: E402
from largebatch.networks import parameter_count  # noqa: E402


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


def test_a_failing_row_is_told_and_the_others_are_measured(tmp_path, monkeypatch, capsys):
    def broken(repeats, quick):
        raise OSError("no disk")

    def good(repeats, quick):
        return [Row("good", "ours", "theirs", repeats * [1.0], repeats * [2.0], note=f"{quick}")]

    rows = {"broken": broken, "good": good, "left out": broken}
    monkeypatch.setattr(command, "found", lambda: rows)
    words = ["--rows", "broken", "good", "--repeats", "3", "--quick", "--out", str(tmp_path)]
    assert command.main(words) == 1
    assert pd.read_csv(tmp_path / "rows.csv")["repeats"].tolist() == [3]
    text = (tmp_path / "index.md").read_text()
    assert "- broken: OSError: no disk" in text
    assert "- good: True" in text
    assert "left out" not in text
    assert "good: 2 times as fast" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--rows", "nonsense"], "'nonsense'"), (["--repeats", "0"], "'0'; it must be an integer")],
)
def test_a_wrong_command_line_is_told_by_its_value(words, told, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(words)
    assert error.value.code == 2
    assert told in capsys.readouterr().err


def test_the_rows_are_found_by_name():
    assert {"training-f1-32", "stacked-trials-32", "planning", "default-study"} <= set(found())


COUNTING = """
def make(step):
    calls = []
    def work():
        print("noise")
        calls.append(step)
        return sum(calls)
    return work
"""


def test_a_worker_keeps_what_it_has_made_and_answers_in_seconds(tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker("counting:make", step=0.5) as worker:
        assert [worker(), worker()] == [0.5, 1.0]
    with (
        Worker("counting:nothing", step=0.5) as worker,
        pytest.raises(RuntimeError, match="counting:nothing: its process has ended"),
    ):
        worker()


@pytest.mark.parametrize("epoch", [ours, tutorial, partial(tutorial, decoded=True)])
@pytest.mark.parametrize("model", ["F1", "C1"])
def test_epochs_of_both_sides_are_trained(epoch, model):
    assert 0 < epoch(model, batch_size=4, steps=2)() < 60


def test_both_sides_have_the_same_weights_to_train():
    for model in ("F1", "C1"):
        counts = [parameter_count(make(model)) for make in (_models.started, _models.plain)]
        assert counts[0] == counts[1]


def test_the_limit_counts_the_products_of_a_step():
    products = MatrixProducts([3, 4, 2], batch_size=5)
    # Forward, weights' and (but for the first layer) inputs' gradients: 2 B i o each.
    assert products.flops == 2 * 5 * (2 * 3 * 4 + 3 * 4 * 2)
    assert products.run(2) > 0


def test_a_trial_alone_is_the_first_of_a_stack():
    alone, among = Stack([0], 4, 2), Stack([0, 1, 2], 4, 2)
    for stack in (alone, among):
        stack.train()
    for name, weights in alone.weights.items():
        torch.testing.assert_close(weights[0], among.weights[name][0], rtol=1e-4, atol=1e-5)
        assert not torch.equal(among.weights[name][0], among.weights[name][1]) or "bias" in name


def test_a_row_that_is_not_for_this_machine_is_told_and_is_no_failure(
    tmp_path, monkeypatch, capsys
):
    def elsewhere(repeats, quick):
        raise NotHere("no CUDA GPU on this machine")

    monkeypatch.setattr(command, "found", lambda: {"gpu": elsewhere})
    assert command.main(["--out", str(tmp_path)]) == 0
    assert "- gpu: no CUDA GPU on this machine" in (tmp_path / "index.md").read_text()
    assert "gpu: no CUDA GPU" in capsys.readouterr().out


def test_the_operations_of_a_sample_are_three_products_a_layer():
    # Forward, and backward for weights and inputs; the first layer's inputs need none.
    sizes = [784, *5 * [512], 10]
    layers = [2 * a * b for a, b in itertools.pairwise(sizes)]
    assert gpu.operations("F1") == 3 * sum(layers) - layers[0]


def test_the_gpu_rows_are_made_on_any_device(monkeypatch):
    monkeypatch.setattr(gpu, "SAMPLES", {"F1": 40, "C2": 40})
    monkeypatch.setattr(gpu, "hours", lambda seconds: sum(seconds.values()))
    names = [row.name for row in gpu.rows("cpu", 1, quick=True)]
    assert len(names) == 2 * 2 * 3 + 1
    assert "GPU, an epoch of F1, batch 4, of the limit" in names


def test_the_hours_of_the_paper_count_runs_and_evaluations():
    seconds = {(model, size): 0.0 for model in gpu.SAMPLES for size in (256, 5000)}
    assert gpu.hours(seconds) == 0
    # F1: five trials, SB and LB of 100 epochs; sharpness of ten runs at two epsilons.
    only = gpu.hours(seconds | {("F1", 256): 36.0, ("F1", 5000): 36.0})
    evaluations = 50 + 11 + 3 * 25
    assert only == pytest.approx((10 * 100 + 10 * 2 * evaluations) * 0.01)


def test_the_vgg_of_the_tutorials_has_the_weights_of_ours():
    for model in ("F2", "C2"):
        counts = [parameter_count(make(model)) for make in (_models.started, _models.plain)]
        assert counts[0] == counts[1]


def test_decoded_images_are_the_bytes_as_floats_in_0_to_1():
    for model, shape in (("F1", (1, 28, 28)), ("C1", (3, 32, 32))):
        image, target = _models.images(model, 3)[2]
        assert (tuple(image.shape), image.dtype) == (shape, torch.float32)
        assert 0 <= float(image.min()) < 0.1 < 0.9 < float(image.max()) <= 1
        assert torch.equal((image * 255).round() / 255, image)
        assert 0 <= target < 10
