# What the rules share: the catalog of experiments, the names that wildcards may have,
# and functions from wildcards to specifications, inputs and resources.
import hashlib
import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from mathprobe import catalog, dependencies, estimates, files, inputs  # noqa: E402
from mathprobe import paths, provenance  # noqa: E402
from mathprobe.errors import InputError  # noqa: E402
from mathprobe.linalg.properties import PROPERTIES  # noqa: E402
from mathprobe.paper import latex, tables, tex  # noqa: E402

# Rules run the interpreter that runs Snakemake, unless conda is asked for.
python = shlex.quote(str(Path(sys.executable).parent))
with_conda = bool(workflow.deployment_settings.deployment_method)
shell.prefix(
    "set -euo pipefail; "
    + ("" if with_conda else f'export PATH={python}:"$PATH"; ')
    + f"export PYTHONPATH={shlex.quote(str(ROOT / 'src'))}; "
)

try:
    CATALOG = catalog.Catalog(config, ROOT)
    INPUTS = inputs.Inputs(CATALOG, ROOT)
    INPUTS.check(path for path in sys.argv[1:] if path.startswith("results/"))
except InputError as error:
    raise WorkflowError(str(error)) from None

ESTIMATES = {scale: estimates.Estimates(CATALOG, scale) for scale in CATALOG.scales}
TESTSET, MODEL, ARITH, TABLES = paths.TESTSET, paths.MODEL, paths.ARITH, paths.TABLES
TRAINED = catalog.alternation(CATALOG.scales)
CONTENTS = tables.kinds_by_template()  # LaTeX files, and the kinds of tables that each shows
NOTEBOOKS = INPUTS.notebooks
SECTIONS = sorted(path.name for path in (ROOT / "paper/sections").glob("*.tex"))
PUBLISHED, ERRATA = local(INPUTS.published), local(inputs.ERRATA)
ARITH_PUBLISHED = local(INPUTS.arith_published)
ENGINE = tex.find(ROOT / tex.CACHE)

logger.info(ENGINE.message)
if ENGINE.kind == "none":
    logger.warning(tex.skipped_message(ENGINE.note))


wildcard_constraints:
    **{name: paths.wildcard_regex(name, CATALOG.names) for name in ["n", *CATALOG.names]},
    kind=catalog.alternation(INPUTS.by_size),
    content=catalog.alternation(CONTENTS),
    notebook=catalog.alternation(NOTEBOOKS),


def digest(value):
    """Return a short name of plain values, by their content."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# The configuration in effect, for the job that describes it.
CONFIG = Path(f".cache/config/{digest(config)}.json")
if not CONFIG.exists():
    files.write_json(CONFIG, config)


def outcome(scale):
    """Return what a plain run makes; without TeX that is all but the PDF."""
    pdf = [f"results/{scale}/paper.pdf"] if ENGINE.kind != "none" else []
    pages = expand(f"results/{scale}/notebooks/{{notebook}}.html", notebook=NOTEBOOKS)
    return [*pdf, *pages, *INPUTS.circuit_pages(scale), *INPUTS.all_tables(scale)]


def stored(found):
    """Mark files of this project, which no storage of results holds, as local."""
    if isinstance(found, dict):
        return {name: stored(one) for name, one in found.items()}
    if isinstance(found, str):
        return found if found.startswith("results/") else local(found)
    return [stored(one) for one in found]


def templates(w):
    """Return the template of a LaTeX file, and those that it includes."""
    found = latex.template_files(ROOT / f"paper/templates/{w.content}.tex.j2")
    return local([f"paper/templates/{path.name}" for path in found])


def training(w):
    """Return the specification of a training of either study."""
    if w.get("model"):
        return CATALOG.arith_model(w.scale, w.model)
    return CATALOG.model(**w)


def spec(describe):
    """Return a function from wildcards to a specification as JSON."""
    return lambda w: describe(w).to_json()


def needs(job, what):
    """Return a function from wildcards to what a kind of job needs at their scale."""
    return lambda w: getattr(getattr(CATALOG.compute(w.scale), job), what)


def tests(what):
    """Return a function from wildcards to a setting of the tests of their scale."""
    return lambda w: getattr(CATALOG.linalg(w.scale).settings.tests, what)


def hours(w):
    return ESTIMATES[w.scale].hours(training(w))


# What a training and an evaluation ask for.
TRAIN = {
    "gpu": needs("train", "gpus"),
    "mem_mb": needs("train", "mem_mb"),
    "runtime": lambda w, attempt: ESTIMATES[w.scale].runtime(training(w), attempt),
    "slurm_extra": lambda w: ESTIMATES[w.scale].slurm_nice(training(w)),
    "save_every": needs("train", "save_every"),
}
EVALUATE = {
    "gpu": needs("predict", "gpus"),
    "mem_mb": needs("predict", "mem_mb"),
    "runtime": needs("predict", "runtime"),
}


def folders(w, input):
    """Return the folders of the models that a job reads, where its copies are."""
    own = [Path(path).parent for path in input.models]
    return list(
        dict.fromkeys(one.parent if one.name == "facts" else one for one in own)
    )


def notebook_parameters(w, input, output):
    """Return a notebook's parameters as JSON: its inputs by name, and a folder."""
    names = INPUTS.notebook(w).keys() - {"beside"}
    given = {name: input.get(name) for name in sorted(names)}
    shown = {k: v if isinstance(v, str) else list(v or []) for k, v in given.items()}
    return json.dumps({**shown, "figures": output.figures})


def figure_folders(w):
    """Return the folders into which notebooks draw; of `overview` the paper has none."""
    folder = f"results/{w.scale}/figures/{{notebook}}"
    return expand(folder, notebook=[name for name in NOTEBOOKS if name != "overview"])


def reported(table):
    """Mark a table for the report."""
    name = Path(table).stem
    study = "Second study" if name.startswith("arith_") else "First study"
    about = {"category": study, "subcategory": "Tables", "labels": {"table": name}}
    return report(table, caption="../report/table.rst", **about)


def study(w):
    """Return the report's category of a notebook."""
    others = {"overview": "Paper", **dict.fromkeys(inputs.FIRST, "First study")}
    return others.get(w.notebook, "Second study")


def page_labels(w):
    """Return the name of a notebook in the report: its first heading."""
    source = (ROOT / f"paper/notebooks/{w.notebook}.py").read_text("utf-8")
    return {"page": source.split("# # ", 1)[1].splitlines()[0]}


def complete_rules():
    """Give every rule what follows from its command.

    That is the environment for `--sdm conda`, and as a parameter a digest of the source
    files that the command depends on, so that the rule runs again when one of them
    changes.  Trainings have none: a change of the code never deletes a model.
    """
    for made in workflow.rules:
        if not made.shellcmd:
            continue
        [command] = re.findall(r"-m mathprobe (\w+)", made.shellcmd)
        name = "tex" if command == "typeset" else "python"
        made.conda_env = str(ROOT / f"envs/{name}.yaml")
        if command == "notebook":
            made.set_params(code=notebook_code)
        elif command not in provenance.TRAINING_COMMANDS.values():
            made.set_params(code=dependencies.digest(command))


def notebook_code(w):
    """Return a digest of the source files that executing a notebook depends on."""
    source = ROOT / f"paper/notebooks/{w.notebook}.py"
    return dependencies.digest("notebook", source)
