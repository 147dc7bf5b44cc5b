"""One page that shows every result: it loads nothing, so it can be sent as it is.

Equal inputs give equal bytes.  Shares stand between 0 and 1 in the tables and are
shown as percent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd

from mathprobe.errors import InputError
from mathprobe.paper import errata_sections, failure_sections
from mathprobe.paper import figures as draw
from mathprobe.paper.cells import (
    NONE,
    Cell,
    Namer,
    Row,
    Section,
    between,
    count,
    duration,
    known,
    listed,
    percent,
    shaded,
    significant,
)
from mathprobe.paper.tables import TEXT_COLUMNS
from mathprobe.paper.views import (
    POSITIVE,
    SYMMETRIC,
    Entry,
    Model,
    entry,
    group,
    in_order,
)

BY_ENTRY = (
    *("failures", "verifiers", "roc", "ood", "tolerances", "learning_speed", "curves"),
)
ONCE = ("condition_numbers", "ceilings", "evidence", "runs")
LAST = (
    "settings",
    "runs",
    *errata_sections.PARTS,
)  # sections below figures and notebooks
# Text that may look like a number, such as a revision 7e10.
CAPTIONS = {
    "failure_properties": (
        "The share of right, wrong and all answers that have a property more closely "
        "than a bound. Dotted: the bound that the paper names. Dots: what is printed."
    ),
    "condition_error": (
        "Error against condition number, a dot per test example. Below the dotted line "
        "an answer is right; left of a threshold it is believed."
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
) -> str:
    """Build the page from tables (CSV), figures (SVG) and notebooks (HTML), by name.

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
    runs, evidence = (read.get(key, pd.DataFrame()) for key in ("runs", "evidence"))
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
    fitting = [kind for kind in CAPTIONS if key.startswith(f"{kind}_")]
    if not fitting:
        return key.replace("_", " ")
    question = entry(key, fitting).question
    return f"{question[0].upper()}{question[1:]}. {CAPTIONS[fitting[0]]}"


# Sections: a function for each kind of table, in the order of the page.


def _ood(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    tests = in_order(table["test"])
    cells = {
        (row["train"], row["recipe"], row["test"]): _ood_cell(row)
        for row in table.to_dict("records")
    }
    rows = [
        Row(label, [cells.get((*model, test), Cell(NONE)) for test in tests], apart)
        for model, label, apart in _by_model(table, name)
    ]
    ceiling = table.groupby("test")["oracle"].mean()
    shown = [shaded(ceiling[test]) for test in tests]
    note = (
        "Percent of answers with a relative L1 error below 5 %, with 95 % intervals; "
        "of several models the mean and the standard deviation. "
        "The last row is what the exact answer scores once it is rounded as the "
        "tokens are. "
    )
    note += (
        "Printed values stand below, as “paper”."
        if table["published"].notna().any()
        else "The paper prints no table for this question and size."
    )
    head = [name(test) for test in tests]
    rows.append(Row("exact answer", shown, apart=True))
    title = f"Out of distribution: {entry.question}"
    return Section(key, title, note, "trained on ↓ tested on →", head, rows)


def _by_model(table: pd.DataFrame, name: Namer) -> Iterator[tuple[Model, str, bool]]:
    """Give each model, its name, and whether it opens a group of laws or a recipe."""
    found = draw.models(table)
    several = len({recipe for _, recipe in found}) > 1
    before = None
    for model in found:
        place = model.recipe, group(model.law)
        more = f" ({model.recipe})" if several else ""
        yield model, name(model.law) + more, before not in (None, place)
        before = place


def _of_model(table: pd.DataFrame, model: Model) -> pd.DataFrame:
    return table[(table["train"] == model.law) & (table["recipe"] == model.recipe)]


def _ood_cell(row: Mapping[str, Any]) -> Cell:
    share = row["accuracy"]
    interval = between(row["low"], row["high"], percent)
    paper = f"paper {percent(row['published'], 0)}" if known(row["published"]) else ""
    seeds = f"± {percent(row['spread'])} over {row['seeds']} models"
    tip = [
        f"{percent(share)} % of {row['examples']:,} test examples",
        interval and f"95 % interval {interval}",
        seeds if known(row["spread"]) else "",
        f"exact answer {percent(row['oracle'])}",
        paper,
    ]
    spread = f"± {percent(row['spread'])}" if known(row["spread"]) else ""
    uncertainty = spread or interval.replace(" to ", "–")
    below = tuple(text for text in (uncertainty, paper) if text)
    return shaded(share, below, listed(tip))


def _tolerances(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    steps = sorted(table["tolerance"].unique(), reverse=True)
    rows = []
    table = table.rename(columns={"law": "train"})
    for model, label, apart in _by_model(table, name):
        part = _of_model(table, model)
        found = {row["tolerance"]: row for row in part.to_dict("records")}
        cells = [_tolerance_cell(found.get(step)) for step in steps]
        malformed = Cell(percent(part["malformed"].max(), 2))
        rows.append(Row(label, [*cells, malformed], apart))
    note = (
        "Every model on its own law: percent of answers within a tolerance. Below: "
        "what the exact answer scores. Malformed: answers that are not "
        "well-formed numbers."
    )
    head = [*(f"{100 * step:g} %" for step in steps), "malformed, %"]
    title = f"Tolerances: {entry.question}"
    return Section(key, title, note, "law", head, rows)


def _tolerance_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    interval = between(row["low"], row["high"], percent)
    tip = [f"{row['examples']:,} test examples", f"95 % interval {interval}"]
    below = (f"exact {percent(row['oracle'])}",)
    return shaded(row["accuracy"], below, listed(tip))


def _speed(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    tests = in_order(table["test"])
    rows = []
    for model, label, apart in _by_model(table, name):
        part = _of_model(table, model).to_dict("records")
        found = {row["test"]: row for row in part}
        cells = [_speed_cell(found.get(test)) for test in tests]
        rows.append(Row(label, cells, apart))
    first = table.iloc[0]
    note = (
        f"Training examples until {100 * first['target']:g} % accuracy is first "
        f"reached, measured every {count(first['resolution'])} examples, out of "
        f"{count(first['budget'])}."
    )
    head = [f"on {name(test)}" for test in tests]
    title = f"Learning speed: {entry.question}"
    return Section(key, title, note, "trained on", head, rows)


def _speed_cell(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NONE)
    published = row["published"]
    paper = (f"paper {count(published)}",) if known(published) else ()
    if known(row["examples"]):
        best = f"best accuracy {percent(row['best'])} %"
        return Cell(count(row["examples"]), paper, best)
    best = f"best {percent(row['best'])} %"
    return Cell("not reached", (best, *paper))


def _conditions(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    quantiles = sorted(table["quantile"].unique())
    rows = []
    for law, part in table.groupby("law", sort=False):
        found = {row["quantile"]: row for row in part.to_dict("records")}
        cells = [cell for q in quantiles for cell in _condition_cells(found.get(q))]
        rows.append(Row(name(law), [*cells, Cell(f"{part['rejected'].iloc[0]:,}")]))
    first = table.iloc[0]
    note = (
        "Largest over smallest absolute eigenvalue: median and quantiles of "
        f"{first['matrices']:,} random {first['n']} × {first['n']} matrices per law, "
        "with 95 % intervals. No model takes part in this."
    )
    words = {q: f"{100 * q:g} %" for q in quantiles} | {0.5: "median"}
    head = [f"{words[q]}: {whose}" for q in quantiles for whose in ("paper", "here")]
    return Section(
        key, "Condition numbers", note, "law", [*head, "singular, redrawn"], rows
    )


def _condition_cells(row: Mapping[str, Any] | None) -> tuple[Cell, Cell]:
    if row is None:
        return Cell(NONE), Cell(NONE)
    digits = 1 if row["published"] < 100 else 0  # as printed
    paper = f"{row['published']:,.{digits}f}" if known(row["published"]) else NONE
    interval = between(row["low"], row["high"], significant)
    below = (interval.replace(" to ", "–"),) if interval else ()
    return Cell(paper), Cell(significant(row["value"]), below)


def _runs(key: str, table: pd.DataFrame, entry: Entry, name: Namer) -> Section:
    rows = [_run(row) for row in table.to_dict("records")]
    sums = [duration(table["seconds"].sum()), count(table["examples"].sum())]
    cells = [Cell(text) for text in sums]
    blanks = [Cell("")] * (len(RUN_HEAD) - len(cells))
    rows.append(Row("together", [*cells, *blanks], apart=True))
    note = "Training time counts every attempt whose state was saved, but no waiting."
    return Section(
        key, "What ran where, and for how long", note, "model", list(RUN_HEAD), rows
    )


RUN_HEAD = (
    *("time", "examples", "per second", "attempts", "device", "machine"),
    *("parameters", "finished", "torch", "code"),
)


def _run(row: Mapping[str, Any]) -> Row:
    processes = f"processes: {count(row['processes'])}"
    threads = f"threads: {count(row['threads'])}"
    number = threads if row["device"] == "cpu" else processes
    device = Cell(_text(row["device"]), (number, _text(row["precision"])))
    cells = [
        Cell(duration(row["seconds"])),
        Cell(count(row["examples"]), (f"seeds: {count(row['seeds'])}",)),
        Cell(count(row["examples_per_second"])),
        Cell(count(row["attempts"])),
        device,
        Cell(_text(row["machine"]), (_text(row["cpu"]),)),
        Cell(count(row["parameters"])),
        Cell(_moment(row["finished"])),
        Cell(_text(row["torch"]), (f"Python {_text(row['python'])}",)),
        _revision(row),
    ]
    return Row(_text(row["model"]), cells)


def _text(value: Any) -> str:
    return str(value) if known(value) else NONE


def _moment(finished: Any) -> str:
    """Show a time as a day and a minute; times are UTC."""
    return _text(finished)[:16].replace("T", " ")


def _revision(row: Mapping[str, Any]) -> Cell:
    if not known(row["revision"]):
        return Cell("unknown")
    clean = known(row["clean"]) and bool(row["clean"])
    below = () if clean else ("with changes",)
    return Cell(row["revision"][:8], below, row["revision"])


SECTIONS = {
    "failures": failure_sections.failures,
    "verifiers": failure_sections.verifiers,
    "ood": _ood,
    "tolerances": _tolerances,
    "learning_speed": _speed,
    "condition_numbers": _conditions,
    "ceilings": errata_sections.ceilings,
    "runs": _runs,
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
    ends = sorted(_moment(value) for value in runs["finished"].dropna())
    when = " to ".join(dict.fromkeys([ends[0], ends[-1]])) if ends else NONE
    return {"Trained on": where, "Finished": f"{when} UTC"}
