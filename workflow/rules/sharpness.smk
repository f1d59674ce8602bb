# Metric 2.1 at the last iterates (Tables 3 and 4, Figures 4 and 5) and along runs (Figure 6).

SHARPNESS = paths.sharpness(STUDY, "{network}", "{method}", "{trial}")
SHARPNESS_LOGS = f"logs/{STUDY}/sharpness/{{network}}/{{method}}/trial{{trial}}"


rule sharpness:
    input:
        data=arrays,
        weights=f"{RUN}/final.safetensors",
        run=f"{RUN}/run.json",
        code=network_code("stages.sharpness"),
    output:
        measurements=[f"{SHARPNESS}/{paths.measurement('{space}', e)}" for e in EPSILONS],
        provenance=f"{SHARPNESS}/{{space}}.provenance.json",
    log:
        f"{SHARPNESS_LOGS}/{{space}}.log",
    benchmark:
        f"{SHARPNESS_LOGS}/{{space}}.benchmark.tsv"
    wildcard_constraints:
        method="sb|lb",
        space="full|subspace",
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=main_sharpness_spec,
    message:
        "Measuring the {wildcards.space} sharpness of {wildcards.network}, {wildcards.method}, trial {wildcards.trial}"
    shell:
        "python -m largebatch sharpness --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} weights={input.weights:q} run={input.run:q}"
        " --out measurements={output.measurements:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


use rule sharpness as sharpness_sweep with:
    output:
        measurements=f"{SHARPNESS}/{paths.measurement('full', HEADLINE)}",
        provenance=f"{SHARPNESS}/full.provenance.json",
    log:
        f"{SHARPNESS_LOGS}/full.log",
    benchmark:
        f"{SHARPNESS_LOGS}/full.benchmark.tsv"
    wildcard_constraints:
        method=r"b\d+|warm\d+",
    params:
        spec=sweep_sharpness_spec,
    message:
        "Measuring the sharpness of {wildcards.network}, {wildcards.method}, trial {wildcards.trial}"


# Both spaces in one job: to load torch and the data takes as long as a search.
use rule sharpness as sharpness_remedy with:
    output:
        measurements=[
            f"{SHARPNESS}/{paths.measurement(space, epsilon)}"
            for space in CONFIG["remedies"]["spaces"]
            for epsilon in EPSILONS
        ],
        provenance=f"{SHARPNESS}/remedy.provenance.json",
    log:
        f"{SHARPNESS_LOGS}/remedy.log",
    benchmark:
        f"{SHARPNESS_LOGS}/remedy.benchmark.tsv"
    wildcard_constraints:
        method=ARM,
    params:
        spec=remedy_sharpness_spec,
    message:
        "Measuring the sharpness of {wildcards.network}, {wildcards.method}, trial {wildcards.trial}"


rule trajectory:
    input:
        data=arrays,
        epochs=f"{RUN}/epochs",
        code=network_code("stages.trajectory"),
    output:
        trajectory=f"{SHARPNESS}/{paths.measurement('trajectory', HEADLINE)}",
        provenance=f"{SHARPNESS}/trajectory.provenance.json",
    log:
        f"{SHARPNESS_LOGS}/trajectory.log",
    benchmark:
        f"{SHARPNESS_LOGS}/trajectory.benchmark.tsv"
    wildcard_constraints:
        method="sb|lb",
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=trajectory_spec,
    message:
        "Measuring sharpness along the {wildcards.method} run of {wildcards.network}, trial {wildcards.trial}"
    shell:
        "python -m largebatch trajectory --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} epochs={input.epochs:q}"
        " --out trajectory={output.trajectory:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
