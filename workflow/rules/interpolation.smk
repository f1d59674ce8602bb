# Loss and accuracy between the SB and the LB solution of a trial (Figures 3 and 7).


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
    return {m: paths.run(STUDY, "{network}", m, "{trial}") + f"/{file}" for m in plan.MAIN}


rule interpolation:
    message:
        "Interpolating between SB and LB of {wildcards.network}, trial {wildcards.trial}"
    input:
        **pair("final.safetensors"),
        runs=list(pair("run.json").values()),
        data=arrays,
        code=code("stages.interpolation"),
    output:
        **{p: paths.interpolation(STUDY, "{network}", p, "{trial}") for p in plan.PATHS},
        provenance=f"results/{STUDY}/interpolation/{{network}}/trial{{trial}}.provenance.json",
    params:
        spec=interpolation_spec,
    log:
        f"logs/{STUDY}/interpolation/{{network}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/interpolation/{{network}}/trial{{trial}}.benchmark.tsv"
    threads: CONFIG["threads"]
    resources:
        gpu=1,
    shell:
        LARGEBATCH + " interpolation --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} sb={input.sb:q} lb={input.lb:q} runs={input.runs:q}"
        " --out linear={output.linear:q} curvilinear={output.curvilinear:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
