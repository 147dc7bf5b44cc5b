# What the rules share: the catalog of experiments, the names that wildcards may take,
# and functions from wildcards to specifications and inputs.
import json
import math
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f'set -euo pipefail; export PYTHONPATH="{ROOT / "src"}"; ')

from mathprobe import catalog, plan  # noqa: E402
from mathprobe.errors import InputError  # noqa: E402
from mathprobe.linalg.laws import parts  # noqa: E402
from mathprobe.paper import tex  # noqa: E402

try:
    SCHEMA = catalog.read(ROOT / "workflow/schemas/config.schema.yaml")
    CATALOG = catalog.Catalog(config, SCHEMA, ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None

PUBLISHED = local("paper/published/charton2022.yaml")
ERRATA = local(["paper/published/errata.yaml", "paper/published/arith_errata.yaml"])
TESTSETS = "results/{scale}/linalg/testsets/{task}"
MODEL = "results/{scale}/linalg/{task}/{law}/n{n}/{recipe}"
RECORDED = MODEL.replace("results/{scale}", str(CATALOG.record))
TRAINED = catalog.either(CATALOG.scales)
TABLES = "results/{scale}/tables"

FINDINGS = {  # of the maps of decoders, and the files of a model that tell them
    "circuits": ["facts/nodes.csv", "facts/claims.csv"],
    "controls": ["facts/controls.csv"],
    "claims": ["facts/claims.csv"],
    "reuse": ["reuse.csv"],
}
CONTENTS = {  # LaTeX files of the paper, and the kinds of tidy tables each shows
    "failures": ["failures"],
    "verifiers": ["verifiers", "failures"],
    "out_of_distribution": ["ood"],
    "squares": ["ood"],
    "tolerances": ["tolerances"],
    "learning_speed": ["learning_speed"],
    "condition_numbers": ["condition_numbers"],
    "ceilings": ["ceilings"],
    "arith_accuracy": ["arith_accuracy"],
    "arith_circuits": [f"arith_{finding}" for finding in FINDINGS],
    "errata": ["evidence"],
    "arith_errata": ["arith_evidence"],
    "runs": ["runs"],
}
# Of no task and size.
ONCE = [
    *("condition_numbers", "ceilings", "arith_accuracy", "evidence"),
    *("arith_evidence", "runs", *CONTENTS["arith_circuits"]),
]
OVERVIEW = {  # parameters of the notebook, and the tables that they name
    "conditions": "condition_numbers",
    "ceilings": "ceilings",
    "accuracy": "arith_accuracy",
    "claims": "arith_claims",
    "runs": "runs",
}
START_MINUTES = 10  # of a job, until it trains, and from there to its end
NOTEBOOKS = sorted(path.stem for path in (ROOT / "paper/notebooks").glob("*.py"))
SECTIONS = sorted(path.name for path in (ROOT / "paper/sections").glob("*.tex"))
ENGINE = tex.find(ROOT / tex.CACHE)

logger.info(ENGINE.line)
if ENGINE.kind == "none":
    logger.warning(tex.skipped_box(ENGINE.note))


wildcard_constraints:
    scale=catalog.either(CATALOG.shown_scales),
    task=catalog.either(CATALOG.tasks),
    law=CATALOG.law_pattern,
    recipe=catalog.either(CATALOG.recipes),
    n=r"[1-9][0-9]?(x[1-9][0-9]?)?",
    kind=catalog.either(catalog.TABLES),
    content=catalog.either(CONTENTS),
    notebook=catalog.either(NOTEBOOKS),


def reported(table):
    """Mark a table for the report."""
    name = Path(table).stem
    return report(
        table,
        caption="../report/table.rst",
        category="Second study" if name.startswith("arith_") else "First study",
        subcategory="Tables",
        labels={"table": name},
    )


def code(*modules):
    """Give modules of this package, which no storage of results holds."""
    return [local(f"src/mathprobe/{module}.py") for module in modules]


def testset_spec(wildcards):
    return CATALOG.testset(**wildcards).json()


def model_spec(wildcards):
    return CATALOG.model(**wildcards).json()


def conditions_spec(wildcards):
    return CATALOG.conditions(wildcards.scale).json()


def ceilings_spec(wildcards):
    return CATALOG.ceilings().json()


def evidence_spec(wildcards):
    return CATALOG.evidence().json()


def testsets(wildcards):
    laws = CATALOG.tests(wildcards.task, wildcards.law)
    return expand(f"{TESTSETS}/{{law}}/n{{n}}.npz", **{**wildcards, "law": laws})


def testsets_at_home(wildcards):
    laws = parts(wildcards.law)
    return expand(f"{TESTSETS}/{{law}}/n{{n}}.npz", **{**wildcards, "law": laws})


def tolerances(wildcards):
    return CATALOG.linalg(wildcards.scale)["tests"]["tolerances"]


def failure_tolerances(wildcards):
    return CATALOG.linalg(wildcards.scale)["tests"]["failure_tolerances"]


def needs(kind, what):
    """Look up what a kind of job needs at the wildcards' scale."""

    def look_up(wildcards):
        return CATALOG.compute(wildcards.scale, kind)[what]

    return look_up


def processes(wildcards):
    """Give the processes of a training: one for every GPU, and one without any."""
    return max(1, CATALOG.compute(wildcards.scale, "train")["gpus"])


@cache
def hours(scale, **name):
    """Guess how long a training takes, all seeds, at the rate that is assumed."""
    train = CATALOG.compute(scale, "train")
    rate = train["flops_per_second"] * max(1, train["gpus"])
    return plan.operations(CATALOG.model(scale, **name)) / rate / 3600


@cache
def longest(scale):
    """Guess the hours of the longest training that a scale's paper shows."""
    return max(hours(scale, **name) for name in CATALOG.all_models(scale))


def long_first(wildcards):
    """Give a training its hours as priority."""
    return hours(**wildcards)


def minutes(scale, hours, attempt):
    """Ask for a training's hours with a margin, and for as much more every time."""
    margin = CATALOG.compute(scale, "train")["margin"]
    return START_MINUTES + math.ceil(attempt * margin * 60 * hours)


def nice(scale, hours):
    """Have Slurm, to which Snakemake tells no priority, start long trainings first."""
    return f"--nice={max(0, round(longest(scale) - hours))}"


def linalg_minutes(wildcards, attempt):
    return minutes(wildcards.scale, hours(**wildcards), attempt)


def linalg_nice(wildcards):
    return nice(wildcards.scale, hours(**wildcards))


def outcome(scale):
    """Give what a plain run makes; without TeX that is all but the PDF."""
    pdf = [f"results/{scale}/paper.pdf"] if ENGINE.kind != "none" else []
    pages = expand(f"results/{scale}/notebooks/{{notebook}}.html", notebook=NOTEBOOKS)
    return [*pdf, *pages, *circuit_pages(scale), *every_table(scale)]


def shown(wildcards):
    return CATALOG.shown(**wildcards)


def folders_of(scale, models):
    """Give the folders of models, each once; of a record those that are there."""
    recorded = scale == catalog.RECORD
    stem = RECORDED if recorded else MODEL
    folders = dict.fromkeys(stem.format(scale=scale, **name) for name in models)
    return [name for name in folders if not recorded or Path(name, "run.json").exists()]


def table_models(wildcards):
    return [name for entry in shown(wildcards) for name in CATALOG.models(entry)]


def table_folders(wildcards):
    return folders_of(wildcards.scale, table_models(wildcards))


def absent(wildcards):
    """Name the models of a table of which nothing is recorded."""
    models = table_models(wildcards)
    there = table_folders(wildcards)
    return [
        "{task}/{law}/n{n}/{recipe}".format(**name)
        for name in models
        if wildcards.scale == catalog.RECORD and RECORDED.format(**name) not in there
    ]


def table_target(wildcards):
    """Ask for the accuracy that the entries of a table of learning speeds name."""
    if wildcards.kind != "learning_speed":
        return ""
    return f"--target {shown(wildcards)[0]['accuracy']}"


def all_folders(wildcards):
    """Give the folders of every model that the scale's paper shows."""
    return folders_of(wildcards.scale, CATALOG.all_models(wildcards.scale))


def files_in(scale, folders, names):
    """Give files of models; a record's are a part of this project, in no storage."""
    paths = expand("{folder}/{name}", folder=folders, name=names)
    return local(paths) if scale == catalog.RECORD else paths


def folders_read(wildcards, input):
    """Give the folders of the models that a job reads, where its copies are."""
    return list(dict.fromkeys(str(Path(path).parent) for path in input.models))


def circuit_pages(scale):
    """Return the pages on single decoders, which a record does not have."""
    models = [] if scale == catalog.RECORD else CATALOG.arith(scale).rows
    return expand(f"{ARITH}/circuit/circuit.html", scale=scale, model=models)


def files_of(folders):
    """Make an input function: the files of models that tables are made from."""

    def files(wildcards):
        measured = catalog.MEASURED.get(wildcards.get("kind"))
        names = ["run.json", "curve.csv", "scores.csv", measured]
        return files_in(wildcards.scale, folders(wildcards), list(filter(None, names)))

    return files


def tables_of(scale, kind):
    """Give the tidy tables of one kind at a scale."""
    if kind in ONCE:
        return [f"results/{scale}/tables/{kind}.csv"]
    names = [f"{kind}_{e['task']}_n{e['n']}" for e in CATALOG.entries(scale, kind)]
    return [f"results/{scale}/tables/{name}.csv" for name in dict.fromkeys(names)]


def content_tables(wildcards):
    kinds = CONTENTS[wildcards.content]
    return [table for kind in kinds for table in tables_of(wildcards.scale, kind)]


def every_table(scale):
    kinds = [*catalog.TABLES, *ONCE]
    return [table for kind in kinds for table in tables_of(scale, kind)]


def all_tables(wildcards):
    return every_table(wildcards.scale)


def failures_at_home(scale):
    """Give what is shown of every model whose failures are looked at."""
    entries = CATALOG.entries(scale, "failures")
    models = [name for entry in entries for name in CATALOG.models(entry)]
    return files_in(scale, folders_of(scale, models), ["home.npz"])


def notebook_inputs(wildcards):
    """Return what a notebook reads at a scale, by the names of its parameters."""
    scale = wildcards.scale
    tables = {kind: tables_of(scale, kind) for kind in catalog.TABLES}
    homes = failures_at_home(scale)
    inputs = {
        "overview": {
            "facts": f"results/{scale}/tables/facts.json",
            "ood": tables["ood"],
            "verifiers": tables["verifiers"],
            "errata": ERRATA,
            "evidence": [
                *tables_of(scale, "evidence"),
                *tables_of(scale, "arith_evidence"),
            ],
            **{
                name: f"results/{scale}/tables/{table}.csv"
                for name, table in OVERVIEW.items()
            },
        },
        "spectral_properties": {
            "failures": tables["failures"],
            "homes": homes,
            "published": PUBLISHED,
        },
        "verifiers": {
            "verifiers": tables["verifiers"],
            "roc": tables["roc"],
            "homes": homes,
        },
        "generalization": {
            "ood": tables["ood"],
            "tolerances": tables["tolerances"],
            "published": PUBLISHED,
        },
        "learning_speed": {
            "speeds": tables["learning_speed"],
            "curves": tables["curves"],
            "published": PUBLISHED,
        },
        **arith_notebooks(scale),
    }
    return inputs[wildcards.notebook]


def decoder_folders(scale, names):
    """Give the folders of decoders; of a record those that are there."""
    recorded = scale == catalog.RECORD
    root = str(CATALOG.record) if recorded else f"results/{scale}"
    folders = [f"{root}/arith/{name}" for name in names]
    return [name for name in folders if not recorded or Path(name, "run.json").exists()]


def arith_notebooks(scale):
    """Give what the notebooks of the second study read at a scale."""
    decoders = CATALOG.arith(scale)
    shown = decoders.settings["shown"]

    def of(names, *files):
        return files_in(scale, decoder_folders(scale, names), files)

    def map_of(name):
        beside = [f"facts/{file}" for file in catalog.arith.MAP]
        return {"nodes": of([name], "facts/nodes.csv"), "beside": of([name], *beside)}

    children = [shown["mixed"]] if decoders.row(shown["mixed"]).parent else []
    return {
        "decoders": {
            name: f"results/{scale}/tables/arith_{name}.csv"
            for name in ("accuracy", "curves", "circuits")
        },
        "addition_circuit": map_of(shown["addition"]),
        "subtraction_circuit": map_of(shown["mixed"]),
        "parameter_transfer": {
            "accuracy": f"results/{scale}/tables/arith_accuracy.csv",
            "curves": of(decoders.relatives(shown["mixed"]), "curve.csv"),
            "reuse": of(children, "reuse.csv"),
        },
    }


def notebook_parameters(wildcards, input, output):
    """Return a notebook's parameters as JSON: its inputs by name, and a folder.

    What lies beside an input is found there.
    """
    given = {
        name: paths if isinstance(paths, str) else list(paths)
        for name, paths in input.items()
        if name not in ("notebook", "template", "code", "beside")
    }
    return json.dumps({**given, "figures": output.figures})


def figure_folders(wildcards):
    """Return the folders into which notebooks draw; of `overview` the paper has none."""
    folder = f"results/{wildcards.scale}/figures/{{notebook}}"
    return expand(folder, notebook=[name for name in NOTEBOOKS if name != "overview"])


def study(wildcards):
    """Return the report's category of a notebook."""
    if wildcards.notebook == "overview":
        return "Paper"
    second = wildcards.notebook in arith_notebooks(wildcards.scale)
    return "Second study" if second else "First study"


def page_labels(wildcards):
    """Return what the report calls a notebook: its first heading."""
    source = (ROOT / f"paper/notebooks/{wildcards.notebook}.py").read_text()
    return {"page": source.split("# # ", 1)[1].splitlines()[0]}


def facts(wildcards):
    return json.dumps(CATALOG.facts(wildcards.scale), sort_keys=True)
