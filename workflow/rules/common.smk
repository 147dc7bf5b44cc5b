# Shared by all rules: the catalog of experiments, wildcard constraints, and functions
# that map wildcards to specifications, inputs and resources.
import hashlib
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from mathprobe import catalog, clone, cluster, dependencies, doctor  # noqa: E402
from mathprobe import estimates, files, inputs, paths, provenance  # noqa: E402
from mathprobe import strict_yaml, surroundings  # noqa: E402
from mathprobe.errors import InputError  # noqa: E402
from mathprobe.failed_jobs import FailedJobs  # noqa: E402
from mathprobe.linalg.properties import PROPERTIES  # noqa: E402
from mathprobe.paper import latex, tables, tex  # noqa: E402

try:
    clone.check(ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None


configfile: "config/config.yaml"


FAILED = FailedJobs(workflow.output_settings.dryrun)
logger.addFilter(FAILED)

os.environ |= surroundings.variables(ROOT)

# Jobs use the Python interpreter of Snakemake, unless conda environments are enabled.
python = shlex.quote(str(Path(sys.executable).parent))
with_conda = bool(workflow.deployment_settings.deployment_method)
shell.prefix(
    "set -euo pipefail; "
    + ("" if with_conda else f'export PATH={python}:"$PATH"; ')
    + f"export PYTHONPATH={shlex.quote(str(ROOT / 'src'))}; "
)

try:
    profiles = cluster.profiles(sys.argv[1:], Path(workflow.rundir))
    for path in [*workflow.configfiles, *profiles]:
        strict_yaml.read(path)  # stricter than Snakemake, which has read the file
    cluster.check_settings(workflow.resource_settings)
    CATALOG = catalog.Catalog(config, ROOT)
    INPUTS = inputs.Inputs(CATALOG, ROOT)
    prefixes = f"{Path.cwd()}/results/", "results/"
    TARGETS = [path for path in sys.argv[1:] if path.startswith(prefixes)]
    INPUTS.check(TARGETS)
except InputError as error:
    raise WorkflowError(str(error)) from None

CLUSTER = CATALOG.cluster
ESTIMATES = {scale: estimates.Estimates(CATALOG, scale) for scale in CATALOG.scales}
TESTSET, MODEL, ARITH, TABLES = paths.TESTSET, paths.MODEL, paths.ARITH, paths.TABLES
TRAINED = catalog.alternation(CATALOG.scales)  # all scales but `record`
TEMPLATES = INPUTS.templates
NOTEBOOKS = INPUTS.notebooks
NOT_PRINTED = ("overview", "foreign_model")  # their figures are not in the paper
PRINTED_FIGURES = [name for name in NOTEBOOKS if name not in NOT_PRINTED]
SECTIONS = sorted(path.name for path in (ROOT / "paper/sections").glob("*.tex"))
PUBLISHED, ERRATA = local(INPUTS.published), local(inputs.ERRATA)
ARITH_PUBLISHED = local(INPUTS.arith_published)
# Input of the rules that write LaTeX.
TEXT = {"facts": f"{TABLES}/facts.json", "published": PUBLISHED, "errata": ERRATA}
ENGINE = tex.find(ROOT / tex.CACHE)

if workflow.is_main_process:
    for finding in doctor.examine(ROOT, ENGINE):
        if finding.level == "error":
            raise WorkflowError(str(finding))
        (logger.warning if finding.level == "warning" else logger.info)(str(finding))
if ENGINE.kind == "none":
    logger.warning(tex.skipped_message(ENGINE.note))


wildcard_constraints:
    **{
        name: paths.wildcard_regex(name, CATALOG.names)
        for name in ["n", *CATALOG.names]
    },
    kind=catalog.alternation(INPUTS.by_size),
    template=catalog.alternation(TEMPLATES),
    notebook=catalog.alternation(NOTEBOOKS),


def check_disk():
    """Raise WorkflowError if there is too little disk space for the jobs that train."""
    trained = {f"{study}_train" for study in provenance.TRAINING_COMMANDS}
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name in trained]
    try:
        models = [model_spec(job.wildcards) for job in jobs]
        parallel = workflow.cores if workflow.local_exec else workflow.nodes
        doctor.results_folder(ROOT / "results", models, parallel)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def digest(value):
    """Return a short hash of a JSON value."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# The complete configuration, with overrides from the command line, for `paper_facts`.
CONFIG = Path(f".cache/config/{digest(config)}.json")
if not CONFIG.exists():
    files.write_json(CONFIG, config)


def default_targets(scale):
    """Return the targets of a scale; without LaTeX, the PDF is not one of them."""
    pdf = [f"results/{scale}/paper.pdf"] if ENGINE.kind != "none" else []
    pages = expand(f"results/{scale}/notebooks/{{notebook}}.html", notebook=NOTEBOOKS)
    return [*pdf, *pages, *INPUTS.circuit_pages(scale), *INPUTS.all_tables(scale)]


def made():
    """Return a line about the files that a successful run has made."""
    first, *others = TARGETS or default_targets(CATALOG.default_scale)
    folder = os.path.commonpath([first, *others])
    return f"Made {first}" + (f" and {len(others)} more in {folder}" if others else "")


def mark_local(paths):
    """Mark paths outside results/ as local, so that no storage provider fetches them."""
    if isinstance(paths, dict):
        return {name: mark_local(path) for name, path in paths.items()}
    if isinstance(paths, str):
        return paths if paths.startswith("results/") else local(paths)
    return [mark_local(path) for path in paths]


def template_files(w):
    """Return a LaTeX template and the templates that it includes."""
    paths = latex.template_files(ROOT / f"paper/templates/{w.template}.tex.j2")
    return local([f"paper/templates/{path.name}" for path in paths])


def model_spec(w):
    """Return the specification of a model of either study."""
    if w.get("model"):
        return CATALOG.arith_model(w.scale, w.model)
    return CATALOG.model(**w)


def spec(make):
    """Return a function from wildcards to the JSON of a specification."""
    return lambda w: make(w).to_json()


def compute(job, setting):
    """Return a function from wildcards to a setting of `compute`, for a kind of job."""
    return lambda w: getattr(getattr(CATALOG.compute(w.scale), job), setting)


def tests(setting):
    """Return a function from wildcards to a setting of `linalg.tests`."""
    return lambda w: getattr(CATALOG.linalg(w.scale).settings.tests, setting)


def hours(w):
    """Return the estimated hours of a training: its priority, so longest first."""
    return ESTIMATES[w.scale].hours(model_spec(w))


def on_cluster(job):
    """Return functions from wildcards to the Slurm resources of a kind of job."""
    gpus = compute(job, "gpus")
    named = CLUSTER.resources(gpus=0) | CLUSTER.resources(gpus=1)
    return {
        name: lambda w, name=name: CLUSTER.resources(gpus(w)).get(name)
        for name in named
    }


def resources_of(job):
    """Return the resources of a kind of job: `cuda` requires a GPU, `auto` does not."""
    gpus = compute(job, "gpus")
    return {
        **on_cluster(job),
        "gpu": gpus,
        "device": lambda w: "cuda" if gpus(w) else "auto",
        "mem_mb": compute(job, "mem_mb"),
    }


def train_runtime(w, attempt):
    """Return the runtime of a training, in minutes."""
    return CLUSTER.limited(ESTIMATES[w.scale].runtime(model_spec(w), attempt))


def train_slurm_extra(w):
    """Return further options of Slurm for a training."""
    site = CLUSTER.resources(compute("train", "gpus")(w)).get("slurm_extra", "")
    return f"{ESTIMATES[w.scale].slurm_nice(model_spec(w))} {site}".strip()


TRAIN = {
    **resources_of("train"),
    "runtime": train_runtime,
    "slurm_extra": train_slurm_extra,
    "save_every": compute("train", "save_every"),
}
# Of rules in a group with an evaluation; all jobs of a group need the same partition.
WITH_EVALUATION = on_cluster("predict")
EVALUATE = {
    **resources_of("predict"),
    "runtime": lambda w: CLUSTER.limited(compute("predict", "runtime")(w)),
}


def model_folders(w, input):
    """Return the folders of the input models, maybe copies of a storage provider."""
    parents = [Path(path).parent for path in input.models]
    folders = [path.parent if path.name == "facts" else path for path in parents]
    return list(dict.fromkeys(folders))


def notebook_parameters(w, input, output):
    """Return the parameters of a notebook as JSON: paths and settings."""
    names = INPUTS.notebook_inputs(w).keys() - {"map_files"}
    given = {name: input.get(name) for name in sorted(names)}
    paths = {k: v if isinstance(v, str) else list(v or []) for k, v in given.items()}
    paths["figures"] = output.figures
    return json.dumps({**paths, **INPUTS.notebook_settings(w)})


def report_table(table):
    """Include a table in the report."""
    name = Path(table).stem
    study = "Second study" if name.startswith("arith_") else "First study"
    place = {"category": study, "subcategory": "Tables", "labels": {"table": name}}
    return report(table, caption="../report/table.rst", **place)


def notebook_category(w):
    """Return the category of a notebook in the report."""
    linalg = dict.fromkeys(INPUTS.linalg_notebooks(w.scale), "First study")
    return {"overview": "Findings", **linalg}.get(w.notebook, "Second study")


def notebook_labels(w):
    """Return the label of a notebook in the report: its first heading."""
    source = (ROOT / f"paper/notebooks/{w.notebook}.py").read_text("utf-8")
    return {"page": source.split("# # ", 1)[1].splitlines()[0]}


def complete_rules():
    """Add a conda environment, Slurm resources and the parameter `code` to the rules.

    Also add the name of the rule to its message, which replaces it in logs.
    `code` is a digest of the source files on which the command of the rule depends, so
    that the rule runs again when one of them changes.  Training rules do not have it,
    because a change of the code must not delete a model.
    """
    for one in workflow.rules:
        if not one.shellcmd:
            continue
        [command] = re.findall(r"-m mathprobe (\w+)", one.shellcmd)
        name = "tex" if command == "typeset" else "python"
        one.message = f"{one.message} ({one.name})"
        one.conda_env = str(ROOT / f"envs/{name}.yaml")
        for resource, value in CLUSTER.resources(gpus=0).items():
            if resource not in one.resources:
                one.resources[resource] = value
        if command == "notebook":
            one.set_params(code=notebook_code)
        elif command not in provenance.TRAINING_COMMANDS.values():
            one.set_params(code=dependencies.digest(command))


def notebook_code(w):
    """Return a digest of the source files on which a notebook depends."""
    source = ROOT / f"paper/notebooks/{w.notebook}.py"
    return dependencies.digest("notebook", source)
