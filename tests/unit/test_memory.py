"""How much memory is free: of the machine, of the control group, of a SLURM job."""

import pytest
import torch

from largebatch import memory

CPU = torch.device("cpu")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A function that lays out the system's files: name below / -> text."""

    def with_files(**files: str):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("memory_", "memory.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(memory, "ROOT", tmp_path)

    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    return with_files


MACHINE = {"proc__meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n"}
GROUPS = {
    "proc__self__cgroup": "0::/slurm/job\n",
    "sys__fs__cgroup__slurm__job__memory_max": "max\n",
    "sys__fs__cgroup__slurm__job__memory_current": "1000\n",
    "sys__fs__cgroup__slurm__memory_max": "5000\n",
    "sys__fs__cgroup__slurm__memory_current": "2000\n",
}


def test_of_this_machine_some_is_free():
    assert 0 < memory.free_memory(CPU) < 2**50


def test_it_is_the_least_of_all_limits(system, monkeypatch):
    system(**MACHINE)
    assert memory.free_memory(CPU) == 8000 * 1024
    system(**GROUPS)
    assert memory.free_memory(CPU) == 3000
    system(sys__fs__cgroup__slurm__memory_max="999999999")
    system(proc__self__status="VmRSS:\t 1024 kB\n")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "3")
    assert memory.free_memory(CPU) == 2 * 2**20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")  # all of the node
    assert memory.free_memory(CPU) == 8000 * 1024


def test_it_is_never_below_zero(system):
    system(**MACHINE, **GROUPS | {"sys__fs__cgroup__slurm__memory_current": "6000\n"})
    assert memory.free_memory(CPU) == 0


def test_where_nothing_tells_it_is_zero(system):
    system()
    assert memory.free_memory(CPU) == 0
