"""Torch, set up the same way in every stage."""

import ctypes
import os
import sys
from pathlib import Path

from largebatch.errors import InputError
from largebatch.memory import free_memory

DEVICES = ("auto", "cpu", "cuda", "mps")
# Blocks that are kept, in bytes. The activations of C1 and C2 at batch 256 have half of the least,
# those of C1 at 5,000 1.3 GB. What is kept is never quite full: a step of C1 at 5,000 holds 9 GB
# instead of 6, so blocks of that size are kept only where twelve of them are free.
LEAST_KEPT, MOST_KEPT, SHARE = 128 * 2**20, 2**31 - 1, 12


def has_nvidia_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver; asked without loading torch."""
    return Path("/proc/driver/nvidia/gpus").exists()


def set_up_torch(device: str = "auto", threads: int = 1):
    """Make torch reproducible and return the device to compute on.

    Float32 stays float32 (TF32 off: it would move sharpness, which divides by small losses), and
    algorithms are deterministic, so that the same seed on the same machine gives the same bytes.

    Args:
        device: one of DEVICES; `auto` takes a CUDA GPU if there is one, else the CPU.
        threads: CPU threads. The order of float32 sums, so the last bits, depend on it.

    Raises:
        InputError: an unknown device, or one this machine does not have.
    """
    # cuBLAS is reproducible only with a fixed workspace, set before CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if device not in DEVICES:
        raise InputError(f"device: unknown {device!r}; one of {', '.join(DEVICES)}")
    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    # Apple's GPU is taken only if asked for: its results are not tested against the CPU's.
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if device in available and not available[device]():
        raise InputError(f"device: {device} is not available on this machine; use auto or cpu")
    if device == "cuda":
        # On the CPU all that is used here is deterministic, and the call takes a second (it loads
        # the compiler's configuration).
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(device)


def keep_freed_memory() -> None:
    """Let the C library (glibc) keep what torch frees on the CPU, for the next step's tensors.

    It would give blocks of more than 32 MB, and others at times, back to the system, which then
    clears their pages one by one when the next step asks for as much again: up to a fifth of the
    time of a step at batch 256, more than half at 5,000. No number changes. Larger blocks still go
    back where memory is short (see SHARE). On other systems (macOS, musl) nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    import torch

    kept = min(MOST_KEPT, max(LEAST_KEPT, free_memory(torch.device("cpu")) // SHARE))
    mmap_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    mallopt(mmap_threshold, kept)
    mallopt(trim_threshold, -1)  # never
