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
if ARMS:
    GATHERED += ("remedy_paths",)
    TABLES += ("remedies",)
if TUNED:
    GATHERED += ("tuning",)
    TABLES += ("tuning",)
# The table of remedies says how long each took; nothing else in a table may differ between runs.
TIMES = ("provenance",) if ARMS else ()
REPORTS = paths.report(STUDY)


rule gather:
    input:
        results=list(plan.results(CONFIG)),
        records=list(plan.records(CONFIG)),
        code=code("stages.gather"),
    output:
        **{name: paths.gathered(STUDY, name) for name in (*GATHERED, "provenance")},
        record=paths.derived(STUDY, "gather"),
    log:
        f"logs/{STUDY}/gather.log",
    localrule: True
    params:
        spec=lambda w: gather_spec(),  # a string would have its {braces} replaced
        files=named(paths.gathered(STUDY, name) for name in (*GATHERED, "provenance")),
    message:
        "Gathering all results of the study {STUDY}"
    shell:
        "python -m largebatch gather --spec {params.spec:q} --out {params.files:q}"
        " --provenance {output.record:q} > {log:q} 2>&1"


rule tables:
    input:
        **{name: paths.gathered(STUDY, name) for name in (*GATHERED, *TIMES)},
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
        provenance=paths.derived(STUDY, "tables"),
    log:
        f"logs/{STUDY}/tables.log",
    localrule: True
    params:
        spec=json.dumps({"settings": settings()}),
        tables=named(paths.gathered(STUDY, name) for name in (*GATHERED, *TIMES)),
        files=[
            word
            for name in TABLES
            for word in (f"{name}={REPORTS}/tables/{name}.csv", f"{REPORTS}/tables/{name}.md")
        ],
    message:
        "Making the tables of the study {STUDY}"
    shell:
        "python -m largebatch tables --spec {params.spec:q} --in {params.tables:q}"
        " --out {params.files:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


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
        provenance=paths.derived(STUDY, "claims"),
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
        " --out csv={output.csv:q} markdown={output.markdown:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"


# Decentralized SGD on linear regression, where its bias is known in closed form.
rule decentralized_bias:
    input:
        code=code("stages.decentralized_bias"),
    output:
        table=paths.gathered(STUDY, "decentralized_bias"),
        provenance=paths.derived(STUDY, "decentralized_bias"),
    log:
        f"logs/{STUDY}/decentralized_bias.log",
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        spec=bias_spec(),
    message:
        "Measuring the bias of decentralized SGD on linear regression"
    shell:
        "python -m largebatch decentralized_bias --spec {params.spec:q}"
        " --out table={output.table:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"
