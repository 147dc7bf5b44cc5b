# What the rules share: the catalog of experiments, the names that wildcards may take,
# and functions from wildcards to specifications and inputs.
import hashlib
import itertools
import json
import math
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f'set -euo pipefail; export PYTHONPATH="{ROOT / "src"}"; ')

from mathprobe import catalog, files, plan  # noqa: E402
from mathprobe.errors import InputError  # noqa: E402
from mathprobe.linalg.laws import parts  # noqa: E402
from mathprobe.paper import published, tables, tex  # noqa: E402

try:
    SCHEMA = catalog.read(ROOT / "workflow/schemas/config.schema.yaml")
    CATALOG = catalog.Catalog(config, SCHEMA, ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None

PUBLISHED = local(expand("paper/published/{name}.csv", name=published.FILES))
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
CONTENTS = tables.contents()
BY_SIZE = [kind for kind, known in tables.KINDS.items() if known.entries]
START_MINUTES = 10  # of a job, until it trains, and from there to its end
COSTS = ["trainings", "costs"]  # of no task and size, for the report alone
ENGINE = tex.find(ROOT / tex.CACHE)
PRIVATE_TEX = tex.CACHE / "bin/pdflatex"

logger.info(ENGINE.line)
if ENGINE.kind == "none":
    logger.warning(tex.skipped_box(ENGINE.note))


wildcard_constraints:
    scale=catalog.either(CATALOG.shown_scales),
    task=catalog.either(CATALOG.tasks),
    law=CATALOG.law_pattern,
    recipe=catalog.either(CATALOG.recipes),
    n=r"[1-9][0-9]?(x[1-9][0-9]?)?",
    kind=catalog.either(BY_SIZE),
    content=catalog.either(CONTENTS),


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


def assumed_rate(wildcards):
    """Give the operations a second that a scale's trainings are planned with."""
    return CATALOG.compute(wildcards.scale, "train")["flops_per_second"]


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
    return [*pdf, f"results/{scale}/report.html"]


def shown(wildcards):
    entries = tables.KINDS[wildcards.kind].entries
    return CATALOG.shown(wildcards.scale, entries, wildcards.task, wildcards.n)


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


def missing(wildcards):
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


def trained_runs(wildcards):
    """Ask for what is told of the trainings of both studies."""
    decoders = decoder_folders(wildcards.scale, CATALOG.arith(wildcards.scale).rows)
    folders = [*all_folders(wildcards), *decoders]
    return files_in(wildcards.scale, folders, ["run.json"])


def files_in(scale, folders, names):
    """Give files of models; a record's are a part of this project, in no storage."""
    paths = expand("{folder}/{name}", folder=folders, name=names)
    return local(paths) if scale == catalog.RECORD else paths


def folders_read(wildcards, input):
    """Give the folders of the models that a job reads, where its copies are."""
    return list(dict.fromkeys(str(Path(path).parent) for path in input.models))


def circuit_pages(wildcards):
    """Give the pages on single decoders, which a record does not have."""
    names = (
        [] if wildcards.scale == catalog.RECORD else CATALOG.arith(wildcards.scale).rows
    )
    page = "results/{scale}/arith/{model}/circuit/circuit.html"
    return expand(page, scale=wildcards.scale, model=names)


def files_of(folders):
    """Make an input function: the files of models that tables are made from."""

    def files(wildcards):
        measured = tables.KINDS[wildcards.get("kind", "runs")].source
        names = ["run.json", measured]
        return files_in(wildcards.scale, folders(wildcards), list(filter(None, names)))

    return files


def tables_of(scale, kind):
    """Give the tidy tables of one kind at a scale."""
    if kind not in BY_SIZE:
        return [f"results/{scale}/tables/{kind}.csv"]
    entries = CATALOG.entries(scale)[tables.KINDS[kind].entries]
    names = [f"{kind}_{entry['task']}_n{entry['n']}" for entry in entries]
    return [f"results/{scale}/tables/{name}.csv" for name in dict.fromkeys(names)]


def content_tables(wildcards):
    kinds = CONTENTS[wildcards.content]
    return [table for kind in kinds for table in tables_of(wildcards.scale, kind)]


def all_tables(wildcards):
    return [file for kind in tables.KINDS for file in tables_of(wildcards.scale, kind)]


def failures_at_home(scale):
    """Give what is shown of every model whose failures are looked at."""
    entries = CATALOG.entries(scale)["failures"]
    models = [name for entry in entries for name in CATALOG.models(entry)]
    return files_in(scale, folders_of(scale, models), ["home.npz"])


def notebook_inputs(scale):
    """Give what each notebook reads at a scale, by the names of its parameters."""
    made = {kind: tables_of(scale, kind) for kind in BY_SIZE}
    homes = failures_at_home(scale)
    return {
        "spectral_properties": {
            "failures": made["failures"],
            "homes": homes,
            "published": PUBLISHED,
        },
        "verifiers": {
            "verifiers": made["verifiers"],
            "roc": made["roc"],
            "homes": homes,
        },
        "generalization": {"ood": made["ood"], "published": PUBLISHED},
        "learning_speed": {
            "speeds": made["learning_speed"],
            "curves": made["curves"],
            "published": PUBLISHED,
        },
        **arith_notebooks(scale),
    }


ARITH_FIGURES = {  # that notebooks draw of all decoders, and of those that are shown
    "decoders": ["arith_losses", "arith_transfer", "arith_maps"],
    "addition_circuit": [
        f"addition_{kind}"
        for kind in ["positions", "impact", "attention", "purpose", "panels"]
    ],
    "subtraction_circuit": [
        f"mixed_{kind}"
        for kind in ["coverage", "complexity_M", "complexity_N", "purpose", "panels"]
    ],
    "parameter_transfer": ["transfer_curves"],
}


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


NOTEBOOKS = list(notebook_inputs(CATALOG.default_scale))


def notebook_pages(wildcards):
    return expand(
        "results/{scale}/notebooks/{notebook}.html",
        scale=wildcards.scale,
        notebook=NOTEBOOKS,
    )


def notebook_figures(scale):
    """Name the figures that each notebook draws: its own, or one named as each table."""
    stems = {
        kind: [Path(path).stem for path in tables_of(scale, kind)]
        for kind in ("ood", "curves")
    }
    return {
        "spectral_properties": ["failure_properties"],
        "verifiers": ["condition_error", "roc"],
        "generalization": stems["ood"],
        "learning_speed": stems["curves"],
        **ARITH_FIGURES,
    }


def notebook_parameters(wildcards, input, output):
    """Give a notebook its inputs by their names, several in one text, and a folder.

    What lies beside an input is found there.
    """
    given = {
        name: [paths] if isinstance(paths, str) else paths
        for name, paths in input.items()
        if name not in ("notebook", "code", "beside")
    }
    given["figures"] = [str(Path(output.figures[0]).parent)]
    return [shlex.quote(f"{name}={' '.join(paths)}") for name, paths in given.items()]


def figures(suffix):
    """Make an input function: the figures of all notebooks."""

    def files(wildcards):
        names = sum(notebook_figures(wildcards.scale).values(), [])
        return [f"results/{wildcards.scale}/figures/{name}.{suffix}" for name in names]

    return files


def tex_engine(wildcards):
    """Give the private TeX as an input where it is what typesets."""
    return ancient(local(PRIVATE_TEX)) if ENGINE.kind in ("possible", "private") else []


def digest(value):
    """Give a name to settings, by their content."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def facts(wildcards):
    return digest(CATALOG.facts(wildcards.scale))


# The configuration that is in effect, for jobs that describe it.
CONFIG = Path(f".cache/config/{digest(config)}.json")
if not CONFIG.exists():
    files.write_text(CONFIG, json.dumps(config))
