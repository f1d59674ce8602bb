# What all rules share: the checked config, the bridge to the library, each stage's source files.

import json
import sys

import yaml
from largebatch import codefiles, gpus, paths, plan, starter, usercode
from largebatch.architectures import architecture
from largebatch.data.registry import module_of
from largebatch.errors import InputError, WriteError
from largebatch.provenance import versions
from largebatch.remedies import remedies_of
from largebatch.report.titles import TITLES
from largebatch.storage import refuse_unwritable
from largebatch.study import check, own_regime
from largebatch.usercode import is_user
from snakemake.exceptions import WorkflowError

with open(workflow.source_path("../schemas/config.schema.yaml")) as stream:
    SCHEMA = yaml.safe_load(stream)
# Snakemake's own templates run Python that is written in a config. Here `module:function` alone does.
for path in workflow.overwrite_configfiles:
    if "__use_yte__" in open(path, encoding="utf-8").read():
        raise WorkflowError(
            f"The study cannot be run:\n{path}: __use_yte__; code in a study is not allowed, code of "
            "your own is named as module:function"
        )
try:
    CONFIG, DATASET_OPTIONS = check(config, SCHEMA)
except InputError as error:
    raise WorkflowError(f"The study cannot be run:\n{error}")

STUDY = CONFIG["study"]
# Relative paths, so that a project that is moved or copied has nothing to do again.
WORKFLOW = os.path.relpath(os.path.join(workflow.basedir, "workflow"))
PACKAGE = os.path.relpath(codefiles.PACKAGE)
# What the report shows; paths of this machine and who computes are no part of the study.
PRIVATE = (
    "mirror",
    "downloads",
    "device",
    "jobs_per_gpu",
    "keep_iterates",
    "reproduce",
    "archive",
)
PUBLIC_CONFIG = {key: value for key, value in CONFIG.items() if key not in PRIVATE}
EPSILONS = CONFIG["sharpness"]["epsilons"]
HEADLINE = plan.headline(CONFIG)
ARMS = CONFIG["remedies"]["arms"]
TUNED = set(plan.tuned(CONFIG))
# Large-batch methods with remedies, as a wildcard's pattern; the last never matches.
ARM = "|".join(map(re.escape, ARMS)) or "(?!)"
# The Python that runs Snakemake also runs the jobs, whether or not its venv is activated. Where the
# files of data sets lie is told by the environment: it does not change what is computed.
EXPORTS = {"LARGEBATCH_DOWNLOADS": CONFIG["downloads"]}
if CONFIG["mirror"]:
    EXPORTS["LARGEBATCH_MIRROR"] = CONFIG["mirror"]
# This machine's GPUs are shared out here: Snakemake lets no more jobs run than there are slots, and
# each job takes a slot of one GPU (gpus.py). On a cluster's node the GPU was given by the cluster.
GPUS = gpus.visible() if CONFIG["device"] in ("auto", "cuda") and not workflow.remote_exec else []
if GPUS:
    EXPORTS[gpus.SHARES] = str(CONFIG["jobs_per_gpu"])
    if "gpu" not in workflow.global_resources:
        workflow.global_resources["gpu"] = len(GPUS) * CONFIG["jobs_per_gpu"]
# Jobs on this machine are forks of a process that has torch loaded. A cluster's start by themselves,
# and so do those on GPUs: CUDA does not go well with forks.
if workflow.local_exec and not GPUS:
    EXPORTS[starter.ADDRESS] = starter.address()
exports = [f"PATH={shlex_quote(os.path.dirname(sys.executable))}:$PATH"]
exports += [f"{name}={shlex_quote(value)}" for name, value in EXPORTS.items()]
# Braces are doubled: Snakemake would put the Snakefile's variables in their place, unquoted.
PREFIX = f"set -euo pipefail; export {' '.join(exports)}; "
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


def GPU(wildcards):
    """A GPU a job: where this machine has one, and on a cluster unless the study says `cpu`."""
    if CONFIG["device"] == "auto":
        return int(bool(GPUS) or not workflow.local_exec)
    return int(CONFIG["device"] == "cuda")


def growing(amount):
    """A resource for a cluster, of which each further attempt gets as much again."""
    return lambda wildcards, attempt: amount * attempt


# Iterates are for the warm starts and Figure 6 only: gigabytes in the paper's study.
ITERATES = directory if CONFIG["keep_iterates"] else lambda path: temp(directory(path))


wildcard_constraints:
    network="|".join(re.escape(name) for name in CONFIG["networks"]),
    dataset="|".join(re.escape(name) for name in CONFIG["datasets"]),
    trial=r"\d+",
