"""MNIST: the idx parser, byte by byte, and the four files together."""

import gzip
import hashlib
import os
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from largebatch.data import mnist, prepare
from largebatch.data.idx import parse_idx
from largebatch.errors import InputError

IMAGES = struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 3) + bytes(range(12))
LABELS = struct.pack(">4BI", 0, 0, 8, 1, 4) + bytes([7, 0, 9, 3])


def test_images_and_labels_are_read():
    images = parse_idx(IMAGES, "images", (2, 3))
    assert images.dtype == np.uint8
    assert images.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert parse_idx(LABELS, "labels", ()).tolist() == [7, 0, 9, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x01" + IMAGES[1:], "starts with 01000803, .* 00000803"),
        (IMAGES[:2] + b"\x0d" + IMAGES[3:], "starts with 00000d03"),
        (LABELS, "starts with 00000801"),
        (b"", "starts with nothing"),
        (IMAGES[:10], "truncated, 10 bytes; the header alone has 16"),
        (IMAGES[:-1], r"truncated, 27 bytes; shape \(2, 2, 3\) needs 28"),
        (IMAGES + b"\x00", "too long, 29 bytes"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 2) + bytes(12), r"has shape \(2, 3, 2\)"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 2, 3), r"has shape \(0, 2, 3\)"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2, 3) + bytes(12), "truncated, 28 bytes"),
    ],
    ids=[
        "magic number",
        "type",
        "dimensions",
        "empty",
        "short header",
        "truncated",
        "too long",
        "sizes",
        "no samples",
        "more samples than bytes",
    ],
)
def test_a_broken_idx_file_is_refused(content, message):
    with pytest.raises(InputError, match=f"images: {message}"):
        parse_idx(content, "images", (2, 3))


def image_file(count: int, first: int = 0) -> bytes:
    pixels = (np.arange(count * 28 * 28) + first).astype(np.uint8)
    return struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + pixels.tobytes()


def label_file(labels: list[int]) -> bytes:
    return struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + bytes(labels)


def small_mnist(**changes) -> dict[str, bytes]:
    return {
        "train_inputs": image_file(12),
        "train_targets": label_file([5, 0, 4, 1, 9, 2, 3, 6, 7, 8, 1, 3]),
        "test_inputs": image_file(3, first=100),
        "test_targets": label_file([7, 2, 1]),
    } | changes


@pytest.fixture
def put_mirror(monkeypatch, tmp_path):
    """Write files into a mirror and make their digests the expected ones."""

    def put(contents: dict[str, bytes]):
        for name, content in contents.items():
            file = replace(mnist.FILES[name], sha256=hashlib.sha256(content).hexdigest())
            monkeypatch.setitem(mnist.FILES, name, file)
            path = tmp_path / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(content))
        return tmp_path

    return put


def test_the_four_files_become_arrays(put_mirror):
    arrays = prepare("mnist", {}, mirror=put_mirror(small_mnist()))
    assert arrays.train_inputs.dtype == torch.uint8
    assert arrays.train_inputs.shape == (12, 1, 28, 28)
    assert arrays.train_inputs.flatten().tolist() == [k % 256 for k in range(12 * 784)]
    assert arrays.train_targets.tolist() == [5, 0, 4, 1, 9, 2, 3, 6, 7, 8, 1, 3]
    assert arrays.test_inputs[0, 0, 0, :2].tolist() == [100, 101]
    assert arrays.test_targets.tolist() == [7, 2, 1]
    assert arrays.classes == 10


def test_thin_studies_take_the_first_samples(put_mirror):
    options = {"train_samples": 10, "test_samples": 2}
    arrays = prepare("mnist", options, mirror=put_mirror(small_mnist()))
    assert arrays.train_targets.tolist() == [5, 0, 4, 1, 9, 2, 3, 6, 7, 8]
    assert arrays.train_inputs.flatten().tolist() == [k % 256 for k in range(10 * 784)]
    assert arrays.test_targets.tolist() == [7, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_targets": label_file([7, 10, 1])}, "t10k-labels.*: label 10"),
        ({"test_targets": label_file([7, 2])}, "t10k-labels.*: 2 labels for 3 images"),
    ],
)
def test_wrong_labels_are_refused(put_mirror, changes, message):
    with pytest.raises(InputError, match=message):
        prepare("mnist", {}, mirror=put_mirror(small_mnist(**changes)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_samples": 60_001}, "mnist.train_samples: 60001 .* in 1..60000"),
        ({"test_samples": 0}, "mnist.test_samples: 0 .* in 1..10000"),
        ({"test_samples": "all"}, "mnist.test_samples: 'all' "),
    ],
)
def test_bad_sample_counts_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepare("mnist", options)


@pytest.mark.skipif(
    not os.environ.get("LARGEBATCH_MIRROR"), reason="needs real MNIST: set LARGEBATCH_MIRROR"
)
def test_real_mnist_from_the_mirror(tmp_path):
    arrays = prepare("mnist", {}, mirror=os.environ["LARGEBATCH_MIRROR"], downloads=tmp_path)
    assert arrays.train_inputs.shape == (60_000, 1, 28, 28)
    assert arrays.test_inputs.shape == (10_000, 1, 28, 28)
    # Known facts of MNIST: its first labels, class counts, and mean pixel 0.1307.
    assert arrays.train_targets[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert arrays.test_targets[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert arrays.train_targets.bincount().tolist()[:3] == [5923, 6742, 5958]
    assert arrays.train_inputs.double().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert list(tmp_path.iterdir()) == []
