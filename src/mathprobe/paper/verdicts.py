"""Verdicts on the claims of both papers, from the tidy tables of a scale.

The outcome of a test is True (the claim holds), False (it does not), or None (the
intervals allow both).
"""

from collections.abc import Iterable

from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.intervals import clopper_pearson
from mathprobe.linalg.distributions import components
from mathprobe.paper import arith_pivots, pivots
from mathprobe.paper.naming import POSITIVE, SYMMETRIC, group
from mathprobe.paper.pivots import COMPARED, Pivot, matching_quantiles
from mathprobe.paper.tables import TOLERANCE, Frame, Row, Tables, records

Outcome = bool | None
NEARLY_ALL = 0.95  # of the oracle accuracy; of the answers with all useful nodes
MOST = 0.5
COVERAGE = 0.83  # of the interval of one estimate, for another of equal precision


def verdict(outcomes: Iterable[Outcome]) -> str:
    """Return `yes`, `no`, `partly` or `undecided`, or a dash without outcomes.

    Yes: it holds in most tests and fails in none; no: the reverse; partly: both occur.
    """
    known = list(outcomes)
    if not known:
        return "---"
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


def verdicts(tables: Tables, context: Row) -> dict[str, str]:
    """Return the verdict on every claim of the table on the first page."""
    accuracies = pivots.first_pivot("ood", tables, context)
    speed = pivots.first_pivot("learning_speed", tables, context)
    vectors, inverses = (
        pivots.first_pivot("failures", tables, context, *tasks)
        for tasks in pivots.TASKS_OF.values()
    )
    outcomes = {
        "in_distribution": _in_distribution(accuracies),
        "robust": _robust(accuracies),
        "asymmetric": _asymmetric(accuracies),
        "speed": _faster(speed),
        "angles": [
            None if high is None else not high
            for high in _share_exceeds(vectors, "angle", 0.03, MOST)
        ],
        "inverses": _share_exceeds(inverses, "inverse_error", 0.05, MOST),
        "decoders": _accurate(arith_pivots.rates(tables, context)),
        "clauses": _clauses(arith_pivots.maps(tables, context)),
        "sufficient": _sufficient(arith_pivots.maps(tables, context)),
        "reuse": _reuse(tables["arith_reuse"]),
        "conditions": _conditions(tables["condition_numbers"]),
    }
    for name, model in (("vectors", vectors), ("inverses", inverses)):
        tasks = pivots.TASKS_OF[name]
        rates = pivots.first_pivot("verifiers", tables, context, *tasks)
        outcomes[f"verifier/{name}"] = _verifier(rates, model)
    return {name: verdict(own) for name, own in outcomes.items()}


def _measured(pivot: Pivot) -> list[Row]:
    return records(pivot.rows.dropna(subset="accuracy"))


def _in_distribution(main: Pivot) -> list[Outcome]:
    """Test whether models reach NEARLY_ALL of the oracle accuracy in distribution."""
    return [
        exceeds(row["low"], row["high"], NEARLY_ALL * row["oracle"])
        for row in _measured(main)
        if row["test"] in components(row["train"]) and row["oracle"]
    ]


def _robust(main: Pivot) -> list[Outcome]:
    """Test whether Laplace and Gaussian models have higher means than semicircle."""
    rows = main.rows.dropna(subset="accuracy")
    ends = rows.groupby("train")[["low", "high"]].mean().reindex(COMPARED).dropna()
    if COMPARED[0] not in ends.index:
        return []
    (low, high), *others = ends.itertuples(index=False, name=None)
    return [
        True if other_low > high else False if other_high < low else None
        for other_low, other_high in others
    ]


def _asymmetric(main: Pivot) -> list[Outcome]:
    """Test whether positive models are worse on symmetric tests than the reverse.

    The reverse is the worst accuracy of Laplace and Gaussian models on positive tests.
    """
    rows = _measured(main)
    robust = [
        row
        for row in rows
        if row["train"] in COMPARED[1:] and group(row["test"]) == POSITIVE
    ]
    if not robust:
        return []
    worst = min(robust, key=lambda row: row["accuracy"])
    return [
        True
        if row["high"] < worst["low"]
        else False
        if row["low"] > worst["high"]
        else None
        for row in rows
        if (group(row["train"]), group(row["test"])) == (POSITIVE, SYMMETRIC)
    ]


def _faster(speed: Pivot) -> list[Outcome]:
    """Test whether Laplace and Gaussian models need fewer examples than semicircle.

    Differences below the distance of two measurements decide nothing.
    """
    rows = speed.rows
    if rows.empty:
        return []
    rows = rows[(rows["recipe"] == speed.first("recipe")) & rows["best"].notna()]
    rows = rows[rows["test"] == COMPARED[0]].set_index("train")
    if COMPARED[0] not in rows.index:
        return []
    needed, step = rows["examples"].fillna(rows["budget"]), speed.largest("resolution")
    saved = [
        needed[COMPARED[0]] - needed[name]
        for name in COMPARED[1:]
        if name in rows.index
    ]
    return [None if abs(one) <= step else bool(one > 0) for one in saved]


def _share_exceeds(
    model: Pivot, quantity: str, within: float, bound: float
) -> list[Outcome]:
    """Test whether more than a share `bound` of the wrong answers have a property."""
    cell = model.cells[quantity, "failure", TOLERANCE, "below", within]
    known = cell["value"] is not None
    return [exceeds(cell["low"], cell["high"], bound)] if known else []


def _verifier(rates: Pivot, answers: Pivot) -> list[Outcome]:
    """Test whether the published threshold is better than accepting every answer."""
    if rates.rows.empty:
        return []
    cell = rates.cells[rates.first("verifier"), "paper", "right"]
    baseline = answers.cells["error", "all", None, "below", TOLERANCE]["value"]
    if cell["value"] is None or baseline is None:
        return []
    return [exceeds(cell["low"], cell["high"], baseline)]


def _conditions(rows: Frame) -> list[Outcome]:
    """Test whether as many published quantiles match as can be expected."""
    matched = matching_quantiles(rows)
    if not matched:
        return []
    return [clopper_pearson(sum(matched), len(matched))[1] >= COVERAGE]


def _accurate(rates: Frame) -> list[Outcome]:
    """Test whether each decoder has fewer wrong answers than the limit."""
    worst = rates.dropna(subset="per_million").groupby("model")[["low", "high"]].max()
    above = (
        exceeds(low, high, WRONG_PER_MILLION_LIMIT)
        for low, high in worst.itertuples(index=False, name=None)
    )
    return [None if one is None else not one for one in above]


def _clauses(maps: Frame) -> list[Outcome]:
    """Return for each clause of the algorithms, in each model, whether it holds."""
    hold, clauses = (int(maps[key].sum()) for key in ("hold", "clauses"))
    return [place < hold for place in range(clauses)]


def _sufficient(maps: Frame) -> list[Outcome]:
    """Test whether nodes with a sub-task keep as many answers right as all useful."""
    kept = maps[["right/mean/useful", "right/mean/purpose"]].dropna()
    return [
        bool(purpose >= NEARLY_ALL * useful)
        for useful, purpose in kept.itertuples(index=False, name=None)
    ]


def _reuse(rows: Frame) -> list[Outcome]:
    """Test whether models use most of the nodes inserted from their parents."""
    used = rows[rows["quantity"] == "inserted nodes in use"].dropna(subset="total")
    counts = used[["count", "total"]].astype(int).itertuples(index=False, name=None)
    return [exceeds(*clopper_pearson(n, total), MOST) for n, total in counts if total]
