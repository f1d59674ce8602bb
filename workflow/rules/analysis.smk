# From all results to tidy tables, the paper's tables and the verdict on its claims.

GATHERED = ("networks", "runs", "history", "sharpness", "interpolation")
TABLES = (
    "table1",
    "table2",
    "table3",
    "table4",
    "distances",
    "appendix_c",
    "convergence",
    "failures",
    "paper",
)
REPORTS = paths.report(STUDY)


rule gather:
    input:
        results=list(plan.results(CONFIG)),
        records=list(plan.records(CONFIG)),
        code=code("stages.gather"),
    output:
        **{name: paths.gathered(STUDY, name) for name in (*GATHERED, "provenance")},
    log:
        f"logs/{STUDY}/gather.log",
    localrule: True
    params:
        spec=gather_spec(),
    message:
        "Gathering all results of the study {STUDY}"
    shell:
        "python -m largebatch gather --spec {params.spec:q}"
        " --out networks={output.networks:q} runs={output.runs:q} history={output.history:q}"
        " sharpness={output.sharpness:q} interpolation={output.interpolation:q}"
        " provenance={output.provenance:q} > {log:q} 2>&1"


rule tables:
    input:
        **{name: paths.gathered(STUDY, name) for name in GATHERED},
        code=code("stages.tables"),
        published=f"{PACKAGE}/analysis/paper_numbers.csv",
    output:
        csv=[
            report(
                f"{REPORTS}/tables/{name}.csv",
                caption=f"../report/{name}.rst",
                category="Tables",
                labels={"table": TITLES[name]},
            )
            for name in TABLES
        ],
        markdown=[f"{REPORTS}/tables/{name}.md" for name in TABLES],
    log:
        f"logs/{STUDY}/tables.log",
    localrule: True
    params:
        spec=json.dumps({"settings": settings()}),
        files=" ".join(
            f"{name}={REPORTS}/tables/{name}.csv {REPORTS}/tables/{name}.md" for name in TABLES
        ),
    message:
        "Making the tables of the study {STUDY}"
    shell:
        "python -m largebatch tables --spec {params.spec:q}"
        " --in networks={input.networks:q} runs={input.runs:q} history={input.history:q}"
        " sharpness={input.sharpness:q} interpolation={input.interpolation:q}"
        " --out {params.files} > {log:q} 2>&1"


rule claims:
    input:
        **{name: paths.gathered(STUDY, name) for name in GATHERED},
        code=code("stages.claims"),
        published=f"{PACKAGE}/analysis/paper_numbers.csv",
    output:
        csv=report(
            f"{REPORTS}/claims.csv",
            caption="../report/claims.rst",
            category="Verdict",
            labels={"table": TITLES["claims"]},
        ),
        markdown=f"{REPORTS}/claims.md",
    log:
        f"logs/{STUDY}/claims.log",
    localrule: True
    params:
        spec=json.dumps(
            {
                "settings": settings()
                | {"trajectory_trial": list(range(CONFIG["trajectory"]["trials"]))}
            }
        ),
    message:
        "Judging the paper's ten claims by the study {STUDY}"
    shell:
        "python -m largebatch claims --spec {params.spec:q}"
        " --in networks={input.networks:q} runs={input.runs:q} history={input.history:q}"
        " sharpness={input.sharpness:q} interpolation={input.interpolation:q}"
        " --out csv={output.csv:q} markdown={output.markdown:q} > {log:q} 2>&1"
