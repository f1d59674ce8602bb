# What the stages are told, as JSON: the keys of the config that change their numbers, no others.


def code(*modules):
    """The package's files that these modules can reach, as inputs of a rule."""
    return [os.path.relpath(path) for path in codefiles.reachable(*modules)]


def network(wildcards):
    return CONFIG["networks"][wildcards.network]


def arrays(wildcards):
    return f"{paths.data(network(wildcards)['dataset'])}/arrays.safetensors"


def data_spec(wildcards):
    entry = CONFIG["datasets"][wildcards.dataset]
    return json.dumps(
        {
            "source": entry["source"],
            "options": DATASET_OPTIONS[wildcards.dataset],
        }
    )


def batch_size(method):
    if method.startswith("warm"):
        return CONFIG["methods"]["lb"]["batch_size"]
    if method in CONFIG["methods"]:
        return CONFIG["methods"][method]["batch_size"]
    return int(method.removeprefix("b"))


def train_spec(wildcards):
    method, trial = wildcards.method, int(wildcards.trial)
    warm = method.startswith("warm")
    return json.dumps(
        {
            "seed": CONFIG["seed"],
            "network": wildcards.network,
            "method": method,
            "trial": trial,
            "architecture": architecture(network(wildcards)),
            "batch_size": batch_size(method),
            "training": {
                **CONFIG["training"],
                "evaluation_batch_size": CONFIG["evaluation_batch_size"],
            },
            "keep_epochs": plan.keeps_epochs(CONFIG, wildcards.network, method, trial),
            "start_epoch": int(method.removeprefix("warm")) if warm else None,
            "device": CONFIG["device"],
        }
    )


def sharpness_spec(wildcards, space, epsilons, solvers, **others):
    # The method is left out: SB and LB are measured in the same random subspaces. All of a study's
    # searches in the full space have the same budget, so that their results can be compared.
    return json.dumps(
        {
            "seed": CONFIG["seed"],
            "network": wildcards.network,
            "trial": int(wildcards.trial),
            "architecture": architecture(network(wildcards)),
            "evaluation_batch_size": CONFIG["evaluation_batch_size"],
            "device": CONFIG["device"],
            "space": space,
            "epsilons": epsilons,
            "solvers": solvers,
            "max_evaluations": CONFIG["sharpness"]["max_evaluations"],
            **others,
        }
    )


def main_sharpness_spec(wildcards):
    if wildcards.space == "full":
        return sharpness_spec(wildcards, "full", EPSILONS, ["best", "paper"])
    subspace = dict(CONFIG["sharpness"]["subspace"])
    solvers = ["best", "paper"] if subspace.pop("paper_solver") else ["best"]
    return sharpness_spec(wildcards, "subspace", EPSILONS, solvers, **subspace)


def sweep_sharpness_spec(wildcards):
    return sharpness_spec(wildcards, "full", [HEADLINE], ["best"])


def trajectory_spec(wildcards):
    epochs = sorted(CONFIG["trajectory"]["epochs"])
    return sharpness_spec(wildcards, "full", [HEADLINE], ["best"], epochs=epochs)


def interpolation_spec(wildcards):
    return json.dumps(
        {
            "architecture": architecture(network(wildcards)),
            "evaluation_batch_size": CONFIG["evaluation_batch_size"],
            "device": CONFIG["device"],
            **CONFIG["interpolation"],
        }
    )


def pair(file):
    return {m: f"{paths.run(STUDY, '{network}', m, '{trial}')}/{file}" for m in plan.MAIN}


def gather_spec():
    keys = ("study", "seed", "trials", "networks", "batch_sweep", "warm_start", "trajectory")
    return json.dumps({key: CONFIG[key] for key in keys} | {"sharpness": {"epsilons": EPSILONS}})


def settings():
    """What tables, claims, figures and the report need to know of the config."""
    networks = CONFIG["networks"]
    return {
        "epsilons": EPSILONS,
        "figure_trial": {name: plan.figure_trial(CONFIG, name) for name in networks},
        "trajectory_trial": 0,
        "paper_network": {name: entry["paper_network"] for name, entry in networks.items()},
        "same_data_as_paper": {
            name: entry["same_data_as_paper"] for name, entry in networks.items()
        },
    }
