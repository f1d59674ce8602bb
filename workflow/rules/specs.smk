# What the stages are told, as JSON: the keys of the config that change their numbers, no others.


def code(*modules):
    """The package's files that these modules can reach, as inputs of a rule."""
    return [os.path.relpath(path) for path in codefiles.reachable(*modules)]


def user_code(name):
    """The file behind `module:function`, if it lies below the working directory."""
    file = name.split(":")[0].replace(".", "/")
    found = [path for path in (f"{file}.py", f"{file}/__init__.py") if os.path.exists(path)]
    return found[:1] if is_user(name) else []


def network_code(stage):
    """The code of a stage that builds a network: the user's own file is part of it."""
    return lambda wildcards: code(stage) + user_code(network(wildcards)["family"])


def data_code(source):
    return code("stages.data", module_of(source)) + user_code(source)


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
    if method in CONFIG["methods"]:
        return CONFIG["methods"][method]["batch_size"]
    return int(method.removeprefix("b"))


def training_spec(wildcards, batch_size, keep_epochs, **others):
    training = {**CONFIG["training"], "evaluation_batch_size": CONFIG["evaluation_batch_size"]}
    if training["schedule"]["kind"] == "constant" and not training["schedule"]["warmup_epochs"]:
        del training["schedule"]  # so that a study without one is not trained again for its sake
    return json.dumps(
        {
            "seed": CONFIG["seed"],
            "network": wildcards.network,
            **others,
            "trial": int(wildcards.trial),
            "architecture": architecture(network(wildcards)),
            "batch_size": batch_size,
            "training": training,
            "keep_epochs": keep_epochs,
            "device": CONFIG["device"],
        }
    )


def train_spec(wildcards):
    method = wildcards.method
    kept = plan.keeps_epochs(CONFIG, wildcards.network, method, int(wildcards.trial))
    return training_spec(wildcards, batch_size(method), kept, method=method)


def warm_spec(wildcards, methods):
    return training_spec(wildcards, batch_size("lb"), False, methods=methods)


def check_spec():
    keys = ("study", "trials", "batch_sweep", "warm_start", "trajectory")
    return json.dumps(
        {
            **{key: CONFIG[key] for key in keys},
            "networks": {
                name: {"dataset": entry["dataset"], "architecture": architecture(entry)}
                for name, entry in CONFIG["networks"].items()
            },
            "batch_sizes": {m: CONFIG["methods"][m]["batch_size"] for m in plan.MAIN},
            "epochs": CONFIG["training"]["epochs"],
            "subspace_dimension": CONFIG["sharpness"]["subspace"]["dimension"],
        }
    )


def checked(wildcards):
    return paths.checked(STUDY, wildcards.network, network(wildcards)["dataset"])


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
