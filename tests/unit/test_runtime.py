"""Torch as all stages set it up."""

import platform

import pytest
import torch

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
