# Train one network with one method from one starting point.

RUN = paths.run(STUDY, "{network}", "{method}", "{trial}")


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


rule train:
    message:
        "Training {wildcards.network} with {wildcards.method}, trial {wildcards.trial}"
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
    params:
        spec=train_spec,
        start="",
    wildcard_constraints:
        method=r"sb|lb|b\d+",
    log:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.log",
    benchmark:
        f"logs/{STUDY}/train/{{network}}/{{method}}/trial{{trial}}.benchmark.tsv"
    threads: CONFIG["threads"]
    resources:
        gpu=1,
    shell:
        LARGEBATCH + " train --spec {params.spec:q} --threads {threads}"
        " --in data={input.data:q} {params.start}"
        " --out start={output.start:q} final={output.final:q} history={output.history:q}"
        " run={output.run:q} epochs={output.epochs:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


# The same from an iterate of the SB run of that trial (Figure 5).
use rule train as train_warm with:
    message:
        "Training {wildcards.network} with LB from SB's epoch, {wildcards.method}, trial {wildcards.trial}"
    input:
        data=arrays,
        start_epochs=paths.run(STUDY, "{network}", "sb", "{trial}") + "/epochs",
        code=code("stages.train"),
    params:
        spec=train_spec,
        start=lambda w, input: f"start_epochs={shlex_quote(input.start_epochs)}",
    wildcard_constraints:
        method=r"warm\d+",
