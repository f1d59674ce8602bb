# Figures, and the one page that people read.

FIGURE_TABLES = {
    "figure_gap": ("networks", "runs", "sharpness"),
    "figure1": (),
    "figure2": ("networks", "runs", "history"),
    "figure3": ("networks", "runs", "interpolation"),
    "figure4": ("networks", "runs", "sharpness"),
    "figure5": ("networks", "runs", "history", "sharpness"),
    "figure6": ("networks", "runs", "sharpness"),
    "figure7": ("networks", "runs", "interpolation"),
    "figure_c": ("networks", "runs", "history"),
}
if ARMS:
    FIGURE_TABLES |= {
        "figure_remedies_shares": ("networks", "runs", "sharpness"),
        "figure_remedies": ("networks", "runs", "sharpness"),
        "figure_remedies_paths": ("networks", "runs", "interpolation", "remedy_paths"),
        "figure_rates": ("networks", "runs", "history"),
    }
if any("decentralized" in arm for arm in ARMS.values()):
    FIGURE_TABLES |= {"figure_bias": ("decentralized_bias",)}


for name, tables in FIGURE_TABLES.items():

    rule:
        name:
            name
        input:
            **{table: paths.gathered(STUDY, table) for table in tables},
            code=code("stages.figure", f"plots.{name}"),
        output:
            svg=report(
                f"{REPORTS}/figures/{name}.svg",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": TITLES[name]},
            ),
            png=f"{REPORTS}/figures/{name}.png",
            pdf=f"{REPORTS}/figures/{name}.pdf",
            provenance=paths.derived(STUDY, name),
        log:
            f"logs/{STUDY}/{name}.log",
        localrule: True
        params:
            spec=json.dumps({"figure": name, "settings": settings()}),
            tables=named(paths.gathered(STUDY, table) for table in tables),
        message:
            f"Drawing {name} of the study {STUDY}"
        shell:
            "python -m largebatch figure --spec {params.spec:q} --in {params.tables:q}"
            " --out svg={output.svg:q} png={output.png:q} pdf={output.pdf:q}"
            " --provenance {output.provenance:q} > {log:q} 2>&1"


CAPTIONS = (*FIGURE_TABLES, *TABLES, "claims")


rule page:
    input:
        claims=f"{REPORTS}/claims.csv",
        provenance=paths.gathered(STUDY, "provenance"),
        figures=expand(f"{REPORTS}/figures/{{name}}.svg", name=FIGURE_TABLES),
        tables=expand(f"{REPORTS}/tables/{{name}}.csv", name=TABLES),
        captions=[f"{WORKFLOW}/report/{name}.rst" for name in CAPTIONS],
        template=f"{PACKAGE}/report/template.html.j2",
        code=code("stages.report"),
    output:
        page=report(
            f"{REPORTS}/index.html",
            caption="../report/workflow.rst",
            category="Verdict",
            labels={"table": "The whole study on one page"},
        ),
        provenance=paths.derived(STUDY, "page"),
    log:
        f"logs/{STUDY}/page.log",
    localrule: True
    params:
        spec=lambda w: json.dumps({"config": PUBLIC_CONFIG}),  # its title may have {braces}
    message:
        "Writing the report of the study {STUDY}: {output.page}"
    shell:
        "python -m largebatch report --spec {params.spec:q}"
        " --in claims={input.claims:q} provenance={input.provenance:q}"
        " figures={input.figures:q} tables={input.tables:q} captions={input.captions:q}"
        " --out page={output.page:q} --provenance {output.provenance:q} > {log:q} 2>&1"


rule publish:
    input:
        f"{REPORTS}/index.html",
        claims=[f"{REPORTS}/claims.csv", f"{REPORTS}/claims.md"],
        provenance=paths.gathered(STUDY, "provenance"),
        figures=expand(f"{REPORTS}/figures/{{name}}.svg", name=FIGURE_TABLES),
        tables=expand(f"{REPORTS}/tables/{{name}}.{{kind}}", name=TABLES, kind=["csv", "md"]),
    output:
        directory(f"reports/published/{STUDY}"),
    log:
        f"logs/{STUDY}/publish.log",
    localrule: True
    message:
        "Copying the small artifacts of the study {STUDY} to {output}, to be committed"
    shell:
        "mkdir -p {output:q}/figures {output:q}/tables 2> {log:q}"
        " && cp {input.claims:q} {input.provenance:q} {output:q} 2>> {log:q}"
        " && cp {input.figures:q} {output:q}/figures 2>> {log:q}"
        " && cp {input.tables:q} {output:q}/tables 2>> {log:q}"
