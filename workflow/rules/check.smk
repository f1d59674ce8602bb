# Before the first run is trained: does every network fit its data, and the study the disk?

CHECKED = paths.checked(STUDY)


rule check:
    input:
        records=[f"{paths.data(name)}/record.json" for name in plan.used_datasets(CONFIG)],
        code=lambda w: sorted(
            {
                *code("stages.check"),
                *(file for entry in CONFIG["networks"].values() for file in user_code(entry["family"])),
            }
        ),
    output:
        checked=CHECKED,
    log:
        f"logs/{STUDY}/check.log",
    localrule: True
    params:
        spec=check_spec(),
    message:
        "Checking that every run of the study {STUDY} can be made"
    shell:
        "python -m largebatch check --spec {params.spec:q} --in records={input.records:q}"
        " --out checked={output.checked:q} > {log:q} 2>&1"
