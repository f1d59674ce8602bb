"""Augmentation against exact flips, shifts and rotations, and its draws' range."""

from types import SimpleNamespace

import pytest
import torch
from attacked import facts, generator, network, problems, same, samples, trained

from largebatch.errors import InputError
from largebatch.training.remedies import make
from largebatch.training.remedies.augmentation import Augment, _cells, rotated, shifted

OFF = {"flip": False, "rotation": 0, "translation": 0}


def augment(flip=False, rotation=0.0, shifts=(0, 0), purpose="test"):
    return Augment(flip, rotation, list(shifts), generator(purpose))


def images(count=6, height=5, width=7):
    values = torch.arange(count * 2 * height * width, dtype=torch.float64)
    return values.view(count, 2, height, width)


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 9)])
def test_switched_off_it_is_the_plain_run(shape):
    plain, off = network(shape), network(shape)
    data = samples(shape=shape)
    first = trained(plain, {}, data)
    assert same(trained(off, {"augmentation": OFF}, data).weights, first.weights)
    if len(shape) == 2:  # for signals flip and rotation are off unless the translation is all
        off = network(shape)
        second = trained(off, {"augmentation": {"translation": 0}}, data)
        assert same(second.weights, first.weights)
    changed = trained(network(shape), {"augmentation": {"translation": 0.5}}, data)
    assert not same(changed.weights, first.weights)


def test_on_images_of_one_value_it_is_the_plain_run():
    inputs, targets = samples(shape=(2, 5, 7))
    inputs = inputs.mean(dim=(1, 2, 3), keepdim=True).expand_as(inputs).contiguous()
    plain, other = (
        trained(network((2, 5, 7)), entries, (inputs, targets), optimizer="sgd").weights
        for entries in ({}, {"augmentation": {}})
    )
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=1e-11)


def test_flips_mirror_about_half_of_the_images_and_nothing_else():
    inputs = images(count=400)
    outputs = augment(flip=True)(inputs)
    mirrored = torch.tensor(
        [torch.equal(a, b.flip(-1)) for a, b in zip(outputs, inputs, strict=True)]
    )
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(outputs, inputs, strict=True)])
    assert (mirrored ^ kept).all()
    assert 160 <= mirrored.sum() <= 240  # four standard deviations


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("cells", [-4, -1, 0, 3])
def test_a_shift_is_exact_and_repeats_the_border(axis, cells):
    inputs = images()
    outputs = shifted(inputs, axis, torch.full((6,), cells))
    size = inputs.shape[axis]
    for position in range(size):
        source = min(max(position - cells, 0), size - 1)
        assert torch.equal(outputs.select(axis, position), inputs.select(axis, source))


def test_shifts_of_signals_go_along_the_length_each_sample_by_its_own():
    length, largest = 40, 8  # 0.2 of 40, which is 8.000000000000002 in floating point
    inputs = torch.arange(float(length)).expand(500, 3, length).contiguous()
    outputs = augment(shifts=[largest])(inputs)
    cells = 20 - outputs[:, 0, 20].long()
    for sample, cell in zip(outputs, cells, strict=True):
        expected = (torch.arange(length) - cell).clamp(0, length - 1).float()
        assert torch.equal(sample, expected.expand(3, length))
    counts = (cells + largest).bincount(minlength=2 * largest + 1)
    assert len(counts) == 2 * largest + 1
    assert counts.min() > 0
    deviation = (counts - 500 / 17).square().sum() / (500 / 17)
    assert deviation < 45  # chi-square of 16 degrees of freedom: 45 is beyond 99.98%


@pytest.mark.parametrize(("option", "size", "cells"), [(0.2, 40, 8), (0.29, 100, 29), (0.2, 28, 5)])
def test_translations_are_rounded_down_to_cells_and_not_below(option, size, cells):
    assert _cells(option, size) == cells


@pytest.mark.parametrize("turns", [-1, 1, 2])
def test_quarter_turns_are_those_of_rot90(turns):
    inputs = images(height=6, width=6)
    outputs = rotated(inputs, torch.full((6,), 90.0 * turns))
    torch.testing.assert_close(outputs, inputs.rot90(turns, dims=(2, 3)), rtol=0, atol=1e-9)


def test_a_rotation_of_an_oblong_image_shears_nothing():
    """Bilinear interpolation is exact on a plane, whose rotation is known, away from the border."""
    height, width, degrees = 12, 20, torch.tensor([7.0, -25.0], dtype=torch.float64)
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
    outputs = rotated((3 * x - 2 * y).expand(2, 1, height, width), degrees)
    for output, angle in zip(outputs[:, 0], torch.deg2rad(degrees), strict=True):
        # A point of the turned image (y down, counterclockwise to the eye) comes from this one.
        source_x, source_y = angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y
        inside = (source_x.abs() <= (width - 1) / 2) & (source_y.abs() <= (height - 1) / 2)
        assert inside.sum() > 150
        expected = 3 * source_x - 2 * source_y
        torch.testing.assert_close(output[inside], expected[inside], rtol=0, atol=1e-9)


def test_angles_fill_the_range_and_differ_between_samples():
    """The angle is read from a plane x: its slope downwards at the centre is -sin(angle)."""
    plane = torch.arange(9.0, dtype=torch.float64).expand(300, 1, 9, 9) - 4
    outputs = augment(rotation=10.0)(plane)
    found = torch.rad2deg(torch.asin(-(outputs[:, 0, 5, 4] - outputs[:, 0, 3, 4]) / 2))
    assert found.abs().max() <= 10 + 1e-9
    assert found.min() < -9
    assert found.max() > 9
    assert abs(found.mean()) < 4 * (10 / 3**0.5) / 300**0.5
    assert len(found.unique()) == 300


def test_all_together_keep_shape_type_and_range_and_the_input():
    inputs = images().float() / 1000
    before = inputs.clone()
    outputs = augment(True, 10.0, (1, 1))(inputs)
    assert (outputs.shape, outputs.dtype) == (inputs.shape, inputs.dtype)
    assert torch.equal(inputs, before)
    for channel in range(2):
        low, high = inputs[:, channel].amin((1, 2)), inputs[:, channel].amax((1, 2))
        assert (outputs[:, channel] >= low[:, None, None] - 1e-6).all()
        assert (outputs[:, channel] <= high[:, None, None] + 1e-6).all()
    again = augment(True, 10.0, (1, 1))(inputs)
    assert torch.equal(again, outputs)
    other = augment(True, 10.0, (1, 1), purpose="other")(inputs)
    assert not torch.equal(other, outputs)


class Parts:
    augment = None


def installed(options, shape, generator=generator):
    """What the remedy puts into a run on data of this shape."""
    parts = Parts()
    context = SimpleNamespace(facts=facts(input_shape=shape), generator=generator)
    make({"augmentation": options})[0].install(parts, context)
    return parts.augment


def test_the_defaults_are_the_papers_for_images_and_a_shift_for_signals():
    images, signals = installed({}, (1, 28, 28)), installed({}, (1, 40))
    assert (images.flip, images.rotation, images.shifts) == (True, 10.0, [5, 5])
    assert (signals.flip, signals.rotation, signals.shifts) == (False, 0.0, [8])


def test_switched_off_it_asks_for_no_random_numbers():
    def refuse(purpose):
        raise AssertionError(purpose)

    assert installed(OFF, (1, 28, 28), refuse) is None
    assert installed({"translation": 0}, (1, 40), refuse) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1}, r"augmentation.flip: 1; it must be true, false or null"),
        ({"rotation": -1}, r"augmentation.rotation: -1; it must be null or degrees in \[0, 180\]"),
        ({"rotation": 181}, r"augmentation.rotation: 181"),
        ({"translation": 1}, r"augmentation.translation: 1; it must be in \[0, 1\)"),
        ({"translation": float("nan")}, r"augmentation.translation: nan"),
        ({"translation": True}, r"augmentation.translation: True"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        make({"augmentation": options})


@pytest.mark.parametrize(
    ("options", "shape", "wrong"),
    [
        ({}, (1, 28, 28), []),
        ({}, (1, 40), []),
        ({"flip": True}, (1, 40), ["augmentation.flip: True; the data are signals"]),
        ({"rotation": 5}, (1, 40), ["augmentation.rotation: 5; the data are signals"]),
        ({"flip": False, "rotation": 0}, (1, 40), []),
        ({}, (40,), ["augmentation.translation: 0.2; the data are vectors of 40 features"]),
        (
            {"flip": True, "translation": 0},
            (40,),
            ["augmentation.flip: True; the data are vectors"],
        ),
        ({"translation": 0}, (40,), []),
        ({"translation": 0.02}, (1, 40), ["augmentation.translation: 0.02; that is less than one"]),
        ({"translation": 0.025}, (1, 40), []),
    ],
)
def test_what_does_not_fit_the_data_is_refused(options, shape, wrong):
    found = problems({"augmentation": options}, input_shape=shape)
    assert [text[: len(start)] for text, start in zip(found, wrong, strict=True)] == wrong


def test_flips_of_signals_are_refused_before_training():
    with pytest.raises(InputError, match=r"augmentation.flip: True; .*null or 0"):
        trained(network((1, 8)), {"augmentation": {"flip": True}}, samples(shape=(1, 8)))
