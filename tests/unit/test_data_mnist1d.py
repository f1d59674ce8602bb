"""MNIST-1D: the package's own signals, without side effects."""

import random

import mnist1d.data
import numpy as np
import pytest
import torch

from largebatch.data import load, prepare, save
from largebatch.errors import InputError

SMALL = {"train_samples": 70, "test_samples": 25}


@pytest.fixture(scope="module")
def small():
    return prepare("mnist1d", SMALL)


def test_the_default_is_the_package_s_standard_dataset():
    arrays = prepare("mnist1d", {})
    own = mnist1d.data.make_dataset()
    assert arrays.train_inputs.shape == (4000, 1, 40)
    assert arrays.test_inputs.shape == (1000, 1, 40)
    assert np.array_equal(arrays.train_inputs[:, 0].numpy(), own["x"].astype(np.float32))
    assert np.array_equal(arrays.test_inputs[:, 0].numpy(), own["x_test"].astype(np.float32))
    assert np.array_equal(arrays.train_targets.numpy(), own["y"])
    assert np.array_equal(arrays.test_targets.numpy(), own["y_test"])
    assert arrays.options == {"train_samples": 4000, "test_samples": 1000, "seed": 42}


def test_other_sizes_are_the_first_signals_of_a_total_rounded_up_to_whole_classes(small):
    settings = mnist1d.data.get_dataset_args()
    settings.num_samples = 100
    own = mnist1d.data.make_dataset(settings)
    signals = np.concatenate([own["x"], own["x_test"]]).astype(np.float32)
    labels = np.concatenate([own["y"], own["y_test"]])
    assert np.array_equal(small.train_inputs[:, 0].numpy(), signals[:70])
    assert np.array_equal(small.test_inputs[:, 0].numpy(), signals[70:95])
    assert np.array_equal(small.train_targets.numpy(), labels[:70])
    assert np.array_equal(small.test_targets.numpy(), labels[70:95])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, small):
    again = save(prepare("mnist1d", SMALL), tmp_path / "again")
    assert save(small, tmp_path / "first").read_bytes() == again.read_bytes()
    assert torch.equal(load(again).train_inputs, small.train_inputs)
    other = prepare("mnist1d", {**SMALL, "seed": 43})
    assert not torch.equal(other.train_inputs, small.train_inputs)


def test_global_generators_are_left_alone():
    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    def seed():
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002
        torch.manual_seed(7)

    seed()
    expected = draw()
    seed()
    prepare("mnist1d", SMALL)
    assert draw() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_samples": 0}, "mnist1d.train_samples: 0 .* integer >= 1"),
        ({"test_samples": 2.5}, "mnist1d.test_samples: 2.5 "),
        ({"test_samples": None}, "mnist1d.test_samples: None "),
        ({"seed": True}, "mnist1d.seed: True "),
        ({"seed": 2**32}, "mnist1d.seed: 4294967296 .* in 0..4294967295"),
        ({"seed": -1}, "mnist1d.seed: -1 "),
        ({"train_samples": 3}, "no training sample of class"),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepare("mnist1d", {**SMALL, **options})
