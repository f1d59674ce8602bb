"""Every remedy by its name in a study file."""

from largebatch.errors import InputError
from largebatch.remedies import SLOTS, conflicts
from largebatch.training.parts import Remedy
from largebatch.training.remedies.adversarial import Adversarial
from largebatch.training.remedies.augmentation import Augmentation
from largebatch.training.remedies.autowu import AutoWU
from largebatch.training.remedies.averaging import Averaging
from largebatch.training.remedies.conadv import ConAdv
from largebatch.training.remedies.conservative import Conservative
from largebatch.training.remedies.decentralized import Decentralized
from largebatch.training.remedies.ghost_batchnorm import GhostBatchNormalization
from largebatch.training.remedies.growth import Growth
from largebatch.training.remedies.lamb import Lamb
from largebatch.training.remedies.lars import Lars
from largebatch.training.remedies.legw import Legw
from largebatch.training.remedies.sam import SharpnessAware
from largebatch.training.remedies.scaling import Scaling
from largebatch.training.remedies.stability import Stability
from largebatch.training.remedies.warm_start import WarmStart

REMEDIES: dict[str, type[Remedy]] = {
    "adversarial": Adversarial,
    "augmentation": Augmentation,
    "autowu": AutoWU,
    "averaging": Averaging,
    "conadv": ConAdv,
    "conservative": Conservative,
    "decentralized": Decentralized,
    "ghost_batchnorm": GhostBatchNormalization,
    "growth": Growth,
    "lamb": Lamb,
    "lars": Lars,
    "legw": Legw,
    "sam": SharpnessAware,
    "scaling": Scaling,
    "stability": Stability,
    "warm_start": WarmStart,
}


def make(entries: dict[str, dict]) -> list[Remedy]:
    """Return the remedies in the order in which they are put into a run.

    Args:
        entries: name -> options.

    Raises:
        InputError: an unknown name or option, a value out of range, or two that do not go together.
    """
    for name in entries:
        if name not in REMEDIES:
            raise InputError(f"remedy: unknown {name!r}; one of {', '.join(REMEDIES)}")
    for reason in conflicts(entries):
        raise InputError(f"remedy: {reason}")
    made = []
    for name in SLOTS:
        if name in entries:
            try:
                made.append(REMEDIES[name](**entries[name]))
            except TypeError as error:
                raise InputError(f"{name}: {error}") from error
    return made
