# largebatch: small-batch against large-batch training, from data to verdict (Keskar et al. 2017).
#
#   snakemake --cores all                                        the default study, config.yaml
#   snakemake --cores all --configfile studies/mnist.yaml        another study
#   snakemake -n                                                 what would be done, and why

import os
import re
from shlex import quote as shlex_quote

from snakemake.utils import min_version

min_version("9.6")

# --configfile adds to what is loaded here, so the default study must not be there to leak into it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/specs.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/check.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sharpness.smk"
include: "workflow/rules/interpolation.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/checks.smk"


report: "workflow/report/workflow.rst"


# This machine's number of GPUs must not throttle a cluster.
resource_scopes:
    gpu="local",


rule all:
    default_target: True
    input:
        f"{REPORTS}/index.html",
        f"{REPORTS}/claims.md",
        expand(f"{REPORTS}/tables/{{name}}.md", name=TABLES),
        expand(f"{REPORTS}/figures/{{name}}.{{kind}}", name=FIGURE_TABLES, kind=["png", "pdf"]),
    localrule: True
    message:
        f"The study {STUDY} is complete: {REPORTS}/index.html"
