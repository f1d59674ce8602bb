"""Where everything lies below the working directory: one fact a folder level.

Every argument may be a Snakemake wildcard such as "{network}".
"""


def data(dataset: str) -> str:
    """Folder of a converted data set, shared by all studies."""
    return f"results/data/{dataset}"


def code() -> str:
    """Folder of the digests of the package's files, an input of every job."""
    return "results/code"


def run(study: str, network: str, method: str, trial: int | str) -> str:
    """Folder of a training run: its weights, history and record."""
    return f"results/{study}/runs/{network}/{method}/trial{trial}"


def states(study: str) -> str:
    """Folder of what training jobs keep, to go on from, until all results are gathered."""
    return f"results/{study}/state"


def state(study: str, network: str, method: str, trial: int | str) -> str:
    """Folder of what one training job keeps."""
    return f"{states(study)}/{network}/{method}/trial{trial}"


def state_again(study: str, network: str, method: str, trial: int | str) -> str:
    """The same of a run that is trained again to be compared."""
    return f"{state(study, network, method, trial)}.again"


def tuning_state(study: str, network: str, method: str) -> str:
    """The same of a job that tunes a method's learning rate."""
    return f"{states(study)}/{network}/{method}/tuning"


def epoch_weights(epoch: int | str) -> str:
    """File of the weights after an epoch, inside a run's `epochs` folder."""
    return f"epoch{int(epoch):04d}.safetensors"


def sharpness(study: str, network: str, method: str, trial: int | str) -> str:
    """Folder of the sharpness measurements of a run."""
    return f"results/{study}/sharpness/{network}/{method}/trial{trial}"


def measurement(space: str, epsilon: float | str) -> str:
    """File of one measurement, inside a run's sharpness folder."""
    return f"{space}_eps{epsilon}.json"


def interpolation(study: str, network: str, path: str, trial: int | str) -> str:
    """Table of losses and accuracies along a path between the SB and LB solutions of a trial."""
    return f"results/{study}/interpolation/{network}/{path}/trial{trial}.csv"


def remedy_path(study: str, network: str, method: str, trial: int | str) -> str:
    """Table of losses and accuracies between SB's minimizer and that of a remedied LB run."""
    return f"results/{study}/remedy_paths/{network}/{method}/trial{trial}.csv"


def tuning(study: str, network: str, method: str) -> str:
    """What was tried on a validation split to choose a method's learning rate."""
    return f"results/{study}/tuning/{network}/{method}.json"


def checked(study: str, network: str, dataset: str) -> str:
    """What was found before training: the size of every network, and of the weights on disk."""
    return f"results/{study}/checked/{network}.{dataset}.json"


def gathered(study: str, table: str) -> str:
    """A tidy table of all results of a study."""
    return f"results/{study}/gathered/{table}.csv"


def derived(study: str, rule: str) -> str:
    """Provenance record of what is made from the gathered tables: tables, figures, the page."""
    return f"results/{study}/derived/{rule}.provenance.json"


def config(study: str) -> str:
    """A study's completed config, in an unpacked archive."""
    return f"results/{study}/config.yaml"


def archive(study: str) -> str:
    """The one file in which a study travels."""
    return f"reports/{study}/{study}.zip"


def reproduced(study: str, path: str) -> str:
    """Where a file of `results/{study}` lies when it is made again, to be compared with it."""
    return path.replace(f"results/{study}/", f"results/{study}/reproduced/", 1)


def report(study: str) -> str:
    """Folder of what people read."""
    return f"reports/{study}"
