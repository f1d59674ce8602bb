"""Right files of every format that is read, small, and the loader of each."""

import gzip
import io
import json
import struct
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from largebatch.data import arrays as arrays_module
from largebatch.data.archive import read_zip
from largebatch.data.cifar_binary import parse_records, read_members
from largebatch.data.idx import parse_idx
from largebatch.data.image_arrays import convert
from largebatch.data.images import decode
from largebatch.data.kaldi import read_pairs, read_table
from largebatch.data.spoken_digits import read_recordings
from largebatch.data.tree import open_tree
from largebatch.networks import NetworkSettings, build
from largebatch.stages.loading import load_network
from largebatch.storage import read_json

ARCHITECTURE = {"family": "fully_connected", "options": {"width": 4, "depth": 1}}
RECORD = b"\x01" + bytes(3072)
IMAGES = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")


def idx(*shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(np.prod(shape))


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a" * 120, "batch.bin"):  # the long name has a header of its own
            entry = tarfile.TarInfo(name)
            entry.size = len(RECORD)
            archive.addfile(entry, io.BytesIO(RECORD))
    return stream.getvalue()


def kaldi(kind: bytes, array: np.ndarray) -> bytes:
    if kind == b"int32":
        body = b"\4" + struct.pack("<i", len(array))
        return b"u1 \0B" + body + b"".join(b"\4" + struct.pack("<i", v) for v in array)
    sizes = b"".join(b"\4" + struct.pack("<i", size) for size in array.shape)
    return b"u1 \0B" + kind + b" " + sizes + array.tobytes()


def compressed(kind: bytes) -> bytes:
    rows, columns, width = 3, 2, 2 if kind == b"CM2" else 1
    header = struct.pack("<ffii", 0.0, 1.0, rows, columns)
    columns_header = struct.pack("<4H", 0, 1, 2, 3) * columns if kind == b"CM" else b""
    return b"u1 \0B" + kind + b" " + header + columns_header + bytes(rows * columns * width)


def wav() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(400))
    return stream.getvalue()


def picture(form: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((9, 7), 50).convert(mode).save(stream, form)
    return stream.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def picture_zip() -> bytes:
    names = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(2)]
    return zipped(dict.fromkeys(names, picture("PNG")))


def checkpoint() -> bytes:
    return save(build(NetworkSettings(**ARCHITECTURE), (3,), 2).state_dict())


def data_set() -> bytes:
    tensors = {}
    for part in ("train", "test"):
        tensors[f"{part}_inputs"] = torch.zeros(4, 3)
        tensors[f"{part}_targets"] = torch.tensor([0, 1, 0, 1])
    record = {"source": "s", "options": {}, "classes": 2}
    return save(tensors, {"record": json.dumps(record)})


def written(content: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def from_file(load, name: str):
    return lambda content, folder: load(written(content, folder, name))


def _convert(content: bytes, folder: Path):
    path = written(content, folder, "images.zip")
    options = {"size": None, "channels": 3, "test_fraction": 0.5, "seed": 0}
    with open_tree(path, "path") as tree:
        tree.digest()
        convert(tree, options | {"train_samples": None, "test_samples": None}, "images")


def _script(content: bytes, folder: Path):
    written(kaldi(b"FM", np.ones((3, 2), "<f4")), folder, "m.ark")
    list(read_table(written(content, folder, "t.scp"), folder))


def _checkpoint(content: bytes, folder: Path):
    path = written(content, folder, "w.safetensors")
    arrays = arrays_module.load(written(data_set(), folder, "right.safetensors"))
    load_network({"architecture": ARCHITECTURE}, arrays, path)


def _table(path: Path):
    list(read_table(path, path.parent))


FLOATS = np.ones((3, 2), "<f4")
KALDI = [kaldi(b"FM", FLOATS), kaldi(b"DM", FLOATS.astype("<f8")), kaldi(b"FV", FLOATS[0])]
KALDI += [kaldi(b"int32", np.arange(5)), *map(compressed, (b"CM", b"CM2", b"CM3"))]
STORED = zipped({"top/wavs/a": b"first"}, zipfile.ZIP_STORED)
# Name -> (right files, loader).
LOADERS = {
    "idx": ([idx(2, 28, 28)], lambda c, _: parse_idx(c, "f", (28, 28))),
    "CIFAR records": ([RECORD * 2], lambda c, _: parse_records(c, "f", (10,))),
    "CIFAR tar": (
        [tar()],
        lambda c, _: read_members(gzip.compress(c, 1), "f", {"batch.bin": len(RECORD)}),
    ),
    "CIFAR tar.gz": (
        [gzip.compress(tar())],
        lambda c, _: read_members(c, "f", {"batch.bin": len(RECORD)}),
    ),
    "Kaldi ark": (KALDI, from_file(_table, "t.ark")),
    "Kaldi ark.gz": ([gzip.compress(KALDI[0])], from_file(_table, "t.ark.gz")),
    "Kaldi scp": ([b"u1 m.ark:3\nu2 m.ark:3\n"], _script),
    "Kaldi utt2spk": ([b"u1 s1\nu2 s2\n"], from_file(read_pairs, "utt2spk")),
    "wav": ([wav()], lambda c, _: read_recordings({"recordings/0_theo_1.wav": c})),
    "zip": ([STORED, zipped({"wavs/a": bytes(999)})], lambda c, _: read_zip(c, "wavs", 1000)),
    "zip of images": ([picture_zip()], _convert),
    **{
        form: ([picture(form), picture(form, "L")], lambda c, _: decode(c, 3, None))
        for form in IMAGES
    },
    "checkpoint": ([checkpoint()], _checkpoint),
    "data set": ([data_set()], from_file(arrays_module.load, "arrays.safetensors")),
    "JSON": ([b'{"status": "completed", "epochs": [1, 2.5]}'], from_file(read_json, "run.json")),
}
