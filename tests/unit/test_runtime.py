"""Torch as all stages set it up."""

import platform

import pytest
import torch

from largebatch import runtime
from largebatch.runtime import set_up_torch

resource = pytest.importorskip("resource")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told so")
def test_freed_memory_is_used_again_without_asking_the_system():
    set_up_torch("cpu", torch.get_num_threads())
    size = 2**24  # 64 MB: above what glibc keeps by itself
    for _ in range(12):  # some times, until it has found a place that fits
        torch.ones(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(size)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 2 * 16384, f"{faults} pages were asked for; of 4 kB they would be 163,840"


@pytest.mark.parametrize(
    ("free", "kept"),
    [(0, 128 * 2**20), (6 * 2**30, 2**29), (12 * 2**30, 2**30), (2**40, 2**31 - 1)],
)
def test_large_blocks_are_kept_where_much_memory_is_free(free, kept, monkeypatch):
    """mallopt takes an int: more than 2^31 - 1 would be none of what was meant."""
    told = []
    library = type("Library", (), {"mallopt": lambda self, name, value: told.append((name, value))})
    monkeypatch.setattr(runtime, "free_memory", lambda device: free)
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library())
    runtime.keep_freed_memory()
    assert told == [(-3, kept), (-1, -1)]
