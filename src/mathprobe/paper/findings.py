"""Findings: what both papers claim, what is published and measured, and a verdict.

Texts are plain: LaTeX and Markdown are made from them.  The outcome of a test is True
(the claim holds), False (it does not), or None (undecided: the intervals allow both, or
the paper does not claim it of this model).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.intervals import clopper_pearson
from mathprobe.linalg.distributions import components
from mathprobe.paper import arith_pivots, formats, pivots
from mathprobe.paper.formats import fixed, percent, plain
from mathprobe.paper.naming import POSITIVE, SYMMETRIC, group, size_text
from mathprobe.paper.pivots import COMPARED, Pivot, matching_quantiles
from mathprobe.paper.tables import KINDS, TOLERANCE, Frame, Row, Tables, records
from mathprobe.registry import Registry

Outcome = bool | None
NEARLY_ALL = 0.95  # of the oracle accuracy; of the answers with all useful nodes
MOST = 0.5
COVERAGE = 0.83  # of the interval of one estimate, for another of equal precision
CHARTON, QUIRKE = "Charton (2022)", "Quirke, Neo and Barez (2024)"
TABLES = (  # kinds of tables from which findings follow
    *("ood", "learning_speed", "failures", "verifiers", "condition_numbers"),
    *("arith_accuracy", "arith_circuits", "arith_controls", "arith_claims"),
    "arith_reuse",
)
MAIN_TASK = "eigenvalues"
SAME_ANSWERS = ("train", "test", "recipe")


class Finding(NamedTuple):
    """A claim at one scale; without outcomes, nothing is measured."""

    published: str
    ours: str
    outcomes: list[Outcome]
    size: str


class Source(NamedTuple):
    """The tables of a scale, from recorded models or from those of this run."""

    scale: str
    recorded: bool
    tables: Tables
    context: Row


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, the label of the table with its numbers, and its test.

    `sampled` claims need no trained model, so every run tests them.
    """

    paper: str
    statement: str
    label: str
    find: Callable[[Tables, Row], Finding]
    sampled: bool


CLAIMS: Registry[Claim] = Registry("claim")


def claim(
    name: str, paper: str, label: str, statement: str, sampled: bool = False
) -> Callable[..., Any]:
    """Register the decorated function as the test of a claim."""

    def register(find: Callable[[Tables, Row], Finding]) -> Any:
        CLAIMS.add(name)(Claim(paper, statement, f"tab:{label}", find, sampled))
        return find

    return register


def build(sources: Iterable[Source]) -> Frame:
    """Return a row for each claim and each source that has measured it.

    A finding that two recorded scales share has one row.  A claim that no source has
    measured has one row, without our value.
    """
    sources, rows = list(sources), []
    for name, one in CLAIMS.items():
        same = {"claim": name, "paper": one.paper, "statement": one.statement}
        found = [
            (source, one.find(source.tables, source.context)) for source in sources
        ]
        known = [(source, finding) for source, finding in found if finding.outcomes]
        empty = Source("", False, {}, {}), found[0][1]._replace(ours="", size="")
        for source, finding in known or [empty]:
            texts = {"published": finding.published, "ours": finding.ours}
            texts |= {"size": finding.size, "verdict": verdict(finding.outcomes)}
            texts = {
                key: text.replace(formats.DASH, "–") for key, text in texts.items()
            }
            where = {"scale": source.scale, "recorded": source.recorded}
            rows.append({**same, **where, **texts, "label": one.label})
    table = Frame(rows, columns=[*KINDS["findings"].columns])
    same_models = ["claim", "recorded", "ours", "size"]
    return table.drop_duplicates(same_models, ignore_index=True)


def verdict(outcomes: Iterable[Outcome]) -> str:
    """Return `yes`, `no`, `partly` or `undecided`, or a dash without outcomes.

    Yes: it holds in most tests and fails in none; no: the reverse; partly: both occur.
    """
    known = list(outcomes)
    if not known:
        return formats.DASH
    if True in known and False in known:
        return "partly"
    for outcome, text in ((True, "yes"), (False, "no")):
        if known.count(outcome) > len(known) / 2:
            return text
    return "undecided"


def exceeds(low: float | None, high: float | None, bound: float) -> Outcome:
    """Return whether a value with this interval is above a bound."""
    if low is None or high is None or low <= bound <= high:
        return None
    return low > bound


def _first_measured(
    kind: str,
    tables: Tables,
    context: Row,
    find: Callable[[Pivot], Finding],
    *tasks: str,
) -> Finding:
    """Return the finding of the first task and size that is measured, in their order.

    The configuration lists the size of the paper, or the largest one, first.
    """
    if kind not in tables:
        return Finding(formats.DASH, "", [], "")
    own = [one for one in pivots.pivots(kind, tables, context) if one.task in tasks]
    found = [_with_sizes(find(pivot), pivot) for pivot in own]
    measured = (finding for finding in found if finding.outcomes)
    return next(measured, found[0] if found else Finding(formats.DASH, "", [], ""))


def _with_sizes(finding: Finding, pivot: Pivot) -> Finding:
    """Add the size of our matrices, and that of the published ones if it differs."""
    found = finding._replace(size=size_text(pivot.n))
    if pivot.same_size or pivot.published_n is None:
        return found
    published = f"{finding.published} ({size_text(pivot.published_n)})"
    return found._replace(published=published)


def _range(shares: Iterable[float], digits: int = 1) -> str:
    return f"{formats.span(shares, digits, ' to ')} %"


def _count(value: float | None) -> str:
    return formats.thousands(value).replace(r"\,", formats.THIN_SPACE)


def _rounded(value: float, step: float) -> str:
    return formats.round_to(value, step).replace(r"\,", formats.THIN_SPACE)


def _share(cell: Row) -> str:
    low, high = percent(cell["low"]), percent(cell["high"])
    return f"{percent(cell['value'])} % [{low}, {high}]"


def _printed(pivot: Pivot, key: tuple[Any, ...]) -> str:
    share = pivot.published.get(key)
    return f"{plain(None if share is None else 100 * share)} %"


def _compared(values: Mapping[str, str]) -> str:
    """Return values of COMPARED: Laplace and Gaussian, then the semicircle."""
    semicircle, gaussian, laplace = (
        values.get(name, formats.DASH) for name in COMPARED
    )
    return f"{laplace}, {gaussian}; {semicircle}"


def _measured(pivot: Pivot) -> list[Row]:
    return records(pivot.rows.dropna(subset="accuracy"))


@claim("in_distribution", CHARTON, "ood", "In distribution, models are nearly perfect")
def _in_distribution(tables: Tables, context: Row) -> Finding:
    """Test whether models reach NEARLY_ALL of the oracle accuracy in distribution."""

    def find(main: Pivot) -> Finding:
        rows = [
            row
            for row in _measured(main)
            if row["test"] in components(row["train"]) and row["oracle"]
        ]
        ours = _range(100 * row["accuracy"] for row in rows)
        of_oracle = _range(100 * row["accuracy"] / row["oracle"] for row in rows)
        return Finding(
            _range(pivots.blocks(main.published)["in_distribution"], 0),
            f"{ours}; {of_oracle} of oracle",
            [
                exceeds(row["low"], row["high"], NEARLY_ALL * row["oracle"])
                for row in rows
            ],
            "",
        )

    return _first_measured("ood", tables, context, find, MAIN_TASK)


@claim(
    "robust",
    CHARTON,
    "ood",
    "Laplace, Gaussian models generalize better than semicircle ones (means)",
)
def _robust(tables: Tables, context: Row) -> Finding:
    """Test whether Laplace and Gaussian models have higher means than semicircle."""

    def find(main: Pivot) -> Finding:
        printed = {
            name: percent(fmean(shares))
            for name in COMPARED
            if (shares := [x for key, x in main.published.items() if key[0] == name])
        }
        rows = main.rows.dropna(subset="accuracy").groupby("train")
        means = {
            name: _mean(rows.get_group(name))
            for name in COMPARED
            if name in rows.groups
        }
        ours = _compared({name: percent(x["accuracy"]) for name, x in means.items()})
        halves = [x["high"] - x["accuracy"] for x in means.values()]
        half = fixed(100 * max(halves, default=math.nan), 1)
        worst = means.pop(COMPARED[0], None)
        outcomes = [_is_below(worst, x) for x in means.values()] if worst else []
        return Finding(f"{_compared(printed)} %", f"{ours} % (± {half})", outcomes, "")

    return _first_measured("ood", tables, context, find, MAIN_TASK)


@claim(
    "speed",
    CHARTON,
    "speed",
    "They also need fewer training examples to learn the semicircle",
)
def _speed(tables: Tables, context: Row) -> Finding:
    """Test whether Laplace and Gaussian models need fewer examples than semicircle.

    Differences below the distance of two measurements decide nothing.
    """

    def find(speed: Pivot) -> Finding:
        printed = {
            name: _count(speed.published[name, COMPARED[0]])
            for name in COMPARED
            if (name, COMPARED[0]) in speed.published
        }
        rows, step = speed.rows, speed.largest("resolution")
        rows = rows[(rows["recipe"] == speed.first("recipe")) & rows["best"].notna()]
        target = rows["target"].max()  # a model may have several
        rows = rows[(rows["test"] == COMPARED[0]) & (rows["target"] == target)]
        rows = rows.set_index("train")
        needed = rows["examples"].fillna(rows["budget"])
        ours = {
            name: f"over {_count(budget)}" if pd.isna(count) else _rounded(count, step)
            for name, count, budget in rows[["examples", "budget"]].itertuples()
        }
        outcomes: list[Outcome] = []
        if COMPARED[0] in needed.index:
            others = needed.reindex(COMPARED[1:]).dropna()
            saved = needed[COMPARED[0]] - others
            outcomes = [None if abs(one) <= step else bool(one > 0) for one in saved]
        return Finding(
            f"{_compared(printed)} (to {plain(speed.printed['percent'].max())} %)",
            f"{_compared(ours)} (to {plain(100 * target)} %)",
            outcomes,
            "",
        )

    return _first_measured("learning_speed", tables, context, find, MAIN_TASK)


@claim(
    "asymmetric",
    CHARTON,
    "ood",
    "Models of positive spectra are worse on symmetric ones than Laplace and Gaussian "
    "models on positive ones",
)
def _asymmetric(tables: Tables, context: Row) -> Finding:
    """Test whether positive models are worse on symmetric tests than others.

    The others are Laplace and Gaussian models on positive tests, at their worst.
    """

    def find(main: Pivot) -> Finding:
        rows = _measured(main)
        robust = [
            row
            for row in rows
            if row["train"] in COMPARED[1:] and group(row["test"]) == POSITIVE
        ]
        worst = min(robust, key=lambda row: row["accuracy"], default={})
        positive = [
            row
            for row in rows
            if (group(row["train"]), group(row["test"])) == (POSITIVE, SYMMETRIC)
        ]
        ours = _range(100 * row["accuracy"] for row in positive)
        return Finding(
            _range(pivots.blocks(main.published)["positive_on_symmetric"], 0),
            f"{ours}; from {percent(worst.get('accuracy'))} %",
            [_is_below(row, worst) for row in positive if worst],
            "",
        )

    return _first_measured("ood", tables, context, find, MAIN_TASK)


def _mean(rows: Frame) -> Row:
    """Return the mean accuracy of independent tests and its interval."""
    half = math.hypot(*(rows["high"] - rows["low"])) / 2 / len(rows)
    mean = rows["accuracy"].mean()
    return {"accuracy": mean, "low": mean - half, "high": mean + half}


def _is_below(one: Row, other: Row) -> bool | None:
    """Return whether an interval is below another one; None if they overlap."""
    if one["high"] < other["low"]:
        return True
    return False if one["low"] > other["high"] else None


def _failures(
    name: str, quantity: str, within: float, most: bool
) -> Callable[[Tables, Row], Finding]:
    """Return the test whether most wrong answers, or fewer, have a property."""
    key = quantity, "failure", TOLERANCE, "below", within

    def find(model: Pivot) -> Finding:
        cell = model.cells[key]
        if cell["value"] is None:
            return Finding(_printed(model, key), "", [], "")
        above = exceeds(cell["low"], cell["high"], MOST)
        outcome = above if above is None else above == most
        ours = f"{_share(cell)}; oracle {percent(cell['oracle'])} %"
        return Finding(_printed(model, key), ours, [outcome], "")

    def test(tables: Tables, context: Row) -> Finding:
        return _first_measured(
            "failures", tables, context, find, *pivots.TASKS_OF[name]
        )

    return test


claim(
    "angles",
    CHARTON,
    "failures",
    "Few wrong eigenvectors are orthogonal (angles within 0.03 of a right angle)",
)(_failures("vectors", "angle", 0.03, most=False))
claim(
    "inverses",
    CHARTON,
    "failures",
    "Most wrong inverses are within 5 % of the inverse",
)(_failures("inverses", "inverse_error", 0.05, most=True))


def _verifier(name: str) -> Callable[[Tables, Row], Finding]:
    """Return the test whether the published threshold beats accepting every answer."""

    def test(tables: Tables, context: Row) -> Finding:
        accepted = "error", "all", None, "below", TOLERANCE

        def find(rates: Pivot) -> Finding:
            [answers] = [
                one
                for one in pivots.pivots("failures", tables, context)
                if one.name == rates.name
                and all(one.first(key) == rates.first(key) for key in SAME_ANSWERS)
            ]
            key = rates.first("verifier"), "paper", "right"
            cell, baseline = rates.cells[key], answers.cells[accepted]["value"]
            known = None not in (cell["value"], baseline)
            return Finding(
                f"{_printed(rates, key)} right; "
                f"accepting all {_printed(answers, accepted)}",
                f"{_share(cell)} right; accepting all {percent(baseline)} %",
                [exceeds(cell["low"], cell["high"], baseline)] if known else [],
                "",
            )

        return _first_measured(
            "verifiers", tables, context, find, *pivots.TASKS_OF[name]
        )

    return test


for _name, _statement in {
    "vectors": "The condition number predicts which eigenvectors are wrong",
    "inverses": "The condition number predicts which inverses are wrong",
}.items():
    claim(f"verifier_{_name}", CHARTON, "verifiers", _statement)(_verifier(_name))


@claim("conditions", CHARTON, "conditions", "Quantiles of condition numbers", True)
def _conditions(tables: Tables, context: Row) -> Finding:
    """Test whether as many published quantiles match as can be expected."""
    printed = context["published"]["condition_numbers"]
    published, sizes = f"{len(printed)} values", printed["n"]
    if "condition_numbers" not in tables:
        return Finding(published, "", [], "")
    matched = matching_quantiles(tables["condition_numbers"])
    return Finding(
        published,
        f"{sum(matched)} of {len(matched)} match",
        [clopper_pearson(sum(matched), len(matched))[1] >= COVERAGE] if matched else [],
        size_text(sizes.iloc[0]),
    )


def _digits(context: Row, models: Iterable[Any]) -> str:
    known = {one["name"]: one["digits"] for one in context["arith"]["models"]}
    return f"{formats.span((known[name] for name in models), 0, ' to ')} digits"


def _models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"


@claim(
    "decoders",
    QUIRKE,
    "arith:accuracy",
    "Decoders are wrong fewer than 10 times in a million",
)
def _decoders(tables: Tables, context: Row) -> Finding:
    """Test whether each decoder has fewer wrong answers than the limit.

    A decoder that has more in the paper decides nothing.
    """
    rates, printed = (
        arith_pivots.rates(tables, context),
        context["published"]["arith_accuracy"],
    )
    worst = (
        rates.dropna(subset="per_million")
        .groupby("model")[["per_million", "low", "high"]]
        .max()
    )
    above = [
        exceeds(low, high, WRONG_PER_MILLION_LIMIT)
        for low, high in worst[["low", "high"]].itertuples(index=False, name=None)
    ]
    limit = WRONG_PER_MILLION_LIMIT * context["published"]["questions"] / 1e6
    few = printed.groupby("model")["fails"].max() < limit
    same = few[few.index.isin(worst.index)]
    claimed = few.reindex(worst.index, fill_value=True)
    outcomes = [
        not one if is_claimed and one is not None else None
        for one, is_claimed in zip(above, claimed, strict=True)
    ]
    published = f"{few.sum()} of {len(few)} models"
    if len(same):
        published += f"; {same.sum()} of the {len(same)} measured here"
    bound = 1e6 * clopper_pearson(0, context["arith"]["questions"])[1]
    return Finding(
        published,
        f"{above.count(False)} of {_models(len(above))}; "
        f"{(worst['per_million'] == 0).sum()} at most {_count(bound)} per million",
        outcomes,
        _digits(context, worst.index),
    )


@claim(
    "clauses", QUIRKE, "arith:circuits", "The clauses of the published algorithms hold"
)
def _clauses(tables: Tables, context: Row) -> Finding:
    """Return for each clause of the algorithms, in each model, whether it holds."""
    maps = arith_pivots.maps(tables, context).dropna(subset="clauses")
    hold, clauses = (int(maps[key].sum()) for key in ("hold", "clauses"))
    return Finding(
        "stated, not counted",
        f"{hold} of {clauses} in {_models(len(maps))}",
        [place < hold for place in range(clauses)],
        _digits(context, maps.index),
    )


@claim(
    "sufficient",
    QUIRKE,
    "arith:circuits",
    "Our question: the nodes of known sub-task suffice for the answer",
)
def _sufficient(tables: Tables, context: Row) -> Finding:
    """Test whether nodes with a sub-task keep as many answers right as all useful."""
    columns = ["right/mean/purpose", "right/mean/useful"]
    kept = arith_pivots.maps(tables, context)[columns].dropna()
    purpose, useful = (_range(100 * kept[column], 0) for column in columns)
    return Finding(
        "not tested",
        f"{purpose} right; all useful: {useful}",
        [bool(one >= NEARLY_ALL * of) for one, of in kept.itertuples(index=False)],
        _digits(context, kept.index),
    )


@claim(
    "reuse",
    QUIRKE,
    "arith:reuse",
    "A decoder uses most of the nodes that are inserted from a parent",
)
def _reuse(tables: Tables, context: Row) -> Finding:
    """Test whether models use most of the nodes inserted from their parents."""
    rows = tables["arith_reuse"]
    used = rows[rows["quantity"] == "inserted nodes in use"].dropna(subset="total")
    counts = used[["count", "total"]].astype(int).itertuples(index=False, name=None)
    tests = [(count, total) for count, total in counts if total]
    printed = context["published"]["arith_circuits"].set_index("quantity")["count"]
    inserted, added = printed["inserted nodes"], printed["inserted nodes for S"]
    return Finding(
        f"{added} of {inserted} for addition",
        ", ".join(f"{count} of {total}" for count, total in tests),
        [exceeds(*clopper_pearson(count, total), MOST) for count, total in tests],
        _digits(context, used["model"]),
    )
