"""How much memory a process may still take."""

import os
from pathlib import Path

ROOT = Path("/")  # of the files in which Linux tells it


def free_memory(device) -> int:
    """Return the bytes that this process may still take on a torch.device, 0 where nothing tells.

    On the CPU the least of what is free in the machine, in the process's control groups (those of
    a container, of a SLURM job) and of the memory that its SLURM job asked for.
    """
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return max(0, min([*_machine_memory(), *_cgroup_memory(), *_slurm_memory()], default=0))


def _machine_memory() -> list[int]:
    found = _numbers(ROOT / "proc/meminfo", "MemAvailable:")
    return [1024 * kilobytes for kilobytes in found]


def _cgroup_memory() -> list[int]:
    """What is left in each control group (version 2) that the process is in."""
    try:
        lines = (ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    names = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    root, left = ROOT / "sys/fs/cgroup", []
    for group in (group for name in names for group in (root / name, *(root / name).parents)):
        if group.is_relative_to(root):
            limit, used = (_numbers(group / f"memory.{what}") for what in ("max", "current"))
            left += [most - taken for most, taken in zip(limit, used, strict=False)]
    return left


def _slurm_memory() -> list[int]:
    asked = os.environ.get("SLURM_MEM_PER_NODE", "")  # in MB; 0 is all of the node
    used = _numbers(ROOT / "proc/self/status", "VmRSS:")
    if not asked.isdecimal() or int(asked) == 0 or not used:
        return []
    return [int(asked) * 2**20 - 1024 * used[0]]


def _numbers(file: Path, name: str = "") -> list[int]:
    """The number behind a name in one of the system's files; none where there is no such thing."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return []
    words = [line.removeprefix(name).split() for line in lines if line.startswith(name)]
    return [int(word[0]) for word in words if word and word[0].isdecimal()]
