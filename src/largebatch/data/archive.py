"""Files inside a zip, read in memory, and a digest of them that does not depend on the packing."""

import hashlib
import io
import stat
import zipfile

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
            return {name: read_member(archive, members[name]) for name in sorted(members)}
    except InputError:
        raise
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unusual compression
        raise InputError(f"cannot be unpacked ({one_line(error)})") from error
    except Exception as error:  # damage shows as one of many kinds of errors
        raise InputError(f"cannot be read as a zip ({one_line(error)})") from error


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return one file of a zip; no more than its declared size is ever unpacked.

    `ZipFile.read` unpacks all of it before it looks at that size: a bomb would fill the memory.

    Raises:
        InputError: a compression whose unpacking cannot be bounded, or fewer bytes than declared.
        Exception: damage shows as one of many kinds of errors.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("cannot be unpacked (its files must be stored or deflated)")
    with archive.open(member) as stream:
        content = stream.read(max(1, member.file_size))  # of 0 bytes nothing would be checked
    if len(content) != member.file_size:
        raise InputError(f"cannot be unpacked ({len(content)} of {member.file_size} bytes)")
    return content


def one_line(error: BaseException) -> str:
    """Return what an error says, or else its type, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


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
            if ".." in parts or stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"holds {name!r}, a link or a path that leads out of its folder")
            if name in found:
                raise InputError(f"holds {name!r} twice")
            found[name] = member
    if not found:
        raise InputError(f"has no files below a folder {folder!r}")
    return found
