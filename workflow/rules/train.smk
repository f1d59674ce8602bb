# Train one network with one method from one starting point.

RUN = paths.run(STUDY, "{network}", "{method}", "{trial}")
SB_ITERATES = f"{paths.run(STUDY, '{network}', 'sb', '{trial}')}/epochs"


rule train:
    input:
        data=arrays,
        tuned=tuned,
        checked=ancient(checked),
        code=network_code("stages.train"),
    output:
        start=f"{RUN}/start.safetensors",
        final=f"{RUN}/final.safetensors",
        history=f"{RUN}/history.csv",
        run=f"{RUN}/run.json",
        epochs=ITERATES(f"{RUN}/epochs"),
        provenance=f"{RUN}/provenance.json",
    log:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.benchmark.tsv"
    wildcard_constraints:
        method=rf"sb|lb|b\d+|{ARM}",
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=train_spec,
        state=paths.state(STUDY, "{network}", "{method}", "{trial}"),
    message:
        "Training {wildcards.network} with {wildcards.method}, trial {wildcards.trial}"
    shell:
        "python -m largebatch train --spec {params.spec:q} --threads {threads}"
        " --state {params.state:q}"
        " --in data={input.data:q} tuned={input.tuned:q}"
        " --out start={output.start:q} final={output.final:q} history={output.history:q}"
        " run={output.run:q} epochs={output.epochs:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


# The learning rate of a method by a grid on a validation split, before any of its runs.
rule tune:
    input:
        data=arrays,
        checked=ancient(checked),
        code=network_code("stages.tune"),
    output:
        tuned=paths.tuning(STUDY, "{network}", "{method}"),
        provenance=paths.tuning(STUDY, "{network}", "{method}").replace(".json", ".provenance.json"),
    log:
        f"logs/{STUDY}/tune/{{network}}/{{method}}.log",
    benchmark:
        f"logs/{STUDY}/tune/{{network}}/{{method}}.benchmark.tsv"
    wildcard_constraints:
        method=f"sb|lb|{ARM}",
    threads: CONFIG["threads"]
    resources:
        gpu=GPU,
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        spec=tune_spec,
        state=paths.tuning_state(STUDY, "{network}", "{method}"),
    message:
        "Choosing the learning rate of {wildcards.method} for {wildcards.network}"
    shell:
        "python -m largebatch tune --spec {params.spec:q} --threads {threads}"
        " --state {params.state:q}"
        " --in data={input.data:q} --out tuned={output.tuned:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


# LB from iterates of the SB run of that trial (Figure 5): a rule and a job for every few starts.
for group in plan.warm_groups(CONFIG):

    rule:
        name:
            f"train_{group[0]}"
        input:
            data=arrays,
            epochs=SB_ITERATES,
            checked=ancient(checked),
            code=network_code("stages.train_warm"),
        output:
            final=[
                f"{paths.run(STUDY, '{network}', m, '{trial}')}/final.safetensors" for m in group
            ],
            history=[f"{paths.run(STUDY, '{network}', m, '{trial}')}/history.csv" for m in group],
            run=[f"{paths.run(STUDY, '{network}', m, '{trial}')}/run.json" for m in group],
            provenance=f"{paths.run(STUDY, '{network}', group[0], '{trial}')}/provenance.json",
        log:
            f"logs/{STUDY}/train/{{network}}/{group[0]}/trial{{trial}}.log",
        benchmark:
            f"logs/{STUDY}/train/{{network}}/{group[0]}/trial{{trial}}.benchmark.tsv"
        threads: CONFIG["threads"]
        resources:
            gpu=GPU,
            mem_mb=growing(8000),
            runtime=growing(240),
        params:
            spec=lambda w, group=group: warm_spec(w, group),
            state=paths.state(STUDY, "{network}", group[0], "{trial}"),
        message:
            f"Training {{wildcards.network}} with LB from the SB run's iterates, {group[0]} to {group[-1]}, trial {{wildcards.trial}}"
        shell:
            "python -m largebatch train_warm --spec {params.spec:q} --threads {threads}"
            " --state {params.state:q}"
            " --in data={input.data:q} epochs={input.epochs:q}"
            " --out final={output.final:q} history={output.history:q} run={output.run:q}"
            " --provenance {output.provenance:q} > {log:q} 2>&1"
