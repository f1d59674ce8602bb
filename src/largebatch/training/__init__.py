"""The optimizer's loop over a network and arrays. It knows nothing of studies or files."""

from largebatch.training.evaluation import evaluate
from largebatch.training.loop import Outcome, train
from largebatch.training.parts import Facts
from largebatch.training.settings import OPTIMIZERS, TrainingSettings, samples_per_batch

__all__ = [
    "OPTIMIZERS",
    "Facts",
    "Outcome",
    "TrainingSettings",
    "evaluate",
    "samples_per_batch",
    "train",
]
