# Convert each data set once, for all networks and studies.


rule data:
    input:
        code=lambda w: data_code(CONFIG["datasets"][w.dataset]["source"]),
    output:
        arrays=f"{paths.data('{dataset}')}/arrays.safetensors",
        record=f"{paths.data('{dataset}')}/record.json",
        provenance=f"{paths.data('{dataset}')}/provenance.json",
    log:
        "logs/data/{dataset}.log",
    benchmark:
        "logs/data/{dataset}.benchmark.tsv"
    priority: 100  # so that what does not fit is told before anything is trained
    localrule: True
    params:
        spec=data_spec,
    message:
        "Preparing the data set {wildcards.dataset}"
    shell:
        "python -m largebatch data --spec {params.spec:q}"
        " --out arrays={output.arrays:q} record={output.record:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
