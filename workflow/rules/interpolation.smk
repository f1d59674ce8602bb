# Loss and accuracy between the SB and the LB solution of a trial (Figures 3 and 7).


rule interpolation:
    input:
        **pair("final.safetensors"),
        runs=list(pair("run.json").values()),
        data=arrays,
        code=network_code("stages.interpolation"),
    output:
        **{p: paths.interpolation(STUDY, "{network}", p, "{trial}") for p in plan.PATHS},
        provenance=f"results/{STUDY}/interpolation/{{network}}/trial{{trial}}.provenance.json",
    log:
        f"logs/{STUDY}/interpolation/{{network}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/interpolation/{{network}}/trial{{trial}}.benchmark.tsv"
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=interpolation_spec,
    message:
        "Interpolating between SB and LB of {wildcards.network}, trial {wildcards.trial}"
    shell:
        "python -m largebatch interpolation --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} sb={input.sb:q} lb={input.lb:q} runs={input.runs:q}"
        " --out linear={output.linear:q} curvilinear={output.curvilinear:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


rule remedy_path:
    input:
        sb=f"{paths.run(STUDY, '{network}', 'sb', '{trial}')}/final.safetensors",
        lb=f"{paths.run(STUDY, '{network}', '{method}', '{trial}')}/final.safetensors",
        runs=[f"{paths.run(STUDY, '{network}', m, '{trial}')}/run.json" for m in ("sb", "{method}")],
        data=arrays,
        code=network_code("stages.interpolation"),
    output:
        linear=paths.remedy_path(STUDY, "{network}", "{method}", "{trial}"),
        provenance=paths.remedy_path(STUDY, "{network}", "{method}", "{trial}").replace(
            ".csv", ".provenance.json"
        ),
    log:
        f"logs/{STUDY}/remedy_paths/{{network}}/{{method}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/remedy_paths/{{network}}/{{method}}/trial{{trial}}.benchmark.tsv"
    wildcard_constraints:
        method=ARM,
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=interpolation_spec,
    message:
        "Interpolating between SB and {wildcards.method} of {wildcards.network}, trial {wildcards.trial}"
    shell:
        "python -m largebatch interpolation --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} sb={input.sb:q} lb={input.lb:q} runs={input.runs:q}"
        " --out linear={output.linear:q} --provenance {output.provenance:q} > {log:q} 2>&1"
