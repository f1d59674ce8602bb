"""Archives of studies: what one holds, how it is written, verified and unpacked.

A zip of regular files below results/ and reports/, with `manifest.json`: the digest and size of
every file. Nothing else in it is trusted: names, sizes and kinds are checked before a byte is
unpacked, and every byte is counted and hashed on its way.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from largebatch.errors import InputError
from largebatch.storage import atomic, sha256

MANIFEST = "manifest.json"
FORMAT = "largebatch archive 1"
MAX_MANIFEST_BYTES = 1 << 26
CHUNK = 1 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeDecodeError)
DAMAGE += (RuntimeError, NotImplementedError, ValueError)  # encrypted, unusual, nonsense


def pack(path: str | Path, manifest: dict, contents: dict[str, str | bytes]) -> None:
    """Write an archive; the same files give the same bytes.

    Args:
        path: the archive.
        manifest: all but `files`, which is added.
        contents: name in the archive -> file on disk, or bytes.
    """
    files = {name: _described(contents[name]) for name in sorted(contents)}
    text = json.dumps({"format": FORMAT, **manifest, "files": files}, indent=1) + "\n"
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, MANIFEST, text.encode())
        for name in files:
            _add(archive, name, contents[name])


def _described(content: str | bytes) -> dict:
    if isinstance(content, bytes):
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return {"sha256": sha256(content), "bytes": Path(content).stat().st_size}


def _add(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    if isinstance(content, bytes):
        archive.writestr(member, content)
        return
    with open(content, "rb") as source, archive.open(member, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, CHUNK)


def verify(path: str | Path, max_bytes: int, folder: str | Path | None = None) -> dict:
    """Check every file of an archive against its manifest, and unpack it if a folder is given.

    Nothing is written before the whole archive has been found intact, and no file is overwritten
    by another one. What is written gets one time, so that Snakemake takes it for up to date.

    Args:
        path: the archive.
        max_bytes: bound on the unpacked size of all files.
        folder: the top of a copy of the project; None only checks.

    Returns:
        The manifest.

    Raises:
        InputError: no archive of a study, or one that is damaged, altered, too large or unsafe; a
            file in the folder that is not the archive's; too little disk.
    """
    with _opened(path) as archive:
        members = _members(archive, path)
        manifest = _manifest(archive, members, path, max_bytes)
        for name, expected in manifest["files"].items():
            _check(archive, members[name], expected, path)
        if folder is not None:
            _unpack(archive, members, manifest, path, Path(folder))
    return manifest


@contextmanager
def _opened(path):
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise InputError(f"{path}: cannot be read as a zip archive ({error})") from error
    with archive:
        yield archive


def _members(archive: zipfile.ZipFile, path) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name; anything but regular files with plain names is refused."""
    members = {}
    for member in archive.infolist():
        name = member.orig_filename
        kind = stat.S_IFMT(member.external_attr >> 16)
        if name in members:
            raise InputError(f"{path}: holds {name!r} twice")
        if member.is_dir() or kind not in (0, stat.S_IFREG):
            raise InputError(
                f"{path}: {name!r} is a link, folder or device; only files are allowed"
            )
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{path}: {name!r} has an unusual compression; only deflate is allowed"
            )
        members[name] = member
    return members


def _manifest(archive, members, path, max_bytes: int) -> dict:
    if MANIFEST not in members:
        raise InputError(f"{path}: has no {MANIFEST}; it is not what `snakemake archive` makes")
    if members[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: its {MANIFEST} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = json.loads(archive.read(members[MANIFEST]))
    except (*DAMAGE, RecursionError) as error:
        raise InputError(f"{path}: its {MANIFEST} cannot be read ({error})") from error
    if not _well_formed(manifest):
        raise InputError(f"{path}: its {MANIFEST} is not of the format {FORMAT!r}")
    files = manifest["files"]
    odd = sorted(set(files) ^ (set(members) - {MANIFEST}))
    if odd:
        raise InputError(f"{path}: {odd[0]!r} is in the archive or in its manifest, not in both")
    for name, expected in files.items():
        if not _safe(name, manifest["study"]):
            raise InputError(
                f"{path}: {name!r} lies outside of the study's folders below results/ and reports/"
            )
        if members[name].file_size != expected["bytes"]:
            raise InputError(
                f"{path}: {name} has {members[name].file_size} bytes, its manifest says "
                f"{expected['bytes']}"
            )
    total = sum(expected["bytes"] for expected in files.values())
    if total > max_bytes:
        raise InputError(
            f"{path}: unpacks to {total / 1e9:.3g} GB; {max_bytes / 1e9:.3g} GB are allowed "
            "(--max-gb)"
        )
    return manifest


def _well_formed(manifest) -> bool:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return False
    study, files = manifest.get("study"), manifest.get("files")
    named = isinstance(study, str) and NAME.fullmatch(study) and study not in ("data", "published")
    return (
        bool(named)
        and isinstance(manifest.get("left_out"), dict)
        and isinstance(manifest.get("weights"), bool)
        and isinstance(files, dict)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("sha256"), str)
            and type(entry.get("bytes")) is int
            and entry["bytes"] >= 0
            for entry in files.values()
        )
    )


def _safe(name: str, study: str) -> bool:
    """Whether a name stays below the study's folders, by parts that mean the same everywhere."""
    parts = name.split("/")
    below = (["results", study], ["reports", study], ["results", "data"])
    return len(parts) > 2 and parts[:2] in below and all(NAME.fullmatch(part) for part in parts)


def _check(archive, member: zipfile.ZipInfo, expected: dict, path, target=None) -> None:
    """Read a member piece by piece, to `target` if given; refuse other bytes than expected."""
    digest, count = hashlib.sha256(), 0
    try:
        with archive.open(member) as source:
            while piece := source.read(CHUNK):
                count += len(piece)
                if count > expected["bytes"]:
                    break
                digest.update(piece)
                if target is not None:
                    target.write(piece)
    except DAMAGE as error:
        raise InputError(f"{path}: {member.filename} cannot be unpacked ({error})") from error
    if count != expected["bytes"] or digest.hexdigest() != expected["sha256"]:
        raise InputError(f"{path}: {member.filename} is not what its manifest says: it was changed")


def _unpack(archive, members, manifest: dict, path, folder: Path) -> None:
    left = {**manifest["files"], f"results/{manifest['study']}/{MANIFEST}": None}
    new = {name: folder / name for name in left if not _there(folder, name, left[name])}
    total = sum(left[name]["bytes"] for name in new if left[name])
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if total > free:
        raise InputError(f"{folder}: {total} bytes are to be unpacked, {free} are free")
    for name, place in new.items():
        with atomic(place) as temporary, open(temporary, "wb") as target:
            if left[name] is None:
                target.write(archive.read(members[MANIFEST]))
            else:
                _check(archive, members[name], left[name], path, target)
    now = time.time()
    for place in new.values():
        os.utime(place, (now, now))


def _there(folder: Path, name: str, expected: dict | None) -> bool:
    """Whether a file is there already; another file in its place is not overwritten."""
    place = folder / name
    above = [p for p in place.parents if p != folder and p.is_relative_to(folder)]
    if place.is_symlink() or any(p.is_symlink() for p in above):
        raise InputError(f"{place}: is a link or lies below one; nothing is unpacked through links")
    if not place.exists() or expected is None:
        return False
    if not place.is_file() or sha256(place) != expected["sha256"]:
        raise InputError(f"{place}: is there already and is not the archive's; move it away")
    return True
