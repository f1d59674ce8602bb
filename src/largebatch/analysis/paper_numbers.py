"""The published means and standard deviations of Tables 2 to 4, five trials each.

Source: N. S. Keskar, D. Mudigere, J. Nocedal, M. Smelyanskiy, P. T. P. Tang, "On Large-Batch
Training for Deep Learning: Generalization Gap and Sharp Minima", ICLR 2017, arXiv:1609.04836
(`paper_numbers.source.md`, beside the numbers).
"""

import functools
from importlib.resources import files

import pandas as pd

from largebatch.errors import InputError

# Samples for training and testing, and classes, of each network's data in the paper (F2's counts
# as recalled: another preparation of TIMIT has others, and is other data).
DATA = {
    "F1": (60_000, 10_000, 10),
    "F2": (721_329, 310_621, 1973),
    **dict.fromkeys(("C1", "C2"), (50_000, 10_000, 10)),
    **dict.fromkeys(("C3", "C4"), (50_000, 10_000, 100)),
}
TRIALS = 5  # behind each published mean and standard deviation
SOURCE = (
    "Published values: Tables 2 to 4 of Keskar, Mudigere, Nocedal, Smelyanskiy and Tang, On "
    "Large-Batch Training for Deep Learning: Generalization Gap and Sharp Minima, ICLR 2017, "
    f"arXiv:1609.04836; mean ± standard deviation of {TRIALS} trials."
)


def on_the_same_data(frames: dict[str, pd.DataFrame], settings: dict) -> dict:
    """Return settings whose same_data_as_paper holds only where the samples are as many, too.

    Args:
        frames: the tidy table networks is read.
        settings: paper_network and same_data_as_paper, what the study says.
    """
    table = frames["networks"].set_index("network")
    same = {}
    for network, said in settings.get("same_data_as_paper", {}).items():
        paper = DATA.get(settings.get("paper_network", {}).get(network))
        same[network] = bool(said and paper and network in table.index)
        if same[network]:
            counts = table.loc[network, ["train_samples", "test_samples", "classes"]]
            same[network] = tuple(counts) == paper
    return settings | {"same_data_as_paper": same}


@functools.cache
def _numbers() -> pd.DataFrame:
    with (files("largebatch.analysis") / "paper_numbers.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream)


def published(network: str | None = None, table: int | None = None) -> pd.DataFrame:
    """Return the paper's numbers.

    Args:
        network: F1, F2, C1, C2, C3 or C4; None for all.
        table: 2 (accuracies in percent), 3 (sharpness, full space) or 4 (random subspaces of
            dimension 100); None for all.

    Returns:
        A frame with the columns table, network, quantity (training_accuracy, testing_accuracy,
        sharpness_full, sharpness_subspace), epsilon (NaN for accuracies), method (SB, LB), mean,
        std, unit.

    Raises:
        InputError: a network or table that the paper does not have.
    """
    numbers = _numbers()
    for name, value in (("network", network), ("table", table)):
        known = numbers[name].unique().tolist()
        if value is not None and value not in known:
            choices = ", ".join(str(choice) for choice in known)
            raise InputError(f"{name}: the paper has no {value!r}; one of {choices}")
        if value is not None:
            numbers = numbers[numbers[name] == value]
    return numbers.reset_index(drop=True)
