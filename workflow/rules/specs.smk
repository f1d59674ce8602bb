# What the stages are told, as JSON: the keys of the config that change their numbers, no others.


def code(*modules):
    """One file that changes with the package's files that these modules can reach."""
    try:
        return [codefiles.fingerprint(paths.code(), *modules)]
    except OSError:  # a dry run in a folder that cannot be written
        return [os.path.relpath(path) for path in codefiles.reachable(*modules)]


def named(files):
    """Gathered tables as words of a command line, `name=path`."""
    return [f"{os.path.splitext(os.path.basename(path))[0]}={path}" for path in files]


def network_code(stage):
    """The code of a stage that builds a network: the user's own file is part of it."""
    return lambda wildcards: code(stage) + usercode.files_of(network(wildcards)["family"])


def data_code(source):
    return code("stages.data", module_of(source)) + usercode.files_of(source)


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
    if method in ARMS:
        return ARMS[method].get("batch_size", CONFIG["methods"]["lb"]["batch_size"])
    if method in CONFIG["methods"]:
        return CONFIG["methods"][method]["batch_size"]
    return int(method.removeprefix("b"))


def regime_of(method):
    """The keywords of TrainingSettings for a method: a remedied arm may have some of its own."""
    training = {**CONFIG["training"], **ARMS.get(method, {}).get("training", {})}
    training["evaluation_batch_size"] = CONFIG["evaluation_batch_size"]
    if training["schedule"]["kind"] == "constant" and not training["schedule"]["warmup_epochs"]:
        del training["schedule"]  # so that a study without one is not trained again for its sake
    return training


def arm_spec(method):
    """What `train` is told of a remedied arm, and of no other run."""
    if method not in ARMS:
        return {}
    return {
        "remedies": remedies_of(ARMS[method]),
        "small_batch_size": CONFIG["methods"]["sb"]["batch_size"],
        "budget": CONFIG["remedies"]["budget"],
    }


def training_spec(wildcards, kind, **others):
    """What `train` and its like are told; `kind` is the method whose regime it is."""
    return {
        "seed": CONFIG["seed"],
        "network": wildcards.network,
        "architecture": architecture(network(wildcards)),
        "batch_size": batch_size(kind),
        "training": regime_of(kind),
        "device": CONFIG["device"],
        **arm_spec(kind),
        **others,
    }


def train_spec(wildcards):
    method, trial = wildcards.method, int(wildcards.trial)
    kept = plan.keeps_epochs(CONFIG, wildcards.network, method, trial)
    return json.dumps(
        training_spec(wildcards, method, method=method, trial=trial, keep_epochs=kept)
    )


def warm_spec(wildcards, methods):
    trial = int(wildcards.trial)
    return json.dumps(
        training_spec(wildcards, "lb", methods=methods, trial=trial, keep_epochs=False)
    )


def tune_spec(wildcards):
    return json.dumps(
        training_spec(wildcards, wildcards.method, method=wildcards.method, **CONFIG["tuning"])
    )


def tuned(wildcards):
    """What was tuned for a run; nothing where the study tunes nothing, or not this method."""
    pair = (wildcards.network, wildcards.method)
    return [paths.tuning(STUDY, *pair)] if pair in TUNED else []


def check_spec():
    keys = ("study", "seed", "trials", "training", "batch_sweep", "warm_start", "trajectory")
    return json.dumps(
        {
            **{key: CONFIG[key] for key in (*keys, "remedies")},
            "networks": {
                name: {"dataset": entry["dataset"], "architecture": architecture(entry)}
                for name, entry in CONFIG["networks"].items()
            },
            "batch_sizes": {m: CONFIG["methods"][m]["batch_size"] for m in plan.MAIN},
            "arms": {
                name: {"batch_size": batch_size(name), "training": regime_of(name)} | arm_spec(name)
                for name in ARMS
            },
            "tuned": sorted(TUNED),
            "validation": CONFIG["tuning"]["validation"],
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


def remedy_sharpness_spec(wildcards):
    """As for SB and LB, in the same subspaces, but without the paper's solver."""
    subspace = {k: v for k, v in CONFIG["sharpness"]["subspace"].items() if k != "paper_solver"}
    others = {"full": {}, "subspace": subspace}
    spaces = [
        json.loads(sharpness_spec(wildcards, space, EPSILONS, ["best"], **others[space]))
        for space in CONFIG["remedies"]["spaces"]
    ]
    return json.dumps({"spaces": spaces})


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
    keys += ("remedies", "tuning")
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
        **({"remedies": remedy_settings()} if ARMS else {}),
    }


def remedy_settings():
    return {
        "arms": {name: remedies_of(arm) for name, arm in ARMS.items()},
        "training": {name: own for name, arm in ARMS.items() if (own := own_regime(arm))},
        "budget": CONFIG["remedies"]["budget"],
        "keskar": ["augmentation", "conservative", "adversarial", "stability"],
    }


def bias_spec():
    """The regression experiment of figure_bias: our grid, small enough for seconds."""
    return json.dumps(
        {
            "seed": CONFIG["seed"],
            "problems": 5,
            "workers": 8,
            "topologies": ["ring", "mesh", "exponential", "full"],
            "gammas": [0.001, 0.0001],
            "betas": [0.5, 0.8, 0.9],
        }
    )


def study_spec(**others):
    """What `plan` reads, of the parts that say which results there are."""
    return {**json.loads(gather_spec()), **others}


def verify_spec(**others):
    kept = CONFIG["keep_iterates"]
    return json.dumps(study_spec(keep_iterates=kept, derived=DERIVED, **others))


def archive_spec():
    config = {key: value for key, value in CONFIG.items() if key not in ("mirror", "downloads")}
    return verify_spec(config=config, weights=CONFIG["archive"]["weights"])
