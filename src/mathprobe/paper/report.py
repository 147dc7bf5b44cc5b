"""One page that shows every result: it loads nothing, so it can be sent as it is.

Equal inputs give equal bytes.  Shares stand between 0 and 1 in the tables and are
shown as percent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from mathprobe.errors import InputError
from mathprobe.paper import (
    arith_sections,
    errata_sections,
    failure_sections,
    law_sections,
    quanta,
    run_sections,
)
from mathprobe.paper import figures as draw
from mathprobe.paper.cells import (
    NONE,
    Cell,
    Namer,
    Row,
    Section,
    count,
    duration,
    percent,
)
from mathprobe.paper.naming import POSITIVE, SYMMETRIC, Entry, entry, group
from mathprobe.paper.tables import TEXT_COLUMNS

BY_ENTRY = (
    *("failures", "verifiers", "roc", "ood", "tolerances", "learning_speed", "curves"),
)
ONCE = (
    *("condition_numbers", "ceilings", "arith_accuracy", "arith_circuits"),
    *("arith_controls", "arith_claims", "arith_reuse", "evidence"),
    "arith_evidence",
    *("runs", "trainings", "costs"),
)
LAST = (
    "settings",
    "runs",
    "trainings",
    "costs",
    *errata_sections.PARTS,
)  # sections below figures and notebooks
# Text that may look like a number, such as a revision 7e10.
CAPTIONS = {
    "arith_losses": "The loss of each decoder against the questions that it has seen.",
    "arith_transfer": (
        "Wrong answers to a million questions by the width of the numbers, of decoders "
        "that add and subtract. Filled: ours. Hollow: published."
    ),
    "arith_maps": (
        "Decoders beside each other: of the nodes that matter in each, the shares that "
        "each kind of question needs, that all need, and of which a sub-task is known."
    ),
    "failure_properties": (
        "The share of right, wrong and all answers that have a property more closely "
        "than a bound. Dotted: the bound that the paper names. Dots: what is printed."
    ),
    "condition_error": (
        "Error against condition number, a dot per test example. Below the dotted line "
        "an answer is right; left of a threshold it is believed."
    ),
    "addition_positions": (
        "Decoder, addition. The share of questions that fail without each position."
    ),
    "transfer_curves": (
        "Learning with and without a parent’s weights: right answers, and the loss."
    ),
    "roc": (
        "Right answers believed against wrong ones believed, as the threshold rises."
    ),
    "ood": (
        "Accuracy by training law (rows) and test law (columns). “Exact answer” is "
        "what the true answer scores after rounding to the digits that the tokens hold."
    ),
    "curves": (
        "Accuracy against the number of training examples, one line per training law. "
        "Dashed lines: laws with positive eigenvalues."
    ),
}


class Card(NamedTuple):
    """A key number."""

    number: str
    what: str
    where: str


def build(
    template: Path,
    tables: Mapping[str, Path],
    figures: Mapping[str, Path],
    notebooks: Mapping[str, Path],
    facts: Mapping[str, Any],
    circuits: Iterable[str] = (),
) -> str:
    """Build the page from tables (CSV), figures (SVG) and notebooks (HTML), by name.

    Of decoders whose circuits have a page of their own the names are given.

    Facts: `scale`; and, where known, `labels` of the laws, the settings of the `study`
    beside those of a `reference`, the `errata`, and under `head` what else the head is
    to show.
    """
    read = {key: _read(path) for key, path in tables.items()}
    parts = {key: _entry(key) for key in read}
    labels = {"labels": facts.get("labels", {})}

    def name(law: str) -> str:
        return draw.label(law, labels)

    sections = [
        _numbered(SECTIONS[kind](key, read[key], entry, name), entry, facts)
        for kind in SECTIONS
        for key, entry in parts.items()
        if entry.kind == kind and not read[key].empty
    ]
    first = next((key for key, entry in parts.items() if entry.kind == "ood"), None)
    cards = _cards(read[first], parts[first], name) if first else []
    runs = read.get("runs", pd.DataFrame())
    found = [read[key] for key in ("evidence", "arith_evidence") if key in read]
    evidence = pd.concat(found) if found else pd.DataFrame()
    errata = errata_sections.errata(facts.get("errata", {}), evidence)
    return _environment(template).render(
        scale=facts["scale"],
        shrunk=not facts["full"],
        head={**facts.get("head", {}), **_ran(runs)},
        cards=cards + _totals(runs),
        sections=[*sections, *_settings(facts), *errata],
        last=LAST,
        figures=[(key, _caption(key), _uri(path)) for key, path in figures.items()],
        notebooks={key: path.read_text() for key, path in notebooks.items()},
        files={key: f"tables/{path.name}" for key, path in tables.items()},
        circuits={name: f"arith/{name}/circuit/circuit.html" for name in circuits},
    )


def _environment(template: Path) -> Any:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, "string"))


def _entry(key: str) -> Entry:
    """Read what a table shows from its name; a table of no task has size 0."""
    if key in ONCE:
        return Entry(key, "", 0)
    try:
        return entry(key, BY_ENTRY)
    except InputError as error:
        raise InputError(f"{error}, {', '.join(ONCE)}") from error


def _uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _numbered(section: Section, entry: Entry, facts: Mapping[str, Any]) -> Section:
    """Say in a section's title which table of the paper it is, if it is one."""
    return section._replace(title=section.title + entry.in_paper(facts["published"]))


def _caption(key: str) -> str:
    if key in CAPTIONS:
        return CAPTIONS[key]
    role, _, kind = key.partition("_")
    if kind in quanta.MAPS:
        return f"Decoder, {role}. {quanta.MAPS[kind].title}, by node and position."
    fitting = [kind for kind in CAPTIONS if key.startswith(f"{kind}_")]
    if not fitting:
        return key.replace("_", " ")
    question = entry(key, fitting).question
    return f"{question[0].upper()}{question[1:]}. {CAPTIONS[fitting[0]]}"


# Sections: a function for each kind of table, in the order of the page.


SECTIONS = {
    "failures": failure_sections.failures,
    "verifiers": failure_sections.verifiers,
    "ood": law_sections.ood,
    "tolerances": law_sections.tolerances,
    "learning_speed": law_sections.learning_speed,
    "condition_numbers": law_sections.condition_numbers,
    "ceilings": errata_sections.ceilings,
    "arith_accuracy": arith_sections.accuracy,
    "runs": run_sections.runs,
    "trainings": run_sections.trainings,
    "costs": run_sections.rules,
}


# Settings: what was run, beside what the paper ran.


def _settings(facts: Mapping[str, Any]) -> list[Section]:
    """Compare the settings of the first table's models with the reference's."""
    if not {"study", "reference"} <= set(facts):
        return []
    here, paper = (_described(facts[which]) for which in ("study", "reference"))
    rows = [
        Row(what, [Cell(text, share=float(text != paper[what])), Cell(paper[what])])
        for what, text in here.items()
    ]
    note = "Of the models of the first table. Shaded: other than the paper’s."
    title = "Settings"
    return [Section("settings", title, note, "setting", ["here", "paper"], rows)]


def _described(study: Mapping[str, Any]) -> dict[str, str]:
    entry = study["tables"]["out_of_distribution"][0]
    recipe = study["recipes"][entry["recipe"]]
    schedule = recipe["schedule"]
    rates = [f"{schedule[key]:g}" for key in ("learning_rate", "final_learning_rate")]
    return {
        "question": Entry("", entry["task"], entry["n"]).question,
        "training examples": f"{schedule['examples']:,}",
        "batch": f"{schedule['batch']:,}",
        "learning rate": " to ".join(rates),
        "warm-up updates": f"{schedule['warmup_updates']:,}",
        **{side: _stack(recipe[side]) for side in ("encoder", "decoder")},
        **{side: _encoding(recipe[side]) for side in ("input", "output")},
        "test examples per law": f"{study['tests']['examples']:,}",
    }


def _stack(stack: Mapping[str, Any]) -> str:
    return "{layers} layers, width {width}, {heads} heads".format_map(stack)


def _encoding(side: Mapping[str, Any]) -> str:
    return f"{side['encoding'].upper()}, {side['digits']} digits"


# The head of the page.


def _cards(table: pd.DataFrame, entry: Entry, name: Namer) -> list[Card]:
    """Sum an out-of-distribution table up in a few numbers."""
    trained, tested = (table[side].map(group) for side in ("train", "test"))
    home = table["train"] == table["test"]
    across = {
        "on a model’s own law, on average": home,
        "from symmetric laws to positive": (trained == SYMMETRIC)
        & (tested == POSITIVE),
        "from positive laws to symmetric": (trained == POSITIVE)
        & (tested == SYMMETRIC),
    }
    where = entry.question
    cards = [
        Card(f"{percent(table['accuracy'][rows].mean())} %", what, where)
        for what, rows in across.items()
        if rows.any()
    ]
    worst = table.groupby("train")["accuracy"].min().dropna()
    if not worst.empty:
        what = f"or more on every test: {name(worst.idxmax())}, the safest law"
        cards.append(Card(f"{percent(worst.max())} %", what, where))
    return cards


def _totals(runs: pd.DataFrame) -> list[Card]:
    if runs.empty:
        return []
    models = f"{len(runs)} {'model' if len(runs) == 1 else 'models'} trained"
    examples = f"on {count(runs['examples'].sum())} examples in all"
    return [Card(duration(runs["seconds"].sum()), models, examples)]


def _ran(runs: pd.DataFrame) -> dict[str, str]:
    """Say where and when the models were trained."""
    if runs.empty:
        return {}
    places = runs[["machine", "device", "cpu"]].astype("string").fillna(NONE)
    places = places.drop_duplicates()
    where = "; ".join(f"{p.machine} ({p.device}, {p.cpu})" for p in places.itertuples())
    ends = sorted(run_sections.moment(value) for value in runs["finished"].dropna())
    when = " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else NONE
    return {"Trained on": where, "Finished": f"{when} UTC"}
