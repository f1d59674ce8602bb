"""Digits: scikit-learn's own images, split by class."""

import pytest
import torch
from sklearn.datasets import load_digits

from largebatch.data import prepare, save
from largebatch.errors import InputError


@pytest.fixture(scope="module")
def digits():
    return prepare("digits", {})


def rows(inputs, targets) -> list[tuple]:
    flat = (inputs.reshape(len(targets), 64) * 16).int().tolist()
    return sorted((int(t), *row) for t, row in zip(targets, flat, strict=True))


def test_every_image_is_in_one_part_with_its_own_label(digits):
    assert digits.train_inputs.dtype == torch.float32
    assert digits.train_inputs.shape == (1438, 1, 8, 8)
    assert digits.test_inputs.shape == (359, 1, 8, 8)
    images, targets = load_digits(return_X_y=True)
    both = torch.cat([digits.train_inputs, digits.test_inputs])
    found = rows(both, torch.cat([digits.train_targets, digits.test_targets]))
    assert found == rows(torch.from_numpy(images / 16), torch.from_numpy(targets))
    assert both.min() == 0
    assert both.max() == 1


def test_every_digit_has_the_same_share_in_both_parts(digits):
    train, test = digits.train_targets.bincount(), digits.test_targets.bincount()
    assert ((test / (train + test) - 359 / 1797).abs() < 1 / 174).all()  # within one image


def test_neither_part_is_ordered_by_class(digits):
    for targets in (digits.train_targets, digits.test_targets):
        assert len(targets[:100].unique()) == 10


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(digits, tmp_path):
    again = save(prepare("digits", {"seed": 0}), tmp_path / "again")
    assert save(digits, tmp_path / "first").read_bytes() == again.read_bytes()
    assert not torch.equal(prepare("digits", {"seed": 1}).train_inputs, digits.train_inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0}, "digits.test_fraction: 0 .* above 0 and below 1"),
        ({"test_fraction": 1.0}, "digits.test_fraction: 1.0 "),
        ({"test_fraction": "half"}, "digits.test_fraction: 'half' "),
        ({"test_fraction": True}, "digits.test_fraction: True "),
        ({"test_fraction": float("nan")}, "digits.test_fraction: nan "),
        ({"seed": -1}, "digits.seed: -1 "),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepare("digits", options)
