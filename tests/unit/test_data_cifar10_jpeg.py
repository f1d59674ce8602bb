"""CIFAR-10's images as JPEG files: what is checked is the contents, not the packing."""

import hashlib
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from largebatch.data import cifar10_jpeg, prepare
from largebatch.data.cifar10_jpeg import contents_digest
from largebatch.errors import InputError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def jpeg(grey: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), grey, np.uint8)).save(stream, "jpeg")
    return stream.getvalue()


FILES = {
    f"{part}/{name}/{k:04}.jpg": jpeg(first + 20 * label + k)
    for part, first, count in (("train", 0, 3), ("test", 10, 2))
    for label, name in enumerate(NAMES)
    for k in range(count)
}


def packed(files: dict[str, bytes], top: str = "", packing=zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return stream.getvalue()


def digest_of(files: dict[str, bytes]) -> str:
    """As sha256sum prints them, sorted."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_digest_is_that_of_the_files_whatever_the_packing():
    expected = digest_of(FILES)
    assert contents_digest(packed(FILES)) == expected
    others = {"README.md": b"hello", ".gitignore": b"*"}
    top = "CIFAR-10-images-master/"
    again = packed(others | dict(reversed(FILES.items())), top, zipfile.ZIP_DEFLATED)
    assert contents_digest(again) == expected


def test_names_are_sorted_as_bytes():
    files = {"train/cat/1.jpg": b"1", "train/cat-x/1.jpg": b"2", "train/Cat/1.jpg": b"3"}
    assert contents_digest(packed(files)) == digest_of(files)


@pytest.mark.parametrize("change", ["content", "name", "one less", "one more", "two swapped"])
def test_the_digest_tells_other_contents(change):
    first, second = "train/cat/0000.jpg", "train/dog/0000.jpg"
    files = dict(FILES)
    if change == "content":
        files[first] = files[first][:-1] + b"\x00"
    elif change == "two swapped":
        files[first], files[second] = files[second], files[first]
    elif change == "one more":
        files["train/cat/0009.jpg"] = files[first]
    else:
        content = files.pop(first)
        if change == "name":
            files["train/cat/9.jpg"] = content
    assert contents_digest(packed(files)) != digest_of(FILES)


def test_an_archive_that_is_none_is_refused():
    with pytest.raises(InputError, match="cannot be read as a zip archive"):
        contents_digest(b"<html>")


def test_a_damaged_member_is_named():
    content = packed(FILES).replace(FILES["test/dog/0001.jpg"], b"x" * len(jpeg(111)), 1)
    with pytest.raises(InputError, match=r"test/dog/0001\.jpg: cannot be unpacked \(Bad CRC-32"):
        contents_digest(content)


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    monkeypatch.setattr(cifar10_jpeg, "FILE", replace(cifar10_jpeg.FILE, sha256=digest_of(FILES)))
    (tmp_path / "cifar10-jpeg").mkdir()
    path = tmp_path / "cifar10-jpeg" / "cifar10-jpeg.zip"
    path.write_bytes(packed(FILES, "CIFAR-10-images-master/"))
    return tmp_path


def test_an_archive_packed_by_github_becomes_arrays(mirror):
    arrays = prepare("cifar10-jpeg", {}, mirror=mirror)
    assert arrays.train_inputs.dtype == torch.uint8
    assert arrays.train_inputs.shape == (30, 3, 32, 32)
    assert arrays.test_inputs.shape == (20, 3, 32, 32)
    assert (arrays.train_inputs[:, 0, 0, 0].int() // 20 == arrays.train_targets).all()
    assert (arrays.test_inputs[:, 1, 9, 9].int() // 20 == arrays.test_targets).all()
    assert arrays.class_names == NAMES


def test_thin_studies_have_as_many_of_every_class(mirror):
    options = {"train_samples": 20, "test_samples": 10}
    arrays = prepare("cifar10-jpeg", options, mirror=mirror)
    assert arrays.train_targets.bincount().tolist() == [2] * 10
    assert arrays.test_targets.bincount().tolist() == [1] * 10
    other = prepare("cifar10-jpeg", {**options, "seed": 1}, mirror=mirror)
    assert not torch.equal(arrays.train_inputs, other.train_inputs)


def test_another_archive_in_the_mirror_is_refused(mirror):
    path = mirror / "cifar10-jpeg" / "cifar10-jpeg.zip"
    path.write_bytes(packed({**FILES, "train/cat/0009.jpg": jpeg(60)}))
    with pytest.raises(InputError, match=rf"{path}: wrong content.*expected {digest_of(FILES)}"):
        prepare("cifar10-jpeg", {}, mirror=mirror)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_samples": 50_001}, "cifar10-jpeg.train_samples: 50001 .* in 10..50000"),
        ({"test_samples": 9}, "cifar10-jpeg.test_samples: 9 .* in 10..10000"),
        ({"seed": None}, "cifar10-jpeg.seed: None "),
    ],
)
def test_bad_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepare("cifar10-jpeg", options)


REAL = Path(os.environ.get("LARGEBATCH_MIRROR") or "absent") / cifar10_jpeg.FILE.path


@pytest.mark.skipif(not REAL.exists(), reason="needs the real archive: set LARGEBATCH_MIRROR")
def test_the_real_archive_from_the_mirror(tmp_path):
    options = {"train_samples": 200, "test_samples": 50}
    arrays = prepare("cifar10-jpeg", options, mirror=REAL.parents[1], downloads=tmp_path)
    assert arrays.train_inputs.shape == (200, 3, 32, 32)
    assert arrays.train_targets.bincount().tolist() == [20] * 10
    assert arrays.test_targets.bincount().tolist() == [5] * 10
    assert arrays.class_names == NAMES
    # CIFAR-10's mean levels are 0.491, 0.482 and 0.447.
    means = arrays.train_inputs.double().mean((0, 2, 3)) / 255
    assert means.tolist() == pytest.approx([0.491, 0.482, 0.447], abs=0.05)
    assert list(tmp_path.iterdir()) == []
