"""Files that ask for far more than they hold: refused before the memory or the time is spent."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from broken_files import ARCHITECTURE, RECORD, data_set, kaldi, picture, written, zipped
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import ending
from safetensors.torch import save

from largebatch.data import arrays, images, timit
from largebatch.data import kaldi as kaldi_module
from largebatch.data.archive import read_zip
from largebatch.data.cifar_binary import read_members
from largebatch.data.download import RemoteFile
from largebatch.data.images import read_images
from largebatch.data.kaldi import read_table
from largebatch.data.spoken_digits import read_recordings
from largebatch.data.tree import folder_tree, zip_tree
from largebatch.errors import InputError
from largebatch.stages.loading import completed, load_network
from largebatch.storage import read_json

HUGE = 2**31 - 1


def refused(load, *arguments) -> None:
    assert ending(load, *arguments) == "refused"


def table(path):
    return list(read_table(path, path.parent))


@pytest.mark.parametrize(
    "value",
    [
        b"\4" + struct.pack("<i", HUGE),
        b"\4" + struct.pack("<i", -1),
        b"FM \4" + struct.pack("<i", HUGE) + b"\4" + struct.pack("<i", HUGE),
        b"FM \4" + struct.pack("<i", -1) + b"\4" + struct.pack("<i", 40) + bytes(160),
        b"FV \4" + struct.pack("<i", HUGE) + bytes(8),
        b"DV \4" + struct.pack("<i", 3) + bytes(8),  # kaldiio takes the one that is there
        b"CM " + struct.pack("<ffii", 0, 1, HUGE, HUGE),
        b"CM " + struct.pack("<ffii", 0, 1, 1, -40),
        b"CM3 " + struct.pack("<ffii", 0, 1, HUGE, 40),
        b"XX " + bytes(99),
        b"F",
    ],
)
@pytest.mark.parametrize("name", ["t.ark", "t.ark.gz"])
def test_a_kaldi_header_is_not_believed(tmp_path, name, value):
    content = b"u1 \0B" + value
    refused(table, written(gzip.compress(content) if "gz" in name else content, tmp_path, name))


def test_kaldi_tables_are_bounded(tmp_path, monkeypatch):
    refused(table, written(b"x" * 20_000, tmp_path, "t.ark"))
    monkeypatch.setattr(kaldi_module, "MAX_UNPACKED", 1 << 20)
    refused(table, written(gzip.compress(bytes(2 << 20)), tmp_path, "t.ark.gz"))
    right = kaldi(b"FM", np.ones((3, 2), "<f4"))
    assert ending(table, written(gzip.compress(right), tmp_path, "t.ark.gz")) == "accepted"


@pytest.mark.parametrize("entry", ["m.ark:" + "9" * 5000, "m.ark:" + "9" * 18, "x" * 5000, "~z/a"])
def test_a_script_entry_may_say_anything(tmp_path, entry):
    written(kaldi(b"FM", np.ones((3, 2), "<f4")), tmp_path, "m.ark")
    refused(table, written(f"u1 {entry}\n".encode(), tmp_path, "t.scp"))


def test_a_senone_does_not_size_a_table(tmp_path):
    ids = written(kaldi(b"int32", np.array([HUGE])), tmp_path, "a.ark")
    frames = written(kaldi(b"FM", np.ones((1, 40), "<f4")), tmp_path, "f.ark")
    files = {f"{part}_features": frames.name for part in ("train", "test")}
    files |= {f"{part}_alignments": ids.name for part in ("train", "test")}
    options = timit.OPTIONS | files | {"path": str(tmp_path), "senones": None}
    refused(timit.prepare, options | {"absent_senones": "drop"}, None)


def bomb(method: int, size: int = 80 << 20) -> bytes:
    """A zip whose file unpacks to far more than its headers declare, 10 bytes."""
    content = bytearray(zipped({"wavs/a.png": bytes(size)}, method))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", 10)
    return bytes(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_lies_about_its_size_is_not_unpacked(method):
    content = bomb(method)
    refused(read_zip, content, "wavs", 1000)
    with zip_tree(io.BytesIO(content), "z") as tree:
        refused(tree.read, tree.files[0])


def test_a_zip_with_fewer_bytes_than_declared_is_refused():
    content = bytearray(zipped({"wavs/a": b"first"}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        content[content.index(mark) + offset] = 9
    refused(read_zip, bytes(content), "wavs", 1000)


def tar_entry(name: str, size: int, kind: bytes = tarfile.REGTYPE, body: bytes = b"") -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    padded = body + bytes(-len(body) % 512)
    return entry.tobuf(tarfile.GNU_FORMAT) + padded


PAX = b"18 size=-99999999\n"
TARS = {
    "long name": tar_entry("x", 1 << 40, tarfile.GNUTYPE_LONGNAME),
    "pax header": tar_entry("x", 1 << 33, tarfile.XHDTYPE),
    "far away": tar_entry("other", 1 << 40),
    "negative": tar_entry("other", -1024) * 3,
    "negative pax": tar_entry("p", len(PAX), tarfile.XHDTYPE, PAX) + tar_entry("x", 3),
    "many pax": tar_entry("p", 0, tarfile.XHDTYPE) * 3000,
    "bomb": tar_entry("other", 256 << 20) + bytes(64 << 20),
}


@pytest.mark.parametrize("name", TARS)
def test_a_tar_header_is_not_believed(name):
    sizes = {"batch.bin": len(RECORD)}
    refused(read_members, gzip.compress(TARS[name] + bytes(1024), 1), "f", sizes)


names = st.lists(st.sampled_from(["..", ".", "", "wavs", "/", "a", "C:", "\\", "~", "$(x)", "ü"]))


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(names, st.sampled_from([0, 0o120777, 0o100644]))
def test_no_name_in_an_archive_leads_out_of_its_folder(parts, mode):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("/".join([*parts, "a.png"]))
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    link = mode == 0o120777
    try:
        found = read_zip(stream.getvalue(), "wavs", 1000)
        assert not link
        assert all(name.startswith("wavs/") and ".." not in name.split("/") for name in found)
    except InputError:
        pass
    with zip_tree(stream, "z") as tree:
        assert not (link and tree.files)
        assert not any({"..", ".", ""} & set(name.split("/")) for name in tree.files)


def test_a_folder_of_images_may_hold_pipes_and_devices(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    written(bytes(2000), tmp_path, "large.png")
    monkeypatch.setattr("largebatch.data.tree.MAX_FILE_BYTES", 1000)
    tree = folder_tree(tmp_path, "t")
    for name in ("pipe.png", "endless.png", "large.png"):
        refused(tree.read, name)


def test_a_mirror_may_hold_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "f")
    refused(RemoteFile("f", (), "0" * 64, 10).read, tmp_path / "f")


def test_images_that_do_not_fit_into_memory_are_refused(monkeypatch):
    content = picture("PNG")
    monkeypatch.setattr(images.os, "sysconf", lambda key: 20)  # 400 bytes
    refused(read_images, lambda name: content, ["a", "b", "c"], 3, None, "s")
    assert read_images(lambda name: content, ["a", "b"], 3, None, "s").nbytes == 378


@pytest.mark.parametrize("count", [HUGE, 2**32 - 1])
def test_a_wav_header_is_not_believed(count):
    head = b"RIFF" + struct.pack("<I", count) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data"
    content = head + struct.pack("<I", count) + bytes(10)
    refused(read_recordings, {"recordings/0_theo_1.wav": content})


def tensors_file(**changes) -> bytes:
    """A file of weights whose header says something else of the tensor `w`."""
    described = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes
    header = json.dumps({"w": described}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 99_999_999) + b"{}",
        *(tensors_file(dtype=d) for d in ("X", 3, "F4", "F8_E8M0", "C64", "U64", "BOOL")),
        tensors_file(shape=[2**62, 2**62]),
        tensors_file(shape=[-1]),
        tensors_file(shape=[2**40]),
        tensors_file(data_offsets=[0, 2**62]),
        tensors_file(data_offsets=[8, 0]),
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_a_header_of_weights_is_not_believed(tmp_path, content):
    right = arrays.load(written(data_set(), tmp_path, "right.safetensors"))
    path = written(content, tmp_path, "w.safetensors")
    refused(load_network, {"architecture": ARCHITECTURE}, right, path)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (torch.int32, 1),
        (torch.bool, True),
        (torch.complex64, 1j),
        (torch.float8_e4m3fn, 1.0),
        (torch.float64, 1e300),
        (torch.float16, float("nan")),
    ],
)
def test_weights_of_another_kind_are_refused(tmp_path, dtype, value):
    from largebatch.networks import NetworkSettings, build

    right = arrays.load(written(data_set(), tmp_path, "right.safetensors"))
    state = build(NetworkSettings(**ARCHITECTURE), (3,), 2).state_dict()
    name = next(iter(state))
    state[name] = torch.full(state[name].shape, value, dtype=dtype)
    path = written(save(state), tmp_path, "w.safetensors")
    refused(load_network, {"architecture": ARCHITECTURE}, right, path)
    state[name] = torch.ones(state[name].shape, dtype=torch.bfloat16)
    path = written(save(state), tmp_path, "w.safetensors")
    assert ending(load_network, {"architecture": ARCHITECTURE}, right, path) == "accepted"


@pytest.mark.parametrize(
    "record",
    [
        '{"source": "s", "options": {}, "classes": 1000000000000}',
        '{"source": "s", "options": {}, "classes": ' + "9" * 5000 + "}",
        '{"source": "s", "options": {}, "classes": true}',
        "[" * 100_000,
        "[]",
        "null",
        '{"source": "s"}',
    ],
)
def test_a_record_of_a_data_set_is_not_believed(tmp_path, record):
    tensors = {}
    for part in ("train", "test"):
        tensors[f"{part}_inputs"] = torch.zeros(4, 3)
        tensors[f"{part}_targets"] = torch.tensor([0, 1, 0, 1])
    refused(arrays.load, written(save(tensors, {"record": record}), tmp_path, "a.safetensors"))


def test_a_label_does_not_size_a_table(tmp_path):
    tensors = {}
    for part in ("train", "test"):
        tensors[f"{part}_inputs"] = torch.zeros(2, 3)
        tensors[f"{part}_targets"] = torch.tensor([0, 10**11])
    record = json.dumps({"source": "s", "options": {}, "classes": 10**11 + 1})
    refused(arrays.load, written(save(tensors, {"record": record}), tmp_path, "a.safetensors"))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "{", '{"status": 1}', "[]", "null"])
def test_a_record_of_a_run_is_not_believed(tmp_path, text):
    path = written(text.encode(), tmp_path, "run.json")
    refused(completed, str(path))
    if text[:2] in ("[[", "99", "{"):
        refused(read_json, path)
