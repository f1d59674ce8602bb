"""Arrays: what is accepted, and what comes back from disk."""

import gc
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from largebatch.data import Arrays, load, save
from largebatch.errors import InputError


def contents(**changes) -> dict:
    images = torch.arange(6 * 8, dtype=torch.uint8).reshape(6, 1, 2, 4) * 5
    parts = {
        "train_inputs": images[:4].clone(),
        "train_targets": torch.tensor([2, 0, 1, 2]),
        "test_inputs": images[4:].clone(),
        "test_targets": torch.tensor([1, 1]),
        "classes": 3,
        "source": "toy",
        "options": {"train_samples": None, "seed": 3},
    }
    return parts | changes


@pytest.mark.parametrize("shape", [(7,), (1, 7), (3, 2, 5)])
def test_vectors_signals_and_images_are_accepted(shape):
    arrays = Arrays(
        **contents(train_inputs=torch.ones(4, *shape), test_inputs=torch.ones(2, *shape))
    )
    assert arrays.train_inputs.shape == (4, *shape)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"classes": 4}, "class 3"),
        ({"classes": 2}, "train_targets: label 2"),
        ({"test_targets": torch.tensor([1, 3])}, "test_targets: label 3"),
        ({"test_targets": torch.tensor([-1, 0])}, "test_targets: label -1"),
        ({"train_targets": torch.tensor([2, 0, 1])}, r"train_targets: torch.int64 \[3\]"),
        ({"train_targets": torch.tensor([2.0, 0, 1, 2])}, "train_targets: torch.float32"),
        ({"train_inputs": torch.ones(4, 1, 2, 4)}, "must be alike"),
        ({"test_inputs": torch.ones(2, 1, 4, 2).byte()}, "must be alike"),
        ({"test_inputs": torch.ones(2, 1, 2, 4).double()}, "test_inputs: dtype is torch.float64"),
        ({"test_inputs": torch.ones(2).byte()}, r"test_inputs: shape is \[2\]"),
        ({"test_inputs": torch.ones(0, 1, 2, 4).byte()}, r"test_inputs: shape is \[0, 1, 2, 4\]"),
    ],
)
def test_what_is_no_dataset_is_refused_by_name(changes, message):
    with pytest.raises(InputError, match=f"toy: .*{message}") as error:
        Arrays(**contents(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_is_named_by_its_sample(value):
    inputs = torch.linspace(-1, 1, 4 * 6).reshape(4, 6)
    inputs[2, 3] = value
    with pytest.raises(InputError, match="train_inputs: sample 2 "):
        Arrays(**contents(train_inputs=inputs, test_inputs=torch.ones(2, 6)))


def test_bytes_come_back_divided_by_255(tmp_path):
    stored = Arrays(**contents())
    read = load(save(stored, tmp_path / "toy"))
    assert read.train_inputs.dtype == torch.float32
    for name in ("train_inputs", "test_inputs"):
        expected = (getattr(stored, name).double() / 255).float()  # correctly rounded
        assert torch.equal(getattr(read, name), expected)
    assert torch.equal(read.train_targets, stored.train_targets)
    assert torch.equal(read.test_targets, stored.test_targets)
    assert (read.classes, read.source, read.options) == (3, "toy", stored.options)


def test_floats_come_back_unchanged(tmp_path):
    train, test = torch.randn(4, 1, 5) * 300, torch.randn(2, 1, 5)
    read = load(save(Arrays(**contents(train_inputs=train, test_inputs=test)), tmp_path))
    assert torch.equal(read.train_inputs, train)
    assert torch.equal(read.test_inputs, test)


def test_the_same_arrays_give_the_same_bytes(tmp_path):
    first, second = (save(Arrays(**contents()), tmp_path / name) for name in "ab")
    assert first == tmp_path / "a" / "arrays.safetensors"
    for name in ("arrays.safetensors", "record.json"):
        assert first.with_name(name).read_bytes() == second.with_name(name).read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "arrays.safetensors",
        "record.json",
    ]


def test_the_record_describes_the_file(tmp_path):
    path = save(Arrays(**contents()), tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    digests = record.pop("sha256")
    assert record == {
        "source": "toy",
        "options": {"train_samples": None, "seed": 3},
        "scale": "1/255",
        "input_range": [0.0, 155 / 255],
        "input_shape": [1, 2, 4],
        "classes": 3,
        "train_samples": 4,
        "test_samples": 2,
        "train_class_counts": [1, 1, 2],
        "test_class_counts": [0, 2, 0],
    }
    tensors = load_file(path)
    assert tensors["train_inputs"].dtype == torch.uint8
    assert digests == {
        name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
        for name, tensor in tensors.items()
    }


def test_a_file_cut_short_is_refused(tmp_path):
    path = save(Arrays(**contents()), tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"arrays\.safetensors: cannot be read"):
        load(path)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"arrays\.safetensors: cannot be read"):
        load(tmp_path / "arrays.safetensors")


def test_a_file_with_other_tensors_is_refused(tmp_path):
    path = save(Arrays(**contents()), tmp_path)
    tensors = load_file(path)
    del tensors["test_targets"]
    save_file(tensors, path)
    with pytest.raises(InputError, match=r"arrays.safetensors: holds .*test_targets"):
        load(path)


@pytest.mark.parametrize("metadata", [None, {"record": "{"}, {"record": '{"classes": 3}'}])
def test_a_file_without_a_record_is_refused(tmp_path, metadata):
    path = save(Arrays(**contents()), tmp_path)
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(InputError, match="has no record"):
        load(path)


def test_a_file_with_a_wrong_shape_is_refused_by_name(tmp_path):
    path = save(Arrays(**contents()), tmp_path)
    record = {"record": (tmp_path / "record.json").read_text()}
    tensors = load_file(path) | {"train_targets": torch.tensor([2, 0, 1])}
    save_file(tensors, path, metadata=record)
    with pytest.raises(InputError, match=r"arrays\.safetensors: toy: train_targets"):
        load(path)


def test_class_names_come_back_and_are_in_the_record(tmp_path):
    path = save(Arrays(**contents(class_names=["ant", "bee", "cat"])), tmp_path)
    assert load(path).class_names == ["ant", "bee", "cat"]
    assert json.loads((tmp_path / "record.json").read_text())["class_names"][1] == "bee"


@pytest.mark.parametrize("names", [["ant", "bee"], ["ant", "bee", 3], ("ant", "bee", "cat"), "abc"])
def test_class_names_must_be_one_text_a_class(names):
    with pytest.raises(InputError, match=r"toy: .*class_names"):
        Arrays(**contents(class_names=names))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux tells what is mapped")
def test_float_inputs_are_mapped_from_the_file_and_not_copied(tmp_path):
    inputs = torch.rand(1000, 50, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(1000) % 2
    parts = inputs[:800].clone(), targets[:800].clone(), inputs[800:], targets[800:]
    path = save(Arrays(*parts, 2, "toy", {}), tmp_path)
    arrays = load(path)
    assert str(path) in Path("/proc/self/maps").read_text()
    assert torch.equal(arrays.train_inputs, inputs[:800])
    del arrays
    gc.collect()
    assert str(path) not in Path("/proc/self/maps").read_text()
