"""The choice of a learning rate: which part of the training set it rests on, and who wins."""

from types import SimpleNamespace

import pytest
import torch

from largebatch.data.arrays import Arrays
from largebatch.seeding import torch_generator
from largebatch.stages import tune
from largebatch.stages.tune import choose, held_counts, split
from largebatch.storage import read_json


def arrays(counts=(50, 30, 20)) -> Arrays:
    targets = torch.cat([torch.full((count,), k) for k, count in enumerate(counts)])
    inputs = torch.arange(len(targets)).float().unsqueeze(1)
    return Arrays(inputs, targets, -inputs[:9] - 1, targets[:9], len(counts), "toy", {})


def test_the_split_is_by_class_and_of_the_training_set_alone():
    parts = split(arrays(), 0.2, torch_generator(0))
    assert parts.test_targets.bincount().tolist() == [10, 6, 4]
    assert parts.train_targets.bincount().tolist() == [40, 24, 16]
    together = torch.cat([parts.train_inputs, parts.test_inputs]).flatten().sort().values
    assert torch.equal(together, torch.arange(100).float())  # no sample of the test set is there


def test_the_split_depends_on_its_generator():
    first, again, other = (split(arrays(), 0.2, torch_generator(s)).test_inputs for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_held_out_part_has_the_size_asked_for():
    assert held_counts([7, 7, 7, 7, 7], 0.2) == [2, 2, 1, 1, 1]  # 7 of 35; 1.4 each
    assert sum(held_counts([397, 403, 401, 399, 400] * 2, 0.2)) == 800
    assert held_counts([3, 100], 0.1) == [0, 10]


def row(factor, accuracy, loss=1.0, status="completed"):
    return {
        **{"factor": factor, "trial": 0, "status": status, "train_accuracy": 1.0},
        **{"validation_accuracy": accuracy, "validation_loss": loss},
    }


@pytest.mark.parametrize(
    ("rows", "factor"),
    [
        ([row(0.3, 80), row(1, 90), row(3, 85)], 1),
        ([row(0.3, 90, 0.5), row(1, 90, 0.4)], 1),  # the lower loss decides
        ([row(1, 90), row(1, 70), row(3, 81), row(3, 81)], 3),  # means over trials
        ([row(1, 50), row(3, 99, status="diverged")], 1),
        ([row(1, 0.0, status="diverged"), row(0.3, 0.0, status="diverged")], 0.3),
        ([row(3, 90), row(1, 90)], 1),  # of equals the smaller rate
    ],
)
def test_the_best_factor_is_chosen(rows, factor):
    assert choose(rows) == factor


@pytest.mark.parametrize("reason", ["epochs", "diverged"])
def test_an_infinite_loss_on_the_validation_split_alone_is_a_failed_run(
    tmp_path, monkeypatch, reason
):
    last = {"train_accuracy": 50.0, "test_accuracy": 90.0}

    def fitted(spec, parts, samples, checkpoint=None):
        rate = spec["training"]["learning_rate"]
        history = [last | {"test_loss": float("inf") if rate == 3 else 1.0}]
        bad = reason if rate == 3 else "epochs"
        return SimpleNamespace(outcome=SimpleNamespace(history=history, stop_reason=bad))

    monkeypatch.setattr(tune, "fit", fitted)
    monkeypatch.setattr(tune, "load", lambda path, device: arrays())
    spec = {"device": "cpu", "seed": 0, "trials": 1, "validation": 0.2, "factors": [3, 1]}
    path = tmp_path / "tuned.json"
    tune.run(spec | {"training": {"learning_rate": 1}}, {"data": ""}, {"tuned": path})
    found = read_json(path)
    assert found["factor"] == 1
    assert [row["status"] for row in found["rows"]] == ["diverged", "completed"]
