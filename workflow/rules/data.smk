# Convert each data set once, for all networks and studies.


def data_spec(wildcards):
    entry = CONFIG["datasets"][wildcards.dataset]
    return json.dumps(
        {
            "source": entry["source"],
            "options": {key: value for key, value in entry.items() if key != "source"},
            "mirror": CONFIG["mirror"],
            "downloads": CONFIG["downloads"],
        }
    )


rule data:
    message:
        "Preparing the data set {wildcards.dataset}"
    input:
        code=lambda w: code("stages.data", f"data.{CONFIG['datasets'][w.dataset]['source']}"),
    output:
        arrays=paths.data("{dataset}") + "/arrays.safetensors",
        record=paths.data("{dataset}") + "/record.json",
        provenance=paths.data("{dataset}") + "/provenance.json",
    params:
        spec=data_spec,
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "logs/data/{dataset}.benchmark.tsv"
    localrule: True
    shell:
        LARGEBATCH + " data --spec {params.spec:q}"
        " --out arrays={output.arrays:q} record={output.record:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
