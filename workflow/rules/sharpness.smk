# Metric 2.1 at the last iterates (Tables 3 and 4, Figures 4 and 5) and along runs (Figure 6).

SHARPNESS = paths.sharpness(STUDY, "{network}", "{method}", "{trial}")
SHARPNESS_LOGS = f"logs/{STUDY}/sharpness/{{network}}/{{method}}/trial{{trial}}"


def sharpness_spec(wildcards, space, epsilons, solvers, max_evaluations, **others):
    # The method is left out: SB and LB are measured in the same random subspaces.
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
            "max_evaluations": max_evaluations,
            **others,
        }
    )


def main_sharpness_spec(wildcards):
    settings = CONFIG["sharpness"]
    solvers = ["best", "paper"]
    if wildcards.space == "full":
        return sharpness_spec(wildcards, "full", EPSILONS, solvers, settings["max_evaluations"])
    return sharpness_spec(wildcards, "subspace", EPSILONS, solvers, **settings["subspace"])


def sweep_sharpness_spec(wildcards):
    section = CONFIG["warm_start" if wildcards.method.startswith("warm") else "batch_sweep"]
    return sharpness_spec(wildcards, "full", [HEADLINE], ["best"], section["max_evaluations"])


def trajectory_spec(wildcards):
    section = CONFIG["trajectory"]
    return sharpness_spec(
        wildcards,
        "full",
        [HEADLINE],
        ["best"],
        section["max_evaluations"],
        epochs=sorted(section["epochs"]),
    )


rule sharpness:
    message:
        "Measuring the {wildcards.space} sharpness of {wildcards.network}, {wildcards.method}, trial {wildcards.trial}"
    input:
        data=arrays,
        weights=f"{RUN}/final.safetensors",
        run=f"{RUN}/run.json",
        code=code("stages.sharpness"),
    output:
        measurements=[f"{SHARPNESS}/{paths.measurement('{space}', e)}" for e in EPSILONS],
        provenance=f"{SHARPNESS}/{{space}}.provenance.json",
    params:
        spec=main_sharpness_spec,
    wildcard_constraints:
        method="sb|lb",
        space="full|subspace",
    log:
        f"{SHARPNESS_LOGS}/{{space}}.log",
    benchmark:
        f"{SHARPNESS_LOGS}/{{space}}.benchmark.tsv"
    threads: CONFIG["threads"]
    resources:
        gpu=1,
    shell:
        LARGEBATCH + " sharpness --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} weights={input.weights:q} run={input.run:q}"
        " --out measurements={output.measurements:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


use rule sharpness as sharpness_sweep with:
    message:
        "Measuring the sharpness of {wildcards.network}, {wildcards.method}, trial {wildcards.trial}"
    output:
        measurements=f"{SHARPNESS}/{paths.measurement('full', HEADLINE)}",
        provenance=f"{SHARPNESS}/full.provenance.json",
    params:
        spec=sweep_sharpness_spec,
    wildcard_constraints:
        method=r"b\d+|warm\d+",
    log:
        f"{SHARPNESS_LOGS}/full.log",
    benchmark:
        f"{SHARPNESS_LOGS}/full.benchmark.tsv"


rule trajectory:
    message:
        "Measuring sharpness along the {wildcards.method} run of {wildcards.network}, trial {wildcards.trial}"
    input:
        data=arrays,
        epochs=f"{RUN}/epochs",
        code=code("stages.trajectory"),
    output:
        trajectory=f"{SHARPNESS}/{paths.measurement('trajectory', HEADLINE)}",
        provenance=f"{SHARPNESS}/trajectory.provenance.json",
    params:
        spec=trajectory_spec,
    wildcard_constraints:
        method="sb|lb",
    log:
        f"{SHARPNESS_LOGS}/trajectory.log",
    benchmark:
        f"{SHARPNESS_LOGS}/trajectory.benchmark.tsv"
    threads: CONFIG["threads"]
    resources:
        gpu=1,
    shell:
        LARGEBATCH + " trajectory --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} epochs={input.epochs:q}"
        " --out trajectory={output.trajectory:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
