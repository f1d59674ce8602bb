"""Set up before any test module is imported."""

import os

# One thread: small tensors gain nothing from more, and waiting threads slow a busy machine down.
os.environ["OMP_NUM_THREADS"] = "1"
