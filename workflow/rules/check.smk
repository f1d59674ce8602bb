# Before the first run is trained: does every network fit its data, and the study the disk?
#
# A rule for the first call, when the data are still to be prepared; `onstart` for later ones. As a
# rule alone it would hide changes: where a job is to be run again, Snakemake (9.27) looks for no
# other reason to run what depends on it, and drops the reason itself where the input is `ancient`.
# So nothing but its absence may run this rule: all its inputs are ancient, its spec is no param.

import subprocess

CHECKED = paths.checked(STUDY)
CHECK_SPEC = check_spec()
CHECK_RECORDS = [f"{paths.data(name)}/record.json" for name in plan.used_datasets(CONFIG)]


rule check:
    input:
        records=ancient(CHECK_RECORDS),
    output:
        checked=CHECKED,
    log:
        f"logs/{STUDY}/check.log",
    localrule: True
    message:
        "Checking that every run of the study {STUDY} can be made"
    shell:
        "python -m largebatch check --spec {CHECK_SPEC:q} --in records={input.records:q}"
        " --out checked={output.checked:q} > {log:q} 2>&1"


onstart:
    if all(map(os.path.exists, [CHECKED, *CHECK_RECORDS])):
        command = [sys.executable, "-m", "largebatch", "check", "--spec", CHECK_SPEC]
        command += ["--in", f"records={CHECK_RECORDS[0]}", *CHECK_RECORDS[1:]]
        done = subprocess.run(
            [*command, "--out", f"checked={CHECKED}"], capture_output=True, text=True
        )
        if done.returncode:
            raise WorkflowError(done.stderr.strip())
