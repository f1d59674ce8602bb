# Train one network with one method from one starting point.

RUN = paths.run(STUDY, "{network}", "{method}", "{trial}")


rule train:
    input:
        data=arrays,
        code=code("stages.train"),
    output:
        start=f"{RUN}/start.safetensors",
        final=f"{RUN}/final.safetensors",
        history=f"{RUN}/history.csv",
        run=f"{RUN}/run.json",
        epochs=directory(f"{RUN}/epochs"),
        provenance=f"{RUN}/provenance.json",
    log:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.benchmark.tsv"
    wildcard_constraints:
        method=r"sb|lb|b\d+",
    threads: CONFIG["threads"]
    resources:
        gpu=int(CONFIG["device"] != "cpu"),
    params:
        spec=train_spec,
        start="",
    message:
        "Training {wildcards.network} with {wildcards.method}, trial {wildcards.trial}"
    shell:
        "python -m largebatch train --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} {params.start}"
        " --out start={output.start:q} final={output.final:q} history={output.history:q}"
        " run={output.run:q} epochs={output.epochs:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


# The same from an iterate of the SB run of that trial (Figure 5).
use rule train as train_warm with:
    input:
        data=arrays,
        start_epochs=f"{paths.run(STUDY, '{network}', 'sb', '{trial}')}/epochs",
        code=code("stages.train"),
    wildcard_constraints:
        method=r"warm\d+",
    params:
        spec=train_spec,
        start=lambda w, input: f"start_epochs={shlex_quote(input.start_epochs)}",
    message:
        "Training {wildcards.network} with LB from SB's epoch, {wildcards.method}, trial {wildcards.trial}"
