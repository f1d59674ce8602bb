"""Files in a zip: found below their folder, digested whatever the packing, broken ones refused."""

import hashlib
import io
import zipfile
from dataclasses import replace
from functools import partial

import pytest

from largebatch.data.archive import content_digest, read_zip, zip_digest
from largebatch.data.download import RemoteFile, fetch
from largebatch.errors import InputError

FILES = {"wavs/a.wav": b"first", "wavs/b/c.wav": b"second"}


def packed(files: dict[str, bytes], top: str = "", method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return stream.getvalue()


@pytest.mark.parametrize("top", ["", "upstream-1.0/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_found_below_their_folder_and_sorted(top, method):
    content = packed({"wavs/b/c.wav": b"second", "wavs/": b"", "README": b"x"} | FILES, top, method)
    found = read_zip(content, "wavs", 11)
    assert list(found.items()) == list(FILES.items())


def test_the_digest_is_that_of_sha256sum():
    lines = "".join(f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in FILES)
    assert content_digest(FILES) == hashlib.sha256(lines.encode()).hexdigest()
    assert content_digest(dict(reversed(FILES.items()))) == content_digest(FILES)
    renamed = {"wavs/A.wav": b"first", "wavs/b/c.wav": b"second"}
    swapped = {"wavs/a.wav": b"second", "wavs/b/c.wav": b"first"}
    assert len({content_digest(files) for files in (FILES, renamed, swapped)}) == 3


def flipped(content: bytes, inside: bytes) -> bytes:
    place = content.index(inside)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def encrypted(content: bytes) -> bytes:
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of encryption
        place = content.index(mark) + offset
        content = content[:place] + b"\x01" + content[place + 1 :]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>sign in</html>", "cannot be read as a zip"),
        (packed(FILES)[:-30], "cannot be read as a zip"),
        (flipped(packed(FILES), b"second"), "cannot be read as a zip .*c.wav"),
        (packed({"wavs/ä": b"1"}).replace("ä".encode(), b"\xff\xff"), "cannot be read as a zip"),
        (encrypted(packed({"wavs/a.wav": b"first"})), "cannot be unpacked .*encrypted"),
        (packed({"sounds/a.wav": b"first"}), "no files below a folder 'wavs'"),
        (packed({"x/y/wavs/a.wav": b"first"}), "no files below a folder 'wavs'"),
        (packed(FILES | {"top/wavs/a.wav": b"other"}), "holds 'wavs/a.wav' twice"),
        (packed({"wavs/a.wav": b"0" * 12}, "", zipfile.ZIP_DEFLATED), "more than the 11 bytes"),
    ],
    ids=[
        "no zip",
        "cut",
        "damaged",
        "name",
        "encrypted",
        "no folder",
        "too deep",
        "twice",
        "too much",
    ],
)
def test_a_zip_that_is_no_good_is_refused(content, message):
    with pytest.raises(InputError, match=message):
        read_zip(content, "wavs", 11)


def test_a_remote_zip_is_checked_by_its_contents(tmp_path):
    digest = partial(zip_digest, folder="wavs", max_bytes=1000)
    file = RemoteFile("toy/w.zip", (), content_digest(FILES), 1000, digest=digest)
    (tmp_path / "toy").mkdir()
    for content in (packed(FILES), packed(FILES, "v2/", zipfile.ZIP_DEFLATED)):
        (tmp_path / "toy" / "w.zip").write_bytes(content)
        assert fetch(file, mirror=tmp_path) == content
    with pytest.raises(InputError, match=r"w\.zip: wrong content, .* expected " + "0" * 64):
        fetch(replace(file, sha256="0" * 64), mirror=tmp_path)
    (tmp_path / "toy" / "w.zip").write_bytes(b"PK, but no zip")
    with pytest.raises(InputError, match=r"w\.zip: cannot be read as a zip"):
        fetch(file, mirror=tmp_path)
