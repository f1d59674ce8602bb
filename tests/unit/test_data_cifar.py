"""CIFAR-10 and CIFAR-100: archives built byte by byte, whole and broken."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import pytest
import torch

from largebatch.data import cifar10, cifar100, prepare
from largebatch.data.cifar_binary import parse_records, read_members
from largebatch.errors import InputError


def record(*labels: int, pixel: int = 0) -> bytes:
    """One record: the planes hold pixel, pixel + 1, pixel + 2, but the first byte of all is 255."""
    planes = bytes([pixel] * 1024 + [pixel + 1] * 1024 + [pixel + 2] * 1024)
    return bytes(labels) + b"\xff" + planes[1:]


def packed(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_records_are_planes_after_one_label():
    images, targets = parse_records(record(7, pixel=10) + record(3, pixel=20), "f", (10,))
    assert images.shape == (2, 3, 32, 32)
    assert images[0, 0, 0, :2].tolist() == [255, 10]
    assert (images[0, 1] == 11).all()
    assert (images[1, 2] == 22).all()
    assert targets.tolist() == [7, 3]
    assert targets.dtype == "int64"


def test_rows_come_before_columns():
    content = bytes([0]) + bytes(k % 256 for k in range(3072))
    images, _ = parse_records(content, "f", (10,))
    assert images[0, 0, 1, :3].tolist() == [32, 33, 34]
    assert images[0, 2, 31, 31] == 255


def test_the_fine_label_is_the_target():
    images, targets = parse_records(record(19, 99) + record(0, 42), "f", (20, 100))
    assert targets.tolist() == [99, 42]
    assert images[1, 0, 0, 0] == 255


@pytest.mark.parametrize(
    ("content", "classes", "message"),
    [
        (record(1) + record(10), (10,), "f: record 1 has label 10 in byte 0; .* 0..9"),
        (record(20, 5), (20, 100), "f: record 0 has label 20 in byte 0; .* 0..19"),
        (record(19, 100), (20, 100), "f: record 0 has label 100 in byte 1; .* 0..99"),
        (record(1)[:-1], (10,), "f: has 3072 bytes; .* 3073"),
        (record(1) + b"\x00", (10,), "f: has 3074 bytes; .* 3073"),
        (record(1), (20, 100), "f: has 3073 bytes; .* 3074"),
        (b"", (10,), "f: has 0 bytes"),
    ],
)
def test_broken_records_are_refused(content, classes, message):
    with pytest.raises(InputError, match=message):
        parse_records(content, "f", classes)


def test_members_are_found_by_their_exact_names():
    archive = packed({"a/x.bin": b"one", "x.bin": b"more", "a/y.bin": b"three"})
    assert read_members(archive, "t", {"a/y.bin": 5, "a/x.bin": 3}) == {
        "a/x.bin": b"one",
        "a/y.bin": b"three",
    }


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (packed({"b/x.bin": b"one"}), "t: lacks a/x.bin"),
        (packed({"a/x.bin": b"four"}), "t: a/x.bin has 4 bytes; it must have 3"),
        (b"no archive", "t: cannot be read as a tar.gz archive"),
        (gzip.compress(b"no tar" * 200), "t: cannot be read as a tar.gz archive"),
        (packed({"a/x.bin": b"one"})[:40], "t: cannot be read as a tar.gz archive"),
        (b"", "t: cannot be read as a tar.gz archive"),
    ],
    ids=["missing", "size", "not gzip", "not tar", "truncated", "empty"],
)
def test_broken_archives_are_refused(archive, message):
    with pytest.raises(InputError, match=message):
        read_members(archive, "t", {"a/x.bin": 3})


def test_a_link_is_no_member():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a/x.bin")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(InputError, match=r"t: lacks a/x\.bin"):
        read_members(stream.getvalue(), "t", {"a/x.bin": 0})


@pytest.fixture
def put_mirror(monkeypatch, tmp_path):
    """Write an archive into a mirror, and expect its digest and its numbers of records."""

    def put(module, members: dict[str, bytes], records: dict[str, int]):
        content = packed(members)
        file = replace(module.FILE, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(module, "FILE", file)
        monkeypatch.setattr(module, "RECORDS", records)
        path = tmp_path / file.path
        path.parent.mkdir()
        path.write_bytes(content)
        return tmp_path

    return put


def small_cifar10() -> dict[str, bytes]:
    folder = "cifar-10-batches-bin"
    names = [f"{folder}/data_batch_{k}.bin" for k in range(1, 6)]
    batches = {
        name: record(2 * k, pixel=10 * k) + record(2 * k + 1) for k, name in enumerate(names)
    }
    return {
        f"{folder}/batches.meta.txt": b"airplane\n",
        f"{folder}/test_batch.bin": record(8, pixel=90),
        **dict(reversed(batches.items())),  # the order is that of the names, not of the archive
    }


def test_cifar10_is_five_batches_and_a_test_batch(put_mirror):
    mirror = put_mirror(cifar10, small_cifar10(), {"train": 2, "test": 1})
    arrays = prepare("cifar10", {}, mirror=mirror)
    assert arrays.train_inputs.dtype == torch.uint8
    assert arrays.train_inputs.shape == (10, 3, 32, 32)
    assert arrays.train_targets.tolist() == list(range(10))
    assert arrays.train_inputs[4, :, 5, 5].tolist() == [20, 21, 22]
    assert arrays.test_targets.tolist() == [8]
    assert arrays.test_inputs[0, :, 31, 31].tolist() == [90, 91, 92]
    assert arrays.classes == 10


def test_cifar100_has_fine_labels(put_mirror):
    members = {
        "cifar-100-binary/train.bin": b"".join(record(k // 5 % 20, k % 100) for k in range(103)),
        "cifar-100-binary/test.bin": record(3, 77, pixel=5) + record(0, 1) + record(0, 2),
    }
    mirror = put_mirror(cifar100, members, {"train": 103, "test": 3})
    arrays = prepare("cifar100", {"train_samples": 101, "test_samples": 2}, mirror=mirror)
    assert arrays.train_targets.tolist() == [*range(100), 0]
    assert arrays.test_targets.tolist() == [77, 1]
    assert arrays.test_inputs[0, :, 9, 9].tolist() == [5, 6, 7]
    assert arrays.classes == 100


def test_an_archive_with_fewer_records_is_named(put_mirror):
    mirror = put_mirror(cifar10, small_cifar10(), {"train": 3, "test": 1})
    message = "cifar-10-binary.tar.gz: .*data_batch_5.bin has 6146 bytes; it must have 9219"
    with pytest.raises(InputError, match=message):
        prepare("cifar10", {}, mirror=mirror)


def test_the_expected_files_are_those_of_the_authors_page():
    assert [name[-7:-4] for name in cifar10.MEMBERS["train"]] == ["h_1", "h_2", "h_3", "h_4", "h_5"]
    assert cifar10.RECORDS == {"train": 10_000, "test": 10_000}
    assert cifar100.RECORDS == {"train": 50_000, "test": 10_000}
    assert cifar10.FILE.sha256.startswith("c4a38c50a1bc5f3a")
    assert cifar100.FILE.sha256.startswith("58a81ae192c23a4b")


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_samples": 50_001}, "train_samples: 50001 .* in 1..50000"),
        ({"test_samples": 0}, "test_samples: 0 .* in 1..10000"),
    ],
)
def test_bad_sample_counts_are_refused(source, options, message):
    with pytest.raises(InputError, match=f"{source}.{message}"):
        prepare(source, options)
