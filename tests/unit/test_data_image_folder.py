"""The user's own images: what is read."""

import pytest
import torch
from pictures import classes_only, folder_of, png, split_given, zip_of

from largebatch.data import load, prepare, save


def read(path, **options):
    return prepare("image-folder", {"path": str(path), **options})


def reds(inputs, targets) -> set[tuple[int, int]]:
    return {(int(x[0, 0, 0]), int(t)) for x, t in zip(inputs, targets, strict=True)}


def test_a_given_split_is_kept(tmp_path):
    arrays = read(folder_of(split_given(), tmp_path))
    assert arrays.train_inputs.dtype == torch.uint8
    assert arrays.train_inputs.shape == (4, 3, 2, 3)
    assert reds(arrays.train_inputs, arrays.train_targets) == {(20, 0), (21, 0), (12, 1), (10, 1)}
    assert reds(arrays.test_inputs, arrays.test_targets) == {(30, 1)}
    ant = arrays.train_inputs[(arrays.train_inputs[:, 0, 0, 0] == 20).nonzero()[0, 0]]
    assert ant[:, 1, 2].tolist() == [20, 1, 2]
    assert (arrays.classes, arrays.class_names) == (2, ["ant", "cat"])


def test_class_names_are_in_the_record_and_come_back(tmp_path):
    arrays = read(folder_of(split_given(), tmp_path / "images"))
    again = load(save(arrays, tmp_path / "saved"))
    assert again.class_names == ["ant", "cat"]
    assert again.options["path"] == str(tmp_path / "images")


def test_without_a_split_one_is_drawn_in_proportion(tmp_path):
    top = folder_of(classes_only({"cat": 20, "bird": 10}), tmp_path)
    arrays = read(top, test_fraction=0.3)
    train = reds(arrays.train_inputs, arrays.train_targets)
    test = reds(arrays.test_inputs, arrays.test_targets)
    assert arrays.test_targets.bincount().tolist() == [3, 6]
    assert train | test == {(k, 1) for k in range(20)} | {(k, 0) for k in range(10)}
    assert len(train) + len(test) == 30
    assert reds(*(getattr(read(top, seed=1), f"test_{x}") for x in ("inputs", "targets"))) != test


def test_samples_are_drawn_in_proportion_and_in_no_order(tmp_path):
    top = folder_of(classes_only({"cat": 40, "bird": 20}), tmp_path)
    arrays = read(top, test_fraction=0.5, train_samples=9, test_samples=6)
    assert arrays.train_targets.bincount().tolist() == [3, 6]
    assert arrays.test_targets.bincount().tolist() == [2, 4]
    assert (arrays.train_targets.diff() < 0).any()
    full = read(top, test_fraction=0.5)
    for part in ("train", "test"):
        some, every = (
            reds(getattr(a, f"{part}_inputs"), getattr(a, f"{part}_targets"))
            for a in (arrays, full)
        )
        assert some < every


@pytest.mark.parametrize("order", [list, reversed])
@pytest.mark.parametrize("prefix", ["", "My images/"])
def test_a_zip_gives_the_same_as_the_folder_whatever_its_order(tmp_path, prefix, order):
    files = split_given()
    folder = folder_of(files, tmp_path / "images")
    extra = {"__MACOSX/._x.png": b"", "__MACOSX/train/cat/2.png": b"rubbish"}
    packed = zip_of(dict(order(files.items())) | extra, tmp_path, prefix)
    first, second = read(folder), read(packed)
    for name in ("train_inputs", "train_targets", "test_inputs", "test_targets"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert first.class_names == second.class_names


def test_the_same_files_and_options_give_the_same_bytes(tmp_path):
    top = folder_of(classes_only({"cat": 5, "bird": 5}), tmp_path / "images")
    first, second = (save(read(top), tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_other_files_and_hidden_ones_are_left_out(tmp_path):
    files = split_given()
    others = {
        "notes.txt": b"x",
        "train/labels.csv": b"x",
        "train/cat/Thumbs.db": b"x",
        "train/cat/.hidden.png": b"x",
        "train/.cache/x.png": b"x",
        ".git/x.png": b"x",
    }
    assert len(read(folder_of(files | others, tmp_path)).train_inputs) == 4


def test_size_resizes_all(tmp_path):
    files = split_given() | {"train/cat/2.png": png(12, 0, 0, size=(5, 7))}
    top = folder_of(files, tmp_path)
    assert read(top, size=4).train_inputs.shape == (4, 3, 4, 4)
    arrays = read(top, size=[4, 6], channels=1)
    assert arrays.train_inputs.shape == (4, 1, 4, 6)
    assert arrays.test_inputs.unique().tolist() == [9]  # 30 * 0.299, one colour everywhere


def test_a_loop_of_links_ends(tmp_path):
    top = folder_of(split_given(), tmp_path / "images")
    (top / "train" / "cat" / "again").symlink_to(top)
    assert len(read(top).train_inputs) == 4
