"""Which GPU a job takes, where several jobs run on one machine: a slot, given back as it ends.

SLURM does this on a cluster. On a machine of one's own Snakemake only counts GPUs, so each job
takes a slot of one of them: a locked file, which the system unlocks however the job ends.
"""

import fcntl
import os
import subprocess
import tempfile
import time
from pathlib import Path

from largebatch.errors import InputError
from largebatch.runtime import has_nvidia_gpu

VISIBLE = "CUDA_VISIBLE_DEVICES"
# How many jobs may share a GPU; set by the workflow for jobs that are to take a slot, else absent.
SHARES = "LARGEBATCH_JOBS_PER_GPU"
QUERY = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]

_held = []  # the slot's open file: to close it is to give the slot back


def visible() -> list[str]:
    """Return the NVIDIA GPUs that may be used, as CUDA names them; no torch is loaded.

    All of this machine, or those that CUDA_VISIBLE_DEVICES names, by UUID: unlike numbers, UUIDs
    mean the same in every process. (A number counts in the order of nvidia-smi.)
    """
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=60)
        lines = done.stdout.splitlines() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        lines = ["0, 0"] if has_nvidia_gpu() else []  # a driver without its tool: the first GPU
    uuids = dict(line.replace(" ", "").split(",", 1) for line in lines if "," in line)
    if VISIBLE not in os.environ or not uuids:
        return list(uuids.values())
    words = [word.strip() for word in os.environ[VISIBLE].split(",")]
    named = [uuids.get(word, word) for word in words if word not in ("", "-1")]
    return list(dict.fromkeys(named))


def take_slot(folder: str | Path | None = None) -> str | None:
    """Take the GPU with the most free slots, make it the only one that CUDA sees; return its name.

    Waits, and says so, while all slots are taken. The slot is held until this process ends. Nothing
    is done, and None returned, where the workflow asks for no slot or there is no GPU.

    Args:
        folder: of the slots' files; by default one for each user, so for all of their projects.

    Raises:
        InputError: LARGEBATCH_JOBS_PER_GPU is no positive integer; the folder is someone else's.
    """
    if SHARES not in os.environ:
        return None
    shares = os.environ[SHARES]
    if not (shares.isascii() and shares.isdigit() and int(shares) > 0):
        raise InputError(f"{SHARES}: {shares!r}; it must be an integer of at least 1")
    gpus = visible()
    if not gpus:
        return None
    folder = _own(Path(folder or Path(tempfile.gettempdir(), f"largebatch-gpus-{os.getuid()}")))
    told = False
    while not (slot := _freest(folder, gpus, int(shares))):
        if not told:
            print(f"waiting for a GPU: all {len(gpus) * int(shares)} slots are taken", flush=True)
        told = True
        time.sleep(1)
    gpu, held = slot
    _held.append(held)
    os.environ[VISIBLE] = gpu
    print(f"on GPU {gpu}", flush=True)
    return gpu


def _own(folder: Path) -> Path:
    """Make the folder; refuse one that another user laid out for us."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid():
        raise InputError(f"{folder}: belongs to another user, or is a link; set TMPDIR to another")
    return folder


def _freest(folder: Path, gpus: list[str], shares: int):
    """Return the GPU with the most free slots and one of these, locked; None if there is none."""
    with open(folder / "choosing", "w") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)  # one job looks at a time
        free = {gpu: [] for gpu in gpus}
        for gpu in gpus:
            for share in range(shares):
                slot = open(folder / f"{gpu.replace('/', '_')}.{share}", "w")  # noqa: SIM115
                try:
                    fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    free[gpu].append(slot)
                except BlockingIOError:
                    slot.close()
        gpu = max(gpus, key=lambda gpu: len(free[gpu]))
        chosen = free[gpu].pop() if free[gpu] else None
        for slot in (slot for slots in free.values() for slot in slots):
            slot.close()
    return (gpu, chosen) if chosen else None
