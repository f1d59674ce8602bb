# Before a network is trained: does every one fit its data, and the study the disk?
#
# A rule for a network's first call, when its data may still be to be prepared; `onstart` for later
# ones. As a rule alone it would hide changes: where a job is to be run again, Snakemake (9.27) looks
# for no other reason to run what depends on it, and drops the reason itself where the input is
# `ancient`. So nothing but its absence may ever run this rule: the name has all that it depends on,
# its input is ancient, its spec is no param.

import subprocess

CHECK_SPEC = check_spec()


rule check:
    input:
        record=ancient(f"{paths.data('{dataset}')}/record.json"),
    output:
        checked=paths.checked(STUDY, "{network}", "{dataset}"),
    log:
        f"logs/{STUDY}/check/{{network}}.{{dataset}}.log",
    priority: 100
    localrule: True
    message:
        "Checking that {wildcards.network} can be trained on {wildcards.dataset}"
    shell:
        "python -m largebatch check --spec {CHECK_SPEC:q} --out checked={output.checked:q}"
        " > {log:q} 2>&1"


onstart:
    written = {
        folder
        for job in workflow.dag.needrun_jobs()
        for path in job.output
        for folder in ("results/data", f"results/{STUDY}", REPORTS)
        if path.startswith(f"{folder}/")
    }
    try:
        refuse_unwritable(sorted(written))
    except WriteError as error:
        raise WorkflowError(str(error))
    if any(
        map(
            os.path.exists, [f"{paths.data(n)}/record.json" for n in plan.used_datasets(CONFIG)]
        )
    ):
        command = [sys.executable, "-m", "largebatch", "check", "--spec", CHECK_SPEC]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise WorkflowError(done.stderr.strip())
    starter.start(EXPORTS.get(starter.ADDRESS, ""), CONFIG["threads"])
