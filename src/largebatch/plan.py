"""What a study consists of: its runs and measurements, from its completed config.

The Snakefile and the stage that gathers results both ask here, so they cannot disagree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from largebatch.seeding import derive_seed

MAIN = ("sb", "lb")
PATHS = ("linear", "curvilinear")


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        method: `sb`, `lb`, `b{batch size}` or `warm{epoch of the SB run that it starts from}`.
        role: `main`, `sweep` or `warm`: which exhibits it is for.
    """

    network: str
    method: str
    trial: int
    role: str

    @property
    def warm_epochs(self) -> int | None:
        """Epochs of the SB run before a warm start, else None."""
        return int(self.method.removeprefix("warm")) if self.role == "warm" else None


def chosen(config: dict, section: str) -> list[str]:
    """Networks that take part in `batch_sweep`, `warm_start` or `trajectory`."""
    networks = config[section]["networks"]
    return list(config["networks"]) if networks is None else networks


def runs(config: dict) -> Iterator[Run]:
    """Yield every training run of the study."""
    for network in config["networks"]:
        for trial in range(config["trials"]):
            for method in MAIN:
                yield Run(network, method, trial, "main")
    for section, role, prefix, key in (
        ("batch_sweep", "sweep", "b", "batch_sizes"),
        ("warm_start", "warm", "warm", "epochs"),
    ):
        for network in chosen(config, section):
            for trial in range(config[section]["trials"]):
                for value in config[section][key]:
                    yield Run(network, f"{prefix}{value}", trial, role)


def trajectories(config: dict) -> Iterator[Run]:
    """Yield the main runs along which sharpness is measured (Figure 6)."""
    if config["trajectory"]["epochs"]:
        for network in chosen(config, "trajectory"):
            for trial in range(config["trajectory"]["trials"]):
                for method in MAIN:
                    yield Run(network, method, trial, "main")


def keeps_epochs(config: dict, network: str, method: str, trial: int) -> bool:
    """Whether a run's iterates are needed: for warm starts (SB) or along the run (Figure 6)."""
    warm = config["warm_start"]
    starts_warm = method == "sb" and bool(warm["epochs"]) and trial < warm["trials"]
    along = config["trajectory"]
    measured = bool(along["epochs"]) and trial < along["trials"] and method in MAIN
    return (starts_warm and network in chosen(config, "warm_start")) or (
        measured and network in chosen(config, "trajectory")
    )


def figure_trial(config: dict, network: str) -> int:
    """The "one randomly chosen trial pair" of Figures 3 and 7, drawn from the study's seed."""
    return derive_seed(config["seed"], network, "figure trial") % config["trials"]
