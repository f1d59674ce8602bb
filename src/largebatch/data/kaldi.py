"""Kaldi's tables of matrices and vectors, read by kaldiio; nothing in them is executed.

`kaldiio` runs entries such as "gunzip -c feats.gz |" in a shell and unpickles some values. So names
are checked and files opened here, and kaldiio is given nothing but a stream at a binary Kaldi value
(kaldi-asr.org/doc/io.html).
"""

import gzip
import io
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from largebatch.data.checks import is_file
from largebatch.errors import InputError

MAX_UNPACKED = 1 << 30  # TIMIT's features have 115 MB; a bomb has no end
_BROKEN = (AssertionError, ValueError, TypeError, OSError, EOFError, MemoryError, struct.error)
_OFFSET = re.compile(r"(.+?)(?::([0-9]{1,12}))?")
_LONGEST = 10_000  # bytes of an utterance's name
# Bytes of an element, by the kind of matrix or vector.
_WIDTHS = {b"FM": 4, b"DM": 8, b"FV": 4, b"DV": 8, b"CM": 1, b"CM2": 2, b"CM3": 1}


def read_table(path: str | Path, root: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield each utterance and its array, in the order of the file.

    Args:
        path: a script file, `*.scp`, or an archive, `*.ark` or `*.ark.gz`; binary, not text.
        root: relative names in a script file are looked up from here (the folder where Kaldi was
            run), then from the script file's own folder.

    Raises:
        InputError: a file is missing or broken, a script entry is not the name of a file (it may be
            a command, which is never run), or an utterance is there twice.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.name.endswith(".scp"):
        entries = _script(path, Path(root))
    elif path.name.endswith((".ark", ".ark.gz")):
        entries = _archive(path)
    else:
        raise InputError(f"{path}: must be a Kaldi table, named *.scp, *.ark or *.ark.gz")
    seen = set()
    for utterance, value in entries:
        if utterance in seen:
            raise InputError(f"{path}: utterance {utterance} is there twice")
        seen.add(utterance)
        yield utterance, value


def read_pairs(path: str | Path) -> dict[str, str]:
    """Return a text file of lines "key value", such as a script file or utt2spk, as a dict."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    pairs = {}
    for number, line in enumerate(lines, start=1):
        words = line.split(maxsplit=1)
        if len(words) != 2 or words[0] in pairs:
            state = "is there twice" if len(words) == 2 else "must be: utterance, space, value"
            raise InputError(f"{path}: line {number}, {line!r}, {state}")
        pairs[words[0]] = words[1].strip()
    return pairs


def _script(path: Path, root: Path) -> Iterator[tuple[str, Any]]:
    # All entries are checked before the first file is opened.
    places = {
        utterance: _place(entry, f"{path}: utterance {utterance}", (root, path.parent))
        for utterance, entry in read_pairs(path).items()
    }
    for utterance, (file, offset) in places.items():
        with open(file, "rb") as stream:
            stream.seek(offset)
            yield utterance, _value(stream, f"{file}: utterance {utterance}")


def _place(entry: str, name: str, folders: tuple[Path, ...]) -> tuple[Path, int]:
    """Return the file and offset of a script entry, such as `exp/ali/pdf.ark:17`."""
    if "|" in entry:
        raise InputError(f"{name}: {entry!r} is a command, which is not run; write an archive")
    if entry == "-" or re.match(r"(ark|scp)[,:]|-:", entry) or entry.endswith("]"):
        raise InputError(f"{name}: {entry!r} is not allowed; it must be file or file:offset")
    match = _OFFSET.fullmatch(entry)
    # Joining an absolute name gives that name.
    for file in (folder / match[1] for folder in folders):
        if is_file(file):
            return file, int(match[2] or 0)
    looked = " and ".join(str(folder) for folder in dict.fromkeys(folders))
    raise InputError(f"{name}: no file {match[1]!r}; relative names are looked up from {looked}")


def _archive(path: Path) -> Iterator[tuple[str, Any]]:
    with open(path, "rb") as stream:
        if path.suffix == ".gz":
            # kaldiio steps back after it has looked at a value, which gzip can only do from 0.
            stream = _unpacked(path)
        while True:
            try:
                utterance = _token(stream)
            except UnicodeDecodeError as error:
                raise InputError(f"{path}: not a binary Kaldi archive ({error})") from error
            if not utterance:
                return
            yield utterance, _value(stream, f"{path}: utterance {utterance[:80]!r}")


def _token(stream) -> str:
    """Return the text up to the next space; none at the end of the stream."""
    found = bytearray()
    while (byte := stream.read(1)) not in (b"", b" "):
        found += byte
        if len(found) > _LONGEST:
            raise UnicodeDecodeError("utf-8", bytes(found[:9]), 0, 9, "no space ends a name")
    return found.decode()


def _unpacked(path: Path) -> io.BytesIO:
    content = io.BytesIO()
    try:
        with gzip.open(path) as packed:
            while part := packed.read(1 << 20):  # `read` makes room for all it is asked for
                content.write(part)
                if content.tell() > MAX_UNPACKED:
                    raise InputError(
                        f"{path}: has more than {MAX_UNPACKED} bytes unpacked; use gunzip first"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error})") from error
    content.seek(0)
    return content


def _value(stream, name: str):
    """Return the array at which a stream stands."""
    from kaldiio.matio import read_kaldi

    if stream.read(2) != b"\0B":
        raise InputError(f"{name}: no binary Kaldi value there; text archives are not read")
    stream.seek(-2, io.SEEK_CUR)
    _check_size(stream, name)
    try:
        return read_kaldi(stream)
    except _BROKEN as error:
        raise InputError(f"{name}: broken or truncated ({type(error).__name__})") from error


def _check_size(stream, name: str) -> None:
    """Refuse a value whose header asks for more than is there: kaldiio would believe it."""
    start = stream.tell()
    head = stream.read(32)
    left = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    try:
        header, width, sizes = _header(head)
    except (struct.error, KeyError) as error:
        raise InputError(f"{name}: broken or truncated (no known header)") from error
    needed = header + width * math.prod(sizes)
    if min(sizes) < 0 or needed > left:
        raise InputError(
            f"{name}: broken or truncated (sizes {sizes} need {needed} bytes; {left} are there)"
        )


def _header(head: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Return the header's bytes, the bytes an element, and the sizes; `head` begins with NUL, B."""
    if head[2:3] == b"\4":
        return 7, 5, struct.unpack_from("<i", head, 3)
    kind = head[2:].partition(b" ")[0]
    width, at = _WIDTHS[kind], 3 + len(kind)
    if kind.startswith(b"C"):
        rows, columns = struct.unpack_from("<ii", head, at + 8)
        return at + 16 + (8 * columns if kind == b"CM" else 0), width, (rows, columns)
    if kind.endswith(b"M"):
        return at + 10, width, struct.unpack_from("<xixi", head, at)
    return at + 5, width, struct.unpack_from("<xi", head, at)
