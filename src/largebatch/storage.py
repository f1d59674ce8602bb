"""Files: each is written under a temporary name and renamed, so no reader ever sees half of one."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from largebatch.errors import InputError, WriteError

# Of all errors inside a block of `atomic`, those that come from writing, not from reading.
_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    Raises:
        WriteError: the file cannot be written; what was there before is still there.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        start = f".{path.name}."
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=start, suffix=path.suffix)
        os.close(handle)
    temporary = Path(name)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno not in _WRITING:
                raise
            with writing(path):
                raise
        with writing(path):
            mask = os.umask(0)
            os.umask(mask)
            # mkstemp gives 0600; others in the group read results too.
            temporary.chmod(0o666 & ~mask)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_unwritable(folders: Iterable[str | Path]) -> None:
    """Refuse folders in which nothing can be written, or made where they are not there yet.

    Raises:
        WriteError: the first such folder.
    """
    for folder in map(Path, folders):
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        with writing(folder), tempfile.TemporaryFile(dir=there):
            pass


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn an OSError inside the block into a WriteError that names `path`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise WriteError(f"{path}: cannot be written ({why})") from error


def forget(folders: Iterable[str | Path], root: str | Path) -> None:
    """Delete folders, and those above them that are empty then, up to and with `root`."""
    root = Path(root)
    for folder in map(Path, folders):
        shutil.rmtree(folder, ignore_errors=True)
        for above in (p for p in folder.parents if p == root or p.is_relative_to(root)):
            if above.is_dir() and not any(above.iterdir()):
                above.rmdir()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def json_text(content: Any) -> str:
    """Return `content` as readable JSON; NaN and infinities are refused (JSON has none)."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as `json_text`."""
    write_text(path, json_text(content))


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a broken one is an InputError that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    # ValueError: no UTF-8, no JSON, or an integer of thousands of digits.
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error


def write_csv(path: str | Path, frame) -> None:
    """Write a pandas DataFrame without its index; floats keep all digits (shortest exact form)."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def write_rows(path: str | Path, rows: list[dict]) -> None:
    """Write rows with the same keys as `write_csv` would, without the time that pandas takes."""
    lines = [",".join(rows[0])]
    for row in rows:
        # NaN, the one value that is not itself, is an empty cell.
        lines.append(",".join("" if cell != cell else str(cell) for cell in row.values()))
    write_text(path, "\n".join(lines) + "\n")


def write_tensors(
    path: str | Path,
    tensors: dict,
    metadata: dict[str, str] | None = None,
    durable: bool = False,
) -> None:
    """Write named tensors as safetensors. Equal tensors give equal bytes.

    Args:
        durable: on the disk before the file of before is replaced, as a power cut would ask for.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata=metadata)
        except SafetensorError as error:  # its way to say that the disk is full
            found = re.search(r"\(os error (\d+)\)", str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
        if durable:
            with writing(path), open(temporary, "rb") as stream:
                os.fsync(stream.fileno())


def read_tensors(path: str | Path) -> dict:
    """Read a safetensors file; a broken one is an InputError that names it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    # The others: types of numbers that this torch does not know, sizes beyond 64 bits.
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read as safetensors ({why}); write it with "
            "safetensors.torch.save_file"
        ) from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the metadata of a safetensors file; a broken one is an InputError that names it."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as stream:
            return stream.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors ({error})") from error


def sha256(path: str | Path) -> str:
    """Return the SHA-256 digest of a file as hexadecimal text."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sealed(text: str, more: str = "") -> str:
    """Return `text` behind the SHA-256 digest of itself and of `more`."""
    return f"{hashlib.sha256((text + more).encode()).hexdigest()} {text}"


def unsealed(content: str, more: str = "") -> str:
    """Return the text that was `sealed`; any change of it, or of `more`, is a ValueError."""
    text = content[65:]
    if content != sealed(text, more):
        raise ValueError("its digest is another")
    return text
