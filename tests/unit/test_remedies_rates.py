"""Scaling and LEGW against their formulas, and growth and warm start against sizes by hand."""

import math

import pytest
import torch
from rate_remedies import RATE, facts, parts_of, rates, trained

from largebatch.errors import InputError
from largebatch.training.remedies import make
from largebatch.training.remedies.growth import grown
from largebatch.training.schedules import Schedule

STEP = Schedule(kind="step", milestones=(3, 5))


@pytest.mark.parametrize(
    "entries",
    [
        {"scaling": {"base_batch_size": 8, "warmup_epochs": 3}},
        {"scaling": {"rule": "linear", "base_batch_size": 8, "warmup_epochs": 0}},
        {"legw": {"base_batch_size": 8, "warmup_epochs": 0}},
        {"growth": {"start_batch_size": 8}},
        {"warm_start": {"epochs": 0}},
    ],
)
@pytest.mark.parametrize("schedule", [Schedule(), STEP])
def test_switched_off_is_the_plain_run(entries, schedule):
    plain, outcome = trained({}, schedule=schedule)
    weights, remedied = trained(entries, schedule=schedule)
    assert torch.equal(weights, plain)
    assert remedied.history == outcome.history
    (name,) = entries
    options = {"growth": {"every": 2}, "warm_start": {"epochs": 2}}.get(name, {"warmup_epochs": 1})
    assert not torch.equal(trained({name: options}, schedule=schedule)[0], plain)


@pytest.mark.parametrize(("rule", "factor"), [("linear", 4), ("sqrt", 2)])
def test_scaling_rises_from_the_base_rate_by_equal_amounts(rule, factor):
    found = rates({"scaling": {"rule": rule, "warmup_epochs": 2}}, facts())  # k = 64 / 16
    rise = (factor - 1) / 8
    expected = [1 + rise * min(step, 8) for step in range(32)]  # 4 steps an epoch
    assert found == pytest.approx([RATE * multiple for multiple in expected], rel=1e-12)
    without = rates({"scaling": {"rule": rule, "warmup_epochs": 0}}, facts())
    assert without == pytest.approx([factor * RATE] * 32, rel=1e-12)


@pytest.mark.parametrize("name", ["scaling", "legw"])
@pytest.mark.parametrize("kind", ["linear", "cosine", "step"])
def test_the_schedule_is_the_decay(name, kind):
    milestones = (2, 4) if kind == "step" else ()
    schedule = Schedule(kind=kind, milestones=milestones)
    constant, decayed = (
        rates({name: {"warmup_epochs": 1}}, facts(**settings))
        for settings in ({}, {"schedule": schedule})
    )
    multiples = [schedule.multiple(step, 4, 8) for step in range(32)]
    expected = [rate * multiple for rate, multiple in zip(constant, multiples, strict=True)]
    assert decayed == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_a_batch_above_the_data_counts_as_the_data():
    found = rates({"scaling": {"rule": "linear", "warmup_epochs": 0}}, facts(batch_size=10**6))
    assert found == pytest.approx([RATE * 256 / 16] * 8)


SIZES = (16, 32, 64, 128, 256)
LEGW = {"legw": {"warmup_epochs": 0.4}}  # 6.4 epochs at k = 16


def test_legw_warms_up_for_as_many_steps_whatever_the_batch():
    warming = 0.4 * 256 / 16
    for size in SIZES:
        found, peak = rates(LEGW, facts(size)), math.sqrt(size / 16) * RATE
        assert sum(rate < peak * (1 - 1e-12) for rate in found) == math.ceil(warming) - 1
        assert found[-1] == pytest.approx(peak)


def test_legw_at_equal_steps_is_sqrt_k_times_the_base_run():
    base = rates(LEGW, facts(16))
    for size in SIZES:
        found = rates(LEGW, facts(size))
        expected = [math.sqrt(size / 16) * rate for rate in base[: len(found)]]
        assert found == pytest.approx(expected, rel=1e-12)


def test_legw_keeps_the_squared_rate_over_the_batch_and_sets_the_slope():
    for size in SIZES:
        k, found = size / 16, rates(LEGW, facts(size))
        assert found[-1] ** 2 / size == pytest.approx(RATE**2 / 16)
        slope = (found[1] - found[0]) * 256 / size  # of an epoch
        assert slope == pytest.approx(RATE / (math.sqrt(k) * 0.4))


def test_legw_without_warmup_is_square_root_scaling():
    bare = {"warmup_epochs": 0}
    for settings in ({}, {"schedule": STEP}):
        legw, scaling = (rates({name: bare}, facts(**settings)) for name in ("legw", "scaling"))
        assert legw == pytest.approx(scaling, rel=1e-15)


def test_legw_at_the_base_batch_is_the_run_with_its_warmup():
    study, outcome = trained({}, schedule=Schedule(warmup_epochs=2))
    weights, remedied = trained({"legw": {"base_batch_size": 8, "warmup_epochs": 2}})
    assert torch.equal(weights, study)
    assert remedied.history == outcome.history


@pytest.mark.parametrize(
    ("start", "largest", "factor", "every", "sizes"),
    [
        (16, 100, 2.0, 2, [16, 16, 32, 32, 64, 64, 100, 100]),
        (10, 15, 1.1, 1, [10, 11, 13, 14, 15, 15, 15, 15]),  # 10, 11, 12.1, 13.31, 14.64, 16.1
        (2, 100, 2.0, 0.5, [2, 8, 32, 100, 100, 100, 100, 100]),
        (3, 4, 1.0001, 1, [3, 4, 4, 4, 4, 4, 4, 4]),  # rounded up
        (1, 10**6, 10.0, 3.5, [1, 1, 1, 1, 10, 10, 10, 100]),
    ],
)
def test_growth_follows_its_formula(start, largest, factor, every, sizes):
    assert [grown(epoch, start, largest, factor, every) for epoch in range(1, 9)] == sizes


def test_growth_neither_overflows_nor_lets_rounding_count():
    assert grown(10**6, 1, 50, 1e9, 0.001) == 50
    assert 7 / 0.07 < 100  # growths, and yet it is time for the hundredth
    assert grown(8, 1000, 10**6, 1.01, 0.07) == math.ceil(1000 * 1.01**100)
    assert 100 * 1.1 > 110
    assert grown(2, 100, 1000, 1.1, 1) == 110


def test_growth_in_a_run():
    _, outcome = trained({"growth": {}}, epochs=4)  # from 4 samples, twice as many at 0.4 epochs
    assert [row["batch_size"] for row in outcome.history] == [0, 4, 8, 8, 8]
    _, outcome = trained({"growth": {"every": 3, "start_batch_size": 2, "factor": 3}})
    assert [row["batch_size"] for row in outcome.history] == [0, 2, 2, 2, 6, 6, 6]
    assert outcome.steps == 3 * 11 + 3 * 4


def test_warm_start_in_a_run():
    _, outcome = trained({"warm_start": {}})  # a tenth of 6 epochs, rounded up
    assert [row["batch_size"] for row in outcome.history] == [0, 4, 8, 8, 8, 8, 8]
    _, outcome = trained({"warm_start": {"epochs": 3, "batch_size": 2}})
    assert [row["batch_size"] for row in outcome.history] == [0, 2, 2, 2, 8, 8, 8]
    assert outcome.steps == 3 * 11 + 3 * 3


def test_warm_start_begins_afresh_at_the_change_alone():
    plain, _ = trained({})
    same = {"batch_size": 8, "epochs": 3}  # batches do not change: only the moments can tell
    assert torch.equal(trained({"warm_start": {**same, "renew": False}})[0], plain)
    assert not torch.equal(trained({"warm_start": same})[0], plain)
    sgd = {"optimizer": "sgd"}  # which has no moments
    assert torch.equal(trained({"warm_start": same}, **sgd)[0], trained({}, **sgd)[0])
    renew = parts_of({"warm_start": {"epochs": 3}}, facts()).renew
    assert [epoch for epoch in range(1, 9) if renew(epoch)] == [4]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("scaling", {"rule": "cubic"}, "scaling.rule: 'cubic'; it must be one of linear, sqrt"),
        ("scaling", {"base_batch_size": 0}, "scaling.base_batch_size: 0; it must be null or"),
        ("scaling", {"base_batch_size": True}, "scaling.base_batch_size: True; it must be null"),
        ("scaling", {"warmup_epochs": -1}, "scaling.warmup_epochs: -1; it must be finite and at"),
        ("scaling", {"warmup_epochs": math.nan}, "scaling.warmup_epochs: nan; it must be"),
        ("legw", {"base_batch_size": 2.5}, "legw.base_batch_size: 2.5; it must be null or an int"),
        ("legw", {"warmup_epochs": math.inf}, "legw.warmup_epochs: inf; it must be finite"),
        ("growth", {"factor": 1}, "growth.factor: 1; it must be finite and above 1"),
        ("growth", {"every": 0}, "growth.every: 0; it must be null or finite and above 0"),
        ("growth", {"start_batch_size": 0}, "growth.start_batch_size: 0; it must be null or an"),
        ("warm_start", {"epochs": -1}, "warm_start.epochs: -1; it must be null or an integer"),
        ("warm_start", {"epochs": 1.5}, "warm_start.epochs: 1.5; it must be null or an integer"),
        ("warm_start", {"batch_size": 0}, "warm_start.batch_size: 0; it must be null or an int"),
        ("warm_start", {"renew": 1}, "warm_start.renew: 1; it must be true or false"),
    ],
)
def test_options_out_of_range_are_refused(name, options, words):
    with pytest.raises(InputError) as error:
        make({name: options})
    assert str(error.value).startswith(words)


WARM = {"schedule": Schedule(warmup_epochs=2)}


@pytest.mark.parametrize(
    ("name", "options", "run", "words"),
    [
        ("scaling", {"warmup_epochs": 8}, {}, "scaling.warmup_epochs: 8; .* run's 8 epochs"),
        ("scaling", {"warmup_epochs": 1}, WARM, "training.schedule.warmup_epochs: 2; .* be 0"),
        ("legw", {"warmup_epochs": 2}, {}, r"legw.warmup_epochs: 2; .*to 8 epochs.* has 8.*low 2$"),
        ("legw", {"warmup_epochs": 1}, WARM, "training.schedule.warmup_epochs: 2; .* be 0"),
        ("growth", {}, {"small": 65}, "growth.start_batch_size: 65; .* run's batch size, 64"),
        ("growth", {"start_batch_size": 1}, {}, "growth.start_batch_size: 1; .* at least 2"),
        ("growth", {"every": 8}, {}, "growth.every: 8; .* the run's 8 epochs"),
        ("warm_start", {}, {"small": 65}, "warm_start.batch_size: 65; .* run's batch size, 64"),
        ("warm_start", {"batch_size": 1}, {}, "warm_start.batch_size: 1; .* at least 2"),
        ("warm_start", {"epochs": 8}, {}, "warm_start.epochs: 8; it must be below the run's 8"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(name, options, run, words):
    with pytest.raises(InputError, match=f"^{words}"):
        parts_of({name: options}, facts(**run))


def test_what_just_fits_is_taken():
    parts_of({"scaling": {"warmup_epochs": 7.9}}, facts())
    parts_of({"legw": {"warmup_epochs": 1.9}}, facts())
    parts_of({"growth": {"start_batch_size": 1, "every": 7}}, facts(batch_norm=False))
    parts_of({"warm_start": {"epochs": 7, "batch_size": 64}}, facts())
    for name in ("scaling", "legw"):  # nothing is trained, so nothing is warmed up
        parts_of({name: {"warmup_epochs": 0}}, facts(epochs=0))
