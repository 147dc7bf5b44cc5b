# What the rules share: the catalog of experiments, the names that wildcards may take,
# and functions from wildcards to specifications and inputs.
import json
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
shell.prefix(f'set -euo pipefail; export PYTHONPATH="{ROOT / "src"}"; ')

from mathprobe import catalog, estimates, paths  # noqa: E402
from mathprobe.errors import InputError  # noqa: E402
from mathprobe.linalg.laws import parts  # noqa: E402
from mathprobe.linalg.properties import PROPERTIES  # noqa: E402
from mathprobe.paper import tex  # noqa: E402

try:
    CATALOG = catalog.Catalog(config, ROOT)
except InputError as error:
    raise WorkflowError(str(error)) from None

PUBLISHED = local("paper/published/charton2022.yaml")
ERRATA = local(["paper/published/errata.yaml", "paper/published/arith_errata.yaml"])
TESTSETS, TESTSET = paths.TESTSETS, paths.TESTSET
MODEL, ARITH, TABLES = paths.MODEL, paths.ARITH, paths.TABLES
NAMES = CATALOG.names
TRAINED = catalog.alternation(CATALOG.scales)
ESTIMATES = {scale: estimates.Estimates(CATALOG, scale) for scale in CATALOG.scales}

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
    "arith_circuits": [
        *("arith_circuits", "arith_controls", "arith_claims", "arith_reuse")
    ],
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
    scale=paths.part("scale", NAMES),
    task=paths.part("task", NAMES),
    law=paths.part("law", NAMES),
    recipe=paths.part("recipe", NAMES),
    n=paths.part("n", NAMES),
    kind=paths.part("kind", NAMES),
    content=catalog.alternation(CONTENTS),
    notebook=catalog.alternation(NOTEBOOKS),


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
    return CATALOG.linalg(wildcards.scale).conditions().json()


def ceilings_spec(wildcards):
    return CATALOG.ceilings().json()


def evidence_spec(wildcards):
    return CATALOG.evidence().json()


def testsets(wildcards):
    laws = CATALOG.tests(wildcards.task, wildcards.law)
    return expand(TESTSET, **{**wildcards, "law": laws})


def testsets_at_home(wildcards):
    laws = parts(wildcards.law)
    return expand(TESTSET, **{**wildcards, "law": laws})


def tolerances(wildcards):
    return CATALOG.linalg(wildcards.scale).settings.tests.tolerances


def failure_tolerances(wildcards):
    return CATALOG.linalg(wildcards.scale).settings.tests.failure_tolerances


def needs(kind, what):
    """Look up what a kind of job needs at the wildcards' scale."""

    def look_up(wildcards):
        return getattr(getattr(CATALOG.compute(wildcards.scale), kind), what)

    return look_up


def training(wildcards):
    """Describe a training of either study."""
    if wildcards.get("model"):
        return CATALOG.arith_model(wildcards.scale, wildcards.model)
    return CATALOG.model(**wildcards)


def hours(wildcards):
    return ESTIMATES[wildcards.scale].hours(training(wildcards))


def minutes(wildcards, attempt):
    return ESTIMATES[wildcards.scale].minutes(training(wildcards), attempt)


def nice(wildcards):
    return ESTIMATES[wildcards.scale].nice(training(wildcards))


def outcome(scale):
    """Give what a plain run makes; without TeX that is all but the PDF."""
    pdf = [f"results/{scale}/paper.pdf"] if ENGINE.kind != "none" else []
    pages = expand(f"results/{scale}/notebooks/{{notebook}}.html", notebook=NOTEBOOKS)
    return [*pdf, *pages, *circuit_pages(scale), *every_table(scale)]


def shown(wildcards):
    names = {key: wildcards[key] for key in ("kind", "task", "n")}
    return CATALOG.linalg(wildcards.scale).shown(**names)


def of_scale(pattern, scale):
    """Return the pattern of a model's folder; that of a record is in this project."""
    recorded = scale == catalog.RECORD
    return paths.recorded(pattern, str(CATALOG.record)) if recorded else pattern


def folders_of(scale, names, pattern=MODEL):
    """Return the folders of models, each once; of a record those that are there."""
    stem = of_scale(pattern, scale)
    folders = dict.fromkeys(stem.format(scale=scale, **name) for name in names)
    recorded = scale == catalog.RECORD
    return [name for name in folders if not recorded or Path(name, "run.json").exists()]


def table_models(wildcards):
    return [name for entry in shown(wildcards) for name in CATALOG.models(entry)]


def table_folders(wildcards):
    return folders_of(wildcards.scale, table_models(wildcards))


def absent(wildcards):
    """Name the models of a table of which nothing is recorded."""
    models = table_models(wildcards)
    there = table_folders(wildcards)
    stem = of_scale(MODEL, wildcards.scale)
    return [
        paths.LINALG_NAME.format(**name)
        for name in models
        if stem.format(scale=wildcards.scale, **name) not in there
    ]


def table_targets(wildcards):
    """Ask for the accuracies that a table of learning speeds counts to, by model."""
    if wildcards.kind != "learning_speed":
        return ""
    targets = CATALOG.linalg(wildcards.scale).targets(wildcards.task, wildcards.n)
    return f"--targets {' '.join(targets)}"


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
    entries = CATALOG.entries(scale, kind)
    names = [
        paths.TABLE.format(scale=scale, kind=kind, task=e.task, n=e.n) for e in entries
    ]
    return list(dict.fromkeys(names))


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
    return folders_of(scale, [{"model": name} for name in names], ARITH)


def arith_notebooks(scale):
    """Give what the notebooks of the second study read at a scale."""
    decoders = CATALOG.arith(scale)
    shown = decoders.settings.shown

    def of(names, *files):
        return files_in(scale, decoder_folders(scale, names), files)

    def map_of(name):
        beside = [f"facts/{file}" for file in catalog.arith.MAP]
        return {"nodes": of([name], "facts/nodes.csv"), "beside": of([name], *beside)}

    children = [shown.mixed] if decoders.row(shown.mixed).parent else []
    return {
        "decoders": {
            name: f"results/{scale}/tables/arith_{name}.csv"
            for name in ("accuracy", "curves", "circuits")
        },
        "addition_circuit": map_of(shown.addition),
        "subtraction_circuit": map_of(shown.mixed),
        "parameter_transfer": {
            "accuracy": f"results/{scale}/tables/arith_accuracy.csv",
            "curves": of(decoders.relatives(shown.mixed), "curve.csv"),
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
