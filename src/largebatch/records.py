"""Whether a file of a study is still what the provenance record of its job says."""

import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from largebatch.errors import InputError
from largebatch.provenance import SEAL, seal
from largebatch.storage import json_text, read_json, sha256

# Of a record. Another key is one that was damaged.
KEYS = {"stage", "spec", "commit", "versions", "device", "threads", "inputs", "outputs"}
KEYS |= {"started", "wall_seconds", "peak_memory_mb", SEAL}


def read_record(path: str | Path) -> dict:
    """Return a provenance record.

    Raises:
        InputError: it is missing, broken, or not to the last byte what was written.
    """
    record = read_json(path)
    if not _well_formed(record):
        raise InputError(f"{path}: is no provenance record; run that job again")
    # Records of earlier versions have no digest of their own.
    if SEAL in record and not _untouched(path, record):
        raise InputError(f"{path}: is not what was written: it was changed")
    return record


def _untouched(path: str | Path, record: dict) -> bool:
    return seal(record) == record[SEAL] and Path(path).read_bytes() == json_text(record).encode()


def _well_formed(record) -> bool:
    """Whether a record has what is read of it."""
    if not isinstance(record, dict) or not record.keys() <= KEYS:
        return False
    parts = ("commit", "versions", "device", "inputs", "outputs")
    mappings = all(isinstance(record.get(part), dict) for part in parts)
    return mappings and all(
        isinstance(files, dict) and all(isinstance(digest, str) for digest in files.values())
        for part in ("inputs", "outputs")
        for files in record[part].values()
    )


def refuse_changed(digests: dict[str, str]) -> None:
    """Refuse files that were changed or damaged since they were made.

    A result that is made from them would look like any other. Files without a record, such as those
    of no study, are taken as they are.

    Args:
        digests: SHA-256 by path, relative to the working directory as records have it.

    Raises:
        InputError: the first such file, its record and what makes it again.
    """
    _look_anew()
    for path, digest in digests.items():
        record, recorded = _recorded(Path(path))
        if recorded not in (None, digest):
            raise InputError(
                f"{path}: is not what its record {record} says: it was changed or damaged; "
                f"{_advice(record)}"
            )
    # A run may end early, so a lost iterate would look like one that never was.
    for folder in {Path(path).parent for path in digests if Path(path).parent.name == "epochs"}:
        for record in _records(folder.parent):
            for path in _outputs(record):
                if Path(path).parent == folder and path not in digests:
                    raise InputError(f"{path}: is missing; {_advice(record)}")


def _advice(record: str | Path) -> str:
    return f"`snakemake verify` names all such files, and this makes it again: {again([record])}"


def refuse_changed_files(paths: Iterable[str]) -> None:
    """As `refuse_changed`, of files that are there."""
    refuse_changed({path: sha256(path) for path in paths if Path(path).is_file()})


def again(records: Iterable[str | Path], study: str = "") -> str:
    """Return the command that does jobs again, though their results are there.

    Args:
        records: the provenance records of the jobs.
        study: the option that names the study's file; empty where it is not known.
    """
    words = ["snakemake --cores all", study, "--force", *map(shlex.quote, map(str, records))]
    return " ".join(filter(None, words))


def recorded_digest(path: str | Path) -> tuple[str, str] | tuple[None, None]:
    """Return (path of the record, recorded SHA-256) of a file, or Nones where none has it."""
    _look_anew()
    return _recorded(Path(path))


def _recorded(path: Path) -> tuple[str, str] | tuple[None, None]:
    for record in _candidates(path):
        digest = _outputs(record).get(str(path))
        if digest is not None:
            return str(record), digest
    return None, None


def _look_anew() -> None:
    """Forget what was read for other calls: files change, and so does the working directory."""
    _records.cache_clear()
    _outputs.cache_clear()


def _candidates(path: Path) -> Iterator[Path]:
    """Yield the records that may be a file's, by what lies where (see `paths`)."""
    folder = path.parent
    yield from _records(folder)
    yield from _records(folder.parent)  # iterates; paths between two runs
    if path.parts[:1] == ("reports",):
        yield from _records(Path("results", *path.parts[1:2], "derived"))
    elif folder.name == "gathered":
        yield from _records(folder.parent / "derived")
    elif path.parts[2:3] == ("runs",):  # several warm starts are one job, with one record
        yield from sorted(folder.parent.parent.glob(f"*/{folder.name}/provenance.json"))


@cache
def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob("*provenance.json"))


@cache
def _outputs(record: Path) -> dict[str, str]:
    """Return path -> digest of what a job wrote; nothing if the record is broken."""
    try:
        outputs = read_record(record)["outputs"].values()
    except InputError:
        return {}  # `verify` tells
    return {path: digest for files in outputs for path, digest in files.items()}
