"""Images below one folder or in one zip archive, as the same thing; nothing is unpacked to disk."""

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from largebatch.data.archive import content_digest, one_line, read_member
from largebatch.data.checks import is_file, read_bounded, user_path
from largebatch.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
PARTS = ("train", "test")
MAX_FILE_BYTES = 1 << 28  # an image file of more than 256 MiB is a mistake or a trap
_DEEPEST = 4  # one folder more than any layout has: enough to see that an image lies too deep


@dataclass(frozen=True)
class Tree:
    """Image files by their path below a top folder.

    Args:
        name: the folder or archive, for messages.
        files: paths such as "cat/1.png" of all files with one of `SUFFIXES`, sorted by their parts;
            nothing hidden, nothing below `__MACOSX`.
        folders: paths of all folders, empty ones too; nothing hidden.
        read: the bytes of one of `files`; raises InputError with a reason that names no file.
    """

    name: str
    files: list[str]
    folders: set[str]
    read: Callable[[str], bytes]

    def digest(self) -> str:
        """Return a SHA-256 of paths and contents, whatever the packing and the top folder.

        It is that of this list: `find train test -type f | LC_ALL=C sort | xargs sha256sum`.

        Raises:
            InputError: a file cannot be read.
        """
        contents = {}
        for path in self.files:
            try:
                contents[path] = self.read(path)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        return content_digest(contents)


@contextmanager
def open_tree(path: str | Path, key: str) -> Iterator[Tree]:
    """Give the tree of a folder or of a zip archive on disk; `key` names the option in errors."""
    place = user_path(key, path)
    if os.path.isdir(place):
        yield folder_tree(place, f"{key}: {path}")
    elif is_file(place):
        with zip_tree(place, f"{key}: {path}") as tree:
            yield tree
    else:
        raise InputError(
            f"{key}: {path} does not exist (seen from {Path.cwd()}); it must be a folder of images "
            "or a .zip of one"
        )


def folder_tree(top: Path, name: str) -> Tree:
    """Return the tree of a folder, called `name` in messages; links are followed."""

    def refuse(error):
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})")

    files, folders = [], set()
    for folder, below, names in os.walk(top, followlinks=True, onerror=refuse):
        inner = Path(folder).relative_to(top)
        # A link to a folder above would otherwise be walked for ever.
        below[:] = [n for n in below if _visible(n)] if len(inner.parts) < _DEEPEST - 1 else []
        folders.update((inner / name).as_posix() for name in below)
        files += [(inner / name).as_posix() for name in names if _visible(name) and _image(name)]

    def read(path: str) -> bytes:
        return read_bounded(top / path, MAX_FILE_BYTES)

    return Tree(name, _sorted(files), folders, read)


@contextmanager
def zip_tree(stream, name: str) -> Iterator[Tree]:
    """Give the tree of a zip archive; a single top folder is skipped, unless it is train or test.

    Args:
        stream: a path, or a binary stream with random access.
        name: the archive, for messages.

    Raises:
        InputError: not a zip archive, or one that holds a file twice or an absurdly large one.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except Exception as error:  # damage shows as one of many kinds of errors
        raise InputError(f"{name}: cannot be read as a zip archive ({one_line(error)})") from error
    with archive:
        members, folders = _members(archive, name)

        def read(path: str) -> bytes:
            try:
                return read_member(archive, members[path])
            except InputError:
                raise
            except Exception as error:  # damage shows as one of many kinds of errors
                raise InputError(f"cannot be unpacked ({one_line(error)})") from error

        yield Tree(name, _sorted(members), folders, read)


def _members(archive: zipfile.ZipFile, name: str) -> tuple[dict[str, zipfile.ZipInfo], set[str]]:
    """Return the image files by path below the top folder, and all folders."""
    members, folders = {}, set()
    for member in archive.infolist():
        parts = member.filename.strip("/").split("/")
        if not all(_visible(part) for part in parts) or stat.S_ISLNK(member.external_attr >> 16):
            continue
        path = "/".join(parts)
        if member.is_dir():
            folders.add(path)
        elif _image(path):
            if path in members:
                raise InputError(f"{name}: holds {path} twice")
            if member.file_size > MAX_FILE_BYTES:
                raise InputError(
                    f"{name}: {path} says it has {member.file_size} bytes; an image may have up to "
                    f"{MAX_FILE_BYTES}"
                )
            members[path] = member
    for path in [*folders, *members]:
        parts = path.split("/")
        folders.update("/".join(parts[:count]) for count in range(1, len(parts)))
    return _without_top(members, folders)


def _without_top(members: dict, folders: set[str]) -> tuple[dict, set[str]]:
    tops = {path.split("/")[0] for path in [*members, *folders]}
    top = min(tops, default="")
    if len(tops) != 1 or top in PARTS or folders <= tops:  # in the last case it is itself a class
        return members, folders
    start = len(top) + 1
    return (
        {path[start:]: member for path, member in members.items()},
        {path[start:] for path in folders - tops},
    )


def _visible(part: str) -> bool:
    return bool(part) and not part.startswith(".") and part != "__MACOSX"


def _image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _sorted(paths) -> list[str]:
    return sorted(paths, key=lambda path: path.split("/"))
