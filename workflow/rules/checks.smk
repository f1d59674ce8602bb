# Is a study what its records say, can it be done again, and can it travel?
#
# `verify` and `reproduce` have no output that Snakemake knows of: they look every time, and their
# report stays where they find something wrong.

DERIVED = ["gather", "tables", "claims", "page", *FIGURE_TABLES]
if "figure_bias" in FIGURE_TABLES:
    DERIVED.append("decentralized_bias")
AGAIN = [paths.reproduced(STUDY, path) for path in plan.reproduced_records(CONFIG)]
AGAIN_RUN = paths.reproduced(STUDY, RUN)
AGAIN_SHARPNESS = paths.reproduced(STUDY, SHARPNESS)
AGAIN_LOGS = f"logs/{STUDY}/reproduced"
# What was trained again in another environment is trained again once more.
VERSIONS = json.dumps(versions())


# No inputs: nothing may be computed, however much of the study is missing.
rule verify:
    log:
        f"logs/{STUDY}/verify.log",
    localrule: True
    params:
        # A string would have its {braces} replaced.
        spec=lambda w: verify_spec(
            configfiles=[os.path.relpath(path) for path in workflow.overwrite_configfiles]
        ),
        report=f"{REPORTS}/verification.md",
    message:
        "Checking all digests and records of the study {STUDY}: {params.report}"
    shell:
        "python -m largebatch verify --spec {params.spec:q} --out report={params.report:q}"
        " > {log:q} 2>&1 && cat {log:q}"


# The study's own files are no inputs: they would be made again by the code of today, which is what
# they are compared with. Nor is what was tuned; it is read where it lies.
rule train_again:
    input:
        data=arrays,
        code=network_code("stages.train"),
    output:
        start=f"{AGAIN_RUN}/start.safetensors",
        final=f"{AGAIN_RUN}/final.safetensors",
        history=f"{AGAIN_RUN}/history.csv",
        run=f"{AGAIN_RUN}/run.json",
        epochs=ITERATES(f"{AGAIN_RUN}/epochs"),
        provenance=f"{AGAIN_RUN}/provenance.json",
    log:
        f"{AGAIN_LOGS}/train/{{network}}/{{method}}/trial{{trial}}.log",
    benchmark:
        f"{AGAIN_LOGS}/train/{{network}}/{{method}}/trial{{trial}}.benchmark.tsv"
    wildcard_constraints:
        method=rf"sb|lb|b\d+|{ARM}",
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=train_spec,
        state=paths.state_again(STUDY, "{network}", "{method}", "{trial}"),
        tuned=tuned,
        versions=VERSIONS,
    message:
        "Training {wildcards.network} with {wildcards.method}, trial {wildcards.trial}, again"
    shell:
        "python -m largebatch train --spec {params.spec:q} --threads {threads}"
        " --state {params.state:q}"
        " --in data={input.data:q} tuned={params.tuned:q}"
        " --out start={output.start:q} final={output.final:q} history={output.history:q}"
        " run={output.run:q} epochs={output.epochs:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


use rule sharpness as sharpness_again with:
    input:
        data=arrays,
        weights=f"{AGAIN_RUN}/final.safetensors",
        run=f"{AGAIN_RUN}/run.json",
        code=network_code("stages.sharpness"),
    output:
        measurements=[f"{AGAIN_SHARPNESS}/{paths.measurement('{space}', e)}" for e in EPSILONS],
        provenance=f"{AGAIN_SHARPNESS}/{{space}}.provenance.json",
    log:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/{{space}}.log",
    benchmark:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/{{space}}.benchmark.tsv"


use rule sharpness_again as sharpness_sweep_again with:
    output:
        measurements=f"{AGAIN_SHARPNESS}/{paths.measurement('full', HEADLINE)}",
        provenance=f"{AGAIN_SHARPNESS}/full.provenance.json",
    log:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/full.log",
    benchmark:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/full.benchmark.tsv"
    wildcard_constraints:
        method=r"b\d+",
    params:
        spec=sweep_sharpness_spec,


use rule sharpness_again as sharpness_remedy_again with:
    output:
        measurements=[
            f"{AGAIN_SHARPNESS}/{paths.measurement(space, epsilon)}"
            for space in CONFIG["remedies"]["spaces"]
            for epsilon in EPSILONS
        ],
        provenance=f"{AGAIN_SHARPNESS}/remedy.provenance.json",
    log:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/remedy.log",
    benchmark:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/remedy.benchmark.tsv"
    wildcard_constraints:
        method=ARM,
    params:
        spec=remedy_sharpness_spec,


use rule trajectory as trajectory_again with:
    input:
        data=arrays,
        epochs=f"{AGAIN_RUN}/epochs",
        code=network_code("stages.trajectory"),
    output:
        trajectory=f"{AGAIN_SHARPNESS}/{paths.measurement('trajectory', HEADLINE)}",
        provenance=f"{AGAIN_SHARPNESS}/trajectory.provenance.json",
    log:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/trajectory.log",
    benchmark:
        f"{AGAIN_LOGS}/sharpness/{{network}}/{{method}}/trial{{trial}}/trajectory.benchmark.tsv"


use rule interpolation as interpolation_again with:
    input:
        **{m: paths.reproduced(STUDY, path) for m, path in pair("final.safetensors").items()},
        runs=[paths.reproduced(STUDY, path) for path in pair("run.json").values()],
        data=arrays,
        code=network_code("stages.interpolation"),
    output:
        **{
            p: paths.reproduced(STUDY, paths.interpolation(STUDY, "{network}", p, "{trial}"))
            for p in plan.PATHS
        },
        provenance=f"results/{STUDY}/reproduced/interpolation/{{network}}/trial{{trial}}.provenance.json",
    log:
        f"{AGAIN_LOGS}/interpolation/{{network}}/trial{{trial}}.log",
    benchmark:
        f"{AGAIN_LOGS}/interpolation/{{network}}/trial{{trial}}.benchmark.tsv"


rule reproduce:
    input:
        AGAIN,
    log:
        f"logs/{STUDY}/reproduce.log",
    localrule: True
    params:
        spec=lambda w: json.dumps(study_spec(reproduce=CONFIG["reproduce"])),
        report=f"{REPORTS}/reproducibility.md",
    message:
        "Comparing what was done again with the study {STUDY}: {params.report}"
    shell:
        "python -m largebatch reproduce --spec {params.spec:q} --out report={params.report:q}"
        " > {log:q} 2>&1 && cat {log:q}"


rule archive:
    input:
        list(plan.results(CONFIG)),
        list(plan.records(CONFIG)),
        [paths.derived(STUDY, rule) for rule in DERIVED],
    output:
        archive=paths.archive(STUDY),
    log:
        f"logs/{STUDY}/archive.log",
    localrule: True
    params:
        spec=lambda w: archive_spec(),
    message:
        "Packing the study {STUDY}: {output.archive}"
    shell:
        "python -m largebatch archive --spec {params.spec:q} --out archive={output.archive:q}"
        " > {log:q} 2>&1 && cat {log:q}"
