"""What a study consists of: its runs and measurements, from its completed config.

The Snakefile and the stage that gathers results both ask here, so they cannot disagree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from largebatch import paths
from largebatch.seeding import derive_seed

MAIN = ("sb", "lb")
PATHS = ("linear", "curvilinear")


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        method: `sb`, `lb`, `b{batch size}`, `warm{epoch of the SB run that it starts from}` or the
            name of a remedied arm.
        role: `main`, `sweep`, `warm` or `remedy`: which exhibits it is for.
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
    """Networks that take part in `batch_sweep`, `warm_start`, `trajectory` or `remedies`."""
    networks = config[section]["networks"]
    return list(config["networks"]) if networks is None else networks


def with_grids(config: dict) -> dict:
    """Return `config` with the grids that `every: k` stands for added to `epochs`, sorted."""
    last = config["training"]["epochs"]
    grids = {
        "warm_start": lambda step: range(step, last + 1, step),
        "trajectory": lambda step: {*range(0, last, step), last},  # with the start and the end
    }
    done = dict(config)
    for section, grid in grids.items():
        part = done[section] = dict(config[section])
        if part["every"] is not None:
            part["epochs"] = sorted({*part["epochs"], *grid(part["every"])})
    return done


def batch_sizes(config: dict, network: str) -> list[int]:
    """Batch sizes of the sweep (Figure 4), beside those of SB and LB."""
    sizes = config["batch_sweep"]["batch_sizes"]
    return sizes.get(network, []) if isinstance(sizes, dict) else sizes


def runs(config: dict) -> Iterator[Run]:
    """Yield every training run of the study."""
    for network in config["networks"]:
        for trial in range(config["trials"]):
            for method in MAIN:
                yield Run(network, method, trial, "main")
    for network in chosen(config, "batch_sweep"):
        for trial in range(config["batch_sweep"]["trials"]):
            for size in batch_sizes(config, network):
                yield Run(network, f"b{size}", trial, "sweep")
    for network in chosen(config, "warm_start"):
        for trial in range(config["warm_start"]["trials"]):
            for epoch in config["warm_start"]["epochs"]:
                yield Run(network, f"warm{epoch}", trial, "warm")
    for network in chosen(config, "remedies"):
        for trial in range(remedy_trials(config)):
            for arm in config["remedies"]["arms"]:
                yield Run(network, arm, trial, "remedy")


def remedy_trials(config: dict) -> int:
    """Trials of the remedied arms: all of them, or as many as `remedies: trials` says."""
    return config["remedies"]["trials"] or config["trials"]


def tuned(config: dict) -> Iterator[tuple[str, str]]:
    """Yield (network, method) whose learning rate is chosen on a validation split.

    AutoWU is left out: it finds its own.
    """
    if not config["tuning"]["factors"]:
        return
    arms = config["remedies"]["arms"]
    for network in config["networks"]:
        takes_part = network in chosen(config, "remedies")
        for method in (*MAIN, *(arms if takes_part else ())):
            if "autowu" not in arms.get(method, {}):
                yield network, method


def remedy_paths(config: dict) -> Iterator[Run]:
    """Yield the runs to whose minimizers the loss is followed from SB's, a trial a network."""
    for r in runs(config):
        if r.role == "remedy" and r.trial == figure_trial(config, r.network) % remedy_trials(
            config
        ):
            yield r


def warm_groups(config: dict) -> list[list[str]]:
    """Methods of the warm starts that are trained by one job, group by group.

    Groups are ranges of epochs, so that a new start changes its own group alone.
    """
    warm = config["warm_start"]
    length = warm["starts_per_job"] * (warm["every"] or 1)
    groups: dict[int, list[str]] = {}
    for epoch in warm["epochs"]:
        groups.setdefault((epoch - 1) // length, []).append(f"warm{epoch}")
    return list(groups.values())


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


def used_datasets(config: dict) -> list[str]:
    """Data sets that a network of the study is trained on."""
    return list(dict.fromkeys(entry["dataset"] for entry in config["networks"].values()))


def figure_trial(config: dict, network: str) -> int:
    """The "one randomly chosen trial pair" of Figures 3 and 7, drawn from the study's seed."""
    return derive_seed(config["seed"], network, "figure trial") % config["trials"]


def headline(config: dict) -> float:
    """The epsilon of the figures and claims: the first one."""
    return config["sharpness"]["epsilons"][0]


def measurements(config: dict, run: Run) -> list[tuple[str, float]]:
    """Return (space, epsilon) of every sharpness measurement of a run's last iterate."""
    if run.role in ("sweep", "warm"):
        return [("full", headline(config))]
    epsilons = config["sharpness"]["epsilons"]
    spaces = ("full", "subspace") if run.role == "main" else config["remedies"]["spaces"]
    return [(space, epsilon) for space in spaces for epsilon in epsilons]


def records(config: dict) -> Iterator[str]:
    """Yield the provenance records of all jobs that compute numbers."""
    study = config["study"]
    for dataset in used_datasets(config):
        yield f"{paths.data(dataset)}/provenance.json"
    heads = {group[0] for group in warm_groups(config)}  # one job, one record a group
    for r in runs(config):
        where = (study, r.network, r.method, r.trial)
        if r.role != "warm" or r.method in heads:
            yield f"{paths.run(*where)}/provenance.json"
        jobs = dict.fromkeys(space for space, _ in measurements(config, r))
        for job in ["remedy"] if r.role == "remedy" else jobs:
            yield f"{paths.sharpness(*where)}/{job}.provenance.json"
    for r in trajectories(config):
        folder = paths.sharpness(study, r.network, r.method, r.trial)
        yield f"{folder}/trajectory.provenance.json"
    for network in config["networks"]:
        for trial in range(config["trials"]):
            yield f"results/{study}/interpolation/{network}/trial{trial}.provenance.json"
    for r in remedy_paths(config):
        path = paths.remedy_path(study, r.network, r.method, r.trial)
        yield path.replace(".csv", ".provenance.json")
    for network, method in tuned(config):
        yield paths.tuning(study, network, method).replace(".json", ".provenance.json")


def results(config: dict) -> Iterator[str]:
    """Yield the files that stage `gather` reads, besides the provenance records."""
    study = config["study"]
    for r in runs(config):
        where = (study, r.network, r.method, r.trial)
        yield f"{paths.run(*where)}/run.json"
        yield f"{paths.run(*where)}/history.csv"
        for space, epsilon in measurements(config, r):
            yield f"{paths.sharpness(*where)}/{paths.measurement(space, epsilon)}"
    for r in trajectories(config):
        folder = paths.sharpness(study, r.network, r.method, r.trial)
        yield f"{folder}/{paths.measurement('trajectory', headline(config))}"
    for network in config["networks"]:
        for path in PATHS:
            for trial in range(config["trials"]):
                yield paths.interpolation(study, network, path, trial)
    for r in remedy_paths(config):
        yield paths.remedy_path(study, r.network, r.method, r.trial)
    for network, method in tuned(config):
        yield paths.tuning(study, network, method)


def reproduced(config: dict) -> Iterator[Run]:
    """Yield the runs that `reproduce` trains again; by default one network's, one trial."""
    part = config["reproduce"]
    networks = part["networks"] or list(config["networks"])[:1]
    for r in runs(config):
        if r.network in networks and r.trial in part["trials"] and r.method in part["methods"]:
            yield r


def reproduced_records(config: dict) -> Iterator[str]:
    """Yield the study's own records of all jobs that `reproduce` does again."""
    study, again = config["study"], list(reproduced(config))
    folders = [
        f"{folder(study, r.network, r.method, r.trial)}/"
        for r in again
        for folder in (paths.run, paths.sharpness)
    ]
    ends = {(r.network, r.method, r.trial) for r in again}
    folders += [
        f"results/{study}/interpolation/{network}/trial{trial}."
        for network, method, trial in ends
        if method == "sb" and (network, "lb", trial) in ends
    ]
    yield from (path for path in records(config) if path.startswith(tuple(folders)))
