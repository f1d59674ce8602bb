"""Files inside a zip, read in memory, and a digest of them that does not depend on the packing."""

import hashlib
import io
import zipfile
import zlib

from largebatch.errors import InputError


def read_zip(content: bytes, folder: str, max_bytes: int) -> dict[str, bytes]:
    """Return the files below a folder of a zip; the folder is at the top, or in one top folder.

    GitHub's archives of a repository have such a top folder, named by their version. Nothing is
    written to disk. Other files of the zip are passed over.

    Args:
        content: the zip.
        folder: name of the folder, such as "recordings".
        max_bytes: bound on the unpacked size of what is read, in all.

    Returns:
        Bytes by name, such as "recordings/0_theo_1.wav", sorted by name.

    Raises:
        InputError: not a zip, a damaged or encrypted one, a name twice, too much in it, or nothing
            below the folder.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, folder)
            if sum(member.file_size for member in members.values()) > max_bytes:
                raise InputError(f"has more than the {max_bytes} bytes expected, unpacked")
            return {name: archive.read(members[name]) for name in sorted(members)}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as a zip ({error})") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unusual compression
        raise InputError(f"cannot be unpacked ({error})") from error


def content_digest(files: dict[str, bytes]) -> str:
    """Return the SHA-256 of the names and bytes of some files, whatever archive they came in.

    It is what a shell prints for `LC_ALL=C; sha256sum recordings/* | sha256sum`.

    Args:
        files: bytes by name, in any order.
    """
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode())
    return total.hexdigest()


def zip_digest(content: bytes, folder: str, max_bytes: int) -> str:
    """Return the `content_digest` of the files below a folder of a zip; see `read_zip`."""
    return content_digest(read_zip(content, folder, max_bytes))


def _members(archive: zipfile.ZipFile, folder: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files below `folder` by their names from there on."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        parts = member.filename.split("/")
        if folder in parts[:2] and not member.is_dir():
            name = "/".join(parts[parts.index(folder) :])
            if name in found:
                raise InputError(f"holds {name} twice")
            found[name] = member
    if not found:
        raise InputError(f"has no files below a folder {folder!r}")
    return found
