"""Subsets and splits: shares by hand, nothing lost, nothing twice."""

import numpy as np
import pytest

from largebatch.data.draws import draw, shares, split
from largebatch.errors import InputError


@pytest.mark.parametrize(
    ("sizes", "count", "leave", "expected"),
    [
        ([50, 30, 20], 10, 0, [5, 3, 2]),
        ([5, 3, 2], 10, 0, [5, 3, 2]),
        ([55, 26, 19], 10, 0, [5, 3, 2]),  # 5.5, 2.6, 1.9: the largest remainders are rounded up
        ([1, 1, 1], 3, 0, [1, 1, 1]),
        ([98, 1, 1], 5, 0, [3, 1, 1]),  # one each, taken from the largest
        ([4, 4, 4], 7, 0, [3, 2, 2]),  # equal remainders: the first class
        ([2, 10], 9, 1, [1, 8]),  # 1.5 and 7.5, but one must be left
        ([2, 2], 2, 1, [1, 1]),
    ],
)
def test_shares_by_hand(sizes, count, leave, expected):
    assert shares(sizes, count, leave).tolist() == expected


@pytest.mark.parametrize("seed", range(20))
def test_shares_add_up_within_one_of_the_ideal_and_the_bounds(seed):
    generator = np.random.default_rng(seed)
    sizes = generator.integers(2, 40, size=generator.integers(2, 9))
    for count in range(len(sizes), sizes.sum() - len(sizes) + 1):
        found = shares(sizes, count, leave=1)
        assert found.sum() == count
        assert (found >= 1).all()
        assert (found <= sizes - 1).all()


LABELS = np.repeat([0, 1, 2], [60, 30, 10])


def test_a_draw_takes_each_once_in_proportion():
    found = draw(LABELS, 20, np.random.default_rng(0), "k")
    assert len(set(found.tolist())) == 20
    assert np.bincount(LABELS[found]).tolist() == [12, 6, 2]
    assert (np.diff(LABELS[found]) < 0).any()  # in no order by class
    other = draw(LABELS, 20, np.random.default_rng(1), "k")
    assert set(found.tolist()) != set(other.tolist())


def test_a_draw_of_all_is_a_permutation():
    found = draw(LABELS, None, np.random.default_rng(0), "k")
    assert sorted(found.tolist()) == list(range(100))
    assert (np.diff(found) < 0).any()
    assert found.tolist() == draw(LABELS, 100, np.random.default_rng(0), "k").tolist()


def test_what_is_drawn_of_one_part_does_not_change_the_next():
    generators = [np.random.default_rng(0), np.random.default_rng(0)]
    draw(LABELS, None, generators[0], "k")
    draw(LABELS, 5, generators[1], "k")
    assert generators[0].integers(1 << 60) == generators[1].integers(1 << 60)


@pytest.mark.parametrize("count", [2, 101])
def test_a_draw_that_cannot_be_is_refused(count):
    with pytest.raises(InputError, match=rf"k: {count} of 100 samples in 3 classes; .* in 3..100"):
        draw(LABELS, count, np.random.default_rng(0), "k")


def test_a_split_divides_all_in_proportion():
    train, test = split(LABELS, 0.2, np.random.default_rng(0))
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(100))
    assert np.bincount(LABELS[test]).tolist() == [12, 6, 2]


@pytest.mark.parametrize(("fraction", "expected"), [(0.001, [1, 1, 1]), (0.999, [59, 29, 9])])
def test_a_split_leaves_every_class_in_both_parts(fraction, expected):
    _, test = split(LABELS, fraction, np.random.default_rng(0))
    assert np.bincount(LABELS[test]).tolist() == expected
